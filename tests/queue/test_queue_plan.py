"""Who may start now: order and fit, without a process."""

import pytest

from orchestrator.domain.hardware import Gpu, GpuProcess, GpuReading
from orchestrator.watch.gpu_pool import seen_by, units, use_of
from orchestrator.watch.queue import Candidate, Pool, in_order, plan


def run(name, *, time=0.0, priority=0, **more):
    return Candidate(run=f"R-{name:06d}", time=time, priority=priority, **more)


def pool(*gpus, busy=(), cpus=None):
    taken = {f"G{gpu}": None for gpu in gpus} | {f"G{gpu}": f"GPU {gpu} is busy" for gpu in busy}
    return Pool(gpus=taken, cpus=cpus)


def started(candidates, given):
    """Which runs may start, with what."""
    places = plan(candidates, given)
    return {int(p.candidate.run[2:]): p.gpus for p in places if p.why is None}


@pytest.mark.parametrize(
    ("candidates", "given", "expected"),
    [
        ([run(1), run(2)], pool(), {1: (), 2: ()}),
        ([run(1), run(2)], pool(cpus=1), {1: ()}),
        ([run(1, time=2.0), run(2, time=1.0)], pool(cpus=1), {2: ()}),
        ([run(1), run(2, priority=1)], pool(cpus=1), {2: ()}),
        ([run(9), run(10)], pool(cpus=1), {9: ()}),
        # Who waits for something else keeps nothing back.
        ([run(1, blocked="later"), run(2)], pool(cpus=1), {2: ()}),
        # Who waits for resources keeps what is free of them.
        ([run(1, gpus=4), run(2, gpus=1)], pool(0, 1, 2), {}),
        ([run(1, cpus=3), run(2)], pool(cpus=2), {}),
        ([run(1, gpus=2), run(2, gpus=1)], pool(0, busy=[1]), {}),
        # … and not the resources that it does not need.
        ([run(1, gpus=4), run(2)], pool(0, 1), {2: ()}),
        ([run(1, gpus=1, cpus=1), run(2, cpus=1), run(3, cpus=1)], pool(cpus=2), {2: ()}),
        ([run(1, gpus=1), run(2, gpus=2)], pool(0, 1, 2), {1: ("G0",), 2: ("G1", "G2")}),
        # What a shell could not see is not given to it, and left to others.
        ([run(1, gpus=1, gpus_seen=("G1",)), run(2, gpus=1)], pool(0, 1), {1: ("G1",), 2: ("G0",)}),
        ([run(1, gpus=1, gpus_seen=("G1",)), run(2, gpus=1)], pool(0, busy=[1]), {2: ("G0",)}),
        ([run(1, gpus=1, gpus_seen=())], pool(0), {}),
        # Where nobody can tell what GPUs there are, nobody waits for one.
        ([run(1, gpus=2)], Pool(gpus=None), {1: ()}),
    ],
)
def test_turns(candidates, given, expected):
    """Priority, then age; nobody is starved, nobody waits without need."""
    assert started(candidates, given) == expected


def test_reasons_name_what_is_missing_and_who_is_before():
    """Each that waits says for what, who has it, and whose turn comes first."""
    waiting = [run(1, gpus=2), run(2, gpus=1), run(3, blocked="pauses")]
    reasons = [place.why for place in plan(waiting, pool(0, busy=[1]))]
    assert reasons == [
        "waits for 2 GPUs, 1 free: GPU 1 is busy",
        "waits for 1 GPU, 0 free: GPU 1 is busy; R-000001 goes first",
        "pauses",
    ]
    both = plan([run(1, gpus=1, cpus=2)], Pool(gpus={}, cpus=1, cpu_holders=("R-7",)))
    assert both[0].why == "waits for 1 GPU, 0 free and 2 CPU slots, 1 free (taken by R-7)"


def test_order_does_not_depend_on_how_runs_are_listed():
    """Equal priority and time go by number, so that every dispatcher sees the same order."""
    runs = [run(10), run(9), run(1, time=1.0), run(2, priority=1, time=5.0)]
    assert in_order(runs) == in_order(reversed(runs))
    assert [candidate.run for candidate in in_order(runs)][:3] == [
        "R-000002",
        "R-000009",
        "R-000010",
    ]


WHOLE = (Gpu(uuid="GPU-aa1", index=0), Gpu(uuid="GPU-ab2", index=1))
PARTS = (
    Gpu(uuid="MIG-1", index=1, parent="GPU-ab2"),
    Gpu(uuid="MIG-2", index=1, parent="GPU-ab2"),
)


def test_a_divided_gpu_is_leased_in_parts():
    """A MIG instance is a unit of its own, and its whole is none."""
    reading = GpuReading(time=0.0, gpus=(*WHOLE, *PARTS))
    assert [gpu.uuid for gpu in units(reading)] == ["GPU-aa1", "MIG-1", "MIG-2"]
    assert units(GpuReading(time=0.0, gpus=None)) == []


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (None, None),
        ("0", ("GPU-aa1",)),
        ("1,0", ("GPU-ab2", "GPU-aa1")),
        ("GPU-ab", ("GPU-ab2",)),
        ("GPU-aa1, GPU-ab2", ("GPU-aa1", "GPU-ab2")),
        ("0,-1,1", ("GPU-aa1",)),
        ("", ()),
        ("-1", ()),
        ("7,0", ()),
    ],
)
def test_cuda_visible_devices_restricts_as_it_does_for_cuda(value, seen):
    """Numbers, UUIDs and beginnings of them count up to the first that names nothing."""
    variables = {} if value is None else {"CUDA_VISIBLE_DEVICES": value}
    assert seen_by(variables, WHOLE) == seen


def test_an_instance_is_seen_by_its_name_and_by_its_whole():
    """An entry that names a divided GPU means its instances."""
    there = (WHOLE[0], *PARTS)
    assert seen_by({"CUDA_VISIBLE_DEVICES": "MIG-2"}, there) == ("MIG-2",)
    assert seen_by({"CUDA_VISIBLE_DEVICES": "1"}, there) == ("MIG-1", "MIG-2")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, None),
        ({"memory_used": 9, "memory_total": 100}, None),
        ({"memory_used": None, "memory_total": 100, "processes": None}, None),
        ({"memory_used": 11, "memory_total": 100}, "in use by somebody: 11% of its memory"),
        ({"processes": (GpuProcess(pid=2**22 + 1, memory=5),)}, "in use by pid 4194305"),
        ({"problem": "GPU is lost"}, "GPU 0: GPU is lost"),
        ({"recovery": "reset the GPU"}, "asks to reset the GPU"),
        ({"recovery": "none"}, None),
    ],
)
def test_a_gpu_that_somebody_uses_is_not_free(fields, why):
    """Processes, memory beyond a tenth, or a fault take a GPU out; what is unknown does not."""
    found = use_of(Gpu(uuid="GPU-a", index=0, **fields))
    assert (found is None) if why is None else (why in found)
