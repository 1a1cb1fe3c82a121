"""Step 0: what stands in the way is known before anything is started."""

from dataclasses import replace

import pytest
from rehearsal.facts import GIB, MIB, PLAN

from orchestrator.domain.hardware import Gpu, GpuProcess, GpuReading
from orchestrator.domain.rehearsal import StepState
from orchestrator.rehearsal.preflight import Surroundings, check_preflight

PASSED, WARNED, FAILED = StepState.PASSED, StepState.WARNED, StepState.FAILED


def gpu(index=0, **changes):
    healthy = {"memory_total": 80 * GIB, "memory_used": GIB, "recovery": "none"}
    return Gpu(uuid=f"GPU-{index}", index=index, **{**healthy, **changes})


def reading(*gpus, problem=None):
    return GpuReading(time=0.0, gpus=gpus or None, problem=problem)


CLEAR = Surroundings(
    disk_free=100 * GIB,
    inodes_free=1_000_000,
    shared_total=8 * GIB,
    shared_free=8 * GIB,
    memory_total=64 * GIB,
    memory_available=60 * GIB,
    gpus=reading(gpu()),
    ports=(29500,),
    mirrors={"wandb": None},
    checkpoint=GIB,
    checkpoints=3,
    log=MIB,
)
ON_GPU = replace(PLAN, gpus=1, memory=32 * GIB)


def test_a_clear_way_is_told_line_by_line():
    """Each thing that was looked at has a line with its numbers."""
    step = check_preflight(CLEAR, ON_GPU, 0.2)
    assert (step.number, step.state, step.seconds) == (0, PASSED, 0.2)
    topics = [line.split(":")[0] for line in step.details]
    assert topics[:6] == ["paths", "disk", "inodes", "memory", "shared memory", "GPUs"]
    assert topics[6:] == ["ports", "git", "mirror wandb"]
    assert "disk: 3.0 GiB for 3 checkpoints of 1.0 GiB and 1.0 MiB of logs, 100.0 GiB free" in (
        step.details
    )


def test_what_nobody_can_tell_is_unknown_and_no_obstacle():
    """A machine without /proc, GPUs or git words does not stop a rehearsal."""
    step = check_preflight(Surroundings(), PLAN)
    assert step.state is PASSED
    for topic in ("disk", "inodes", "memory", "shared memory"):
        assert f"{topic}: unknown" in step.details


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({"missing": ("data/train.bin",)}, FAILED, "missing: data/train.bin"),
        (
            {"disk_free": 3 * GIB},
            FAILED,
            "the disk is too small: 3.0 GiB for 3 checkpoints of 1.0 GiB and 1.0 MiB of logs",
        ),
        ({"disk_free": 500 * MIB, "checkpoint": None}, WARNED, "only 500.0 MiB are free"),
        ({"inodes_free": 100}, WARNED, "only 100 inodes free"),
        (
            {"memory_total": 16 * GIB, "memory_available": 9 * GIB},
            FAILED,
            "the spec asks for 32.0 GiB of memory, and there are 16.0 GiB",
        ),
        ({"memory_available": 9 * GIB}, WARNED, "only 9.0 GiB of 64.0 GiB available"),
        ({"shared_free": 64 * MIB}, WARNED, "only 64.0 MiB of 8.0 GiB of shared memory free"),
        ({"gpus": reading(problem="no driver")}, WARNED, "the state of the GPUs: no driver"),
        (
            {"gpus": reading(gpu(recovery="reset"))},
            FAILED,
            "too few healthy GPUs: 1 there, 1 sick, 0 in use; 1 asked for; GPU 0: the driver asks",
        ),
        ({"gpus": reading(gpu(ecc_uncorrected=2))}, FAILED, "2 uncorrected memory errors"),
        (
            {"gpus": reading(gpu(memory_used=30 * GIB, processes=(GpuProcess(pid=7),)))},
            WARNED,
            "1 in use; 1 asked for: GPU 0: 30.0 GiB of 80.0 GiB in use by process 7",
        ),
        ({"gpus": reading(gpu(0, recovery="reset"), gpu(1))}, PASSED, "nothing stands"),
        ({"taken": (29500,)}, FAILED, "port 29500 is in use already"),
        ({"git": ("2 files are not in the snapshot",)}, WARNED, "2 files are not in the snapshot"),
        ({"mirrors": {"wandb": "timed out"}}, WARNED, "the mirror wandb does not answer: timed"),
    ],
)
def test_each_obstacle_is_told_with_its_numbers(changes, state, words):
    """What will stop the run fails; what may cost it something is a warning."""
    step = check_preflight(replace(CLEAR, **changes), ON_GPU)
    assert step.state is state, step.why
    assert words in step.why
    assert (step.action is None) == (state is PASSED)


def test_a_whole_gpu_does_not_count_beside_its_instances():
    """Of a GPU cut by MIG the instances are what a run gets."""
    whole, part = gpu(0), gpu(1, parent="GPU-0", memory_total=10 * GIB)
    step = check_preflight(replace(CLEAR, gpus=reading(whole, part)), ON_GPU)
    assert any(line.startswith("GPUs: 1 there") for line in step.details)


def test_a_run_without_gpus_does_not_look_at_them():
    """A sick GPU is no matter of a run on the CPU."""
    sick = replace(CLEAR, gpus=reading(gpu(recovery="reset")))
    assert check_preflight(sick, PLAN).state is PASSED
