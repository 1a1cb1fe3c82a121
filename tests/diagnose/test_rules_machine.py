"""What the samples of a machine say: each failure by its numbers, and silence about the healthy."""

import pytest
from diagnose.cases import case, curve, event, found, hits, record

from orchestrator.diagnose.case import Machine
from orchestrator.diagnose.rules import machine
from orchestrator.domain.finding import Quote
from orchestrator.domain.hardware import Gpu, GpuProcess, GpuReading

GIB = 1 << 30
HOUR = 720  # samples


def gpu(name, values, *, ordinal=0, attempt=1, end=3600.0, every=5.0):
    """Samples of a GPU, the newest at `end`."""
    count = len(values)
    times = [end - every * (count - 1 - n) for n in range(count)]
    source = f"attempt-{attempt}/telemetry.jsonl"
    series = f"system/gpu.{ordinal}.{name}"
    return curve(series, values, steps=[10] * count, times=times, source=source)


def loss(last=100.0):
    """A program whose newest point is of that time."""
    return curve("train/loss", [3.0, 2.0], times=[last - 10, last])


def seen(ordinal=0, uuid="GPU-a", *, attempt=1):
    return event("gpu", {"ordinal": ordinal, "uuid": uuid}, attempt=attempt)


def at(*curves, gpus=1, now=3600.0, started=0.0, **fields):
    fields.setdefault("record", record(resources={"gpus": gpus}))
    fields.setdefault("idle", now - 100.0)
    return case(curves=curves, now=now, started=started, **fields)


def reading(*gpus, **fields):
    return Machine(gpus=GpuReading(time=0.0, gpus=gpus), **fields)


def lost(uuid="GPU-a", ordinal=0, name="gpu_lost", attempt=1):
    data = {"ordinal": ordinal, "uuid": uuid, "why": "GPU is lost"}
    return event(name, data, attempt=attempt)


def test_a_lost_gpu_is_named_with_why_and_the_kernels_word():
    """The event and the lines of log and kernel that blame the hardware stand as evidence."""
    kernel = (Quote(source="kernel", text="NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off"),)
    made = at(events=[lost()], machine=Machine(kernel=kernel))
    (one,) = machine.gpu_lost(made)
    assert (one.key, one.severity, one.retry) == ("gpu-lost:GPU 0", "error", True)
    assert "GPU is lost" in one.title
    assert [quote.source for quote in one.evidence] == ["attempt-1/events-host-0-1.jsonl", "kernel"]


@pytest.mark.parametrize(
    "events",
    [[lost(), lost(name="gpu_recovered")], [lost(attempt=1)], []],
    ids=["recovered", "of an earlier attempt", "nothing"],
)
def test_a_gpu_that_is_there_is_not_lost(events):
    """One that answers again, or that another attempt lost, is none of this attempt's."""
    assert found(machine.gpu_lost(at(events=events, attempt=1 + bool(len(events) == 1)))) == []


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("NVRM: Xid (PCI:0000:01:00): 79, pid=1, GPU has fallen off the bus.", "gpu-lost"),
        ("NVRM: Xid (PCI:0000:01:00): 48, DBE", "gpu-lost"),
        ("NVRM: Xid (PCI:0000:01:00): 31, pid=7, MMU Fault", "gpu-fault:Xid 31"),
        ("NVRM: Xid (PCI:0000:01:00): 13, Graphics Exception", "gpu-fault:Xid 13"),
    ],
)
def test_an_xid_blames_the_gpu_or_the_program(line, rule):
    """Faults that the driver books on the program are no lost GPU, and no retry helps them."""
    made = at(hits={"xid": hits(line), "gpu_lost": hits(line)})
    both = [*machine.gpu_lost(made), *machine.gpu_fault(made)]
    assert found(both) == [rule]
    assert len(both[0].evidence) == 1
    assert both[0].retry is (rule == "gpu-lost")


def test_throttling_names_share_reason_and_clock():
    """More than a quarter of the samples; the arithmetic says what it did to the clock."""
    slow = [0.0] * 60 + [1.0] * 40
    clock = gpu("clock_sm", [1.9e9 if not each else 1.2e9 for each in slow])
    why = event("gpu_throttled", {"ordinal": 0, "reason": "hw_thermal"})
    (one,) = machine.gpu_throttled(at(gpu("throttled", slow), clock, events=[why]))
    assert one.title == "GPU 0 was slowed down in 40% of the samples (hw_thermal)"
    assert one.arithmetic == "40 of 100 samples = 40% > 25%; clock 1.20 GHz, else 1.90 GHz"


@pytest.mark.parametrize("values", [[0.0] * 90 + [1.0] * 30, [1.0] * 11, []])
def test_some_throttling_or_few_samples_are_no_finding(values):
    """A quarter is not more than a quarter; a minute of samples proves nothing."""
    assert found(machine.gpu_throttled(at(gpu("throttled", values)))) == []


def test_a_threshold_of_the_spec_counts():
    """[findings] throttled moves the line."""
    made = at(
        gpu("throttled", [0.0] * 90 + [1.0] * 30),
        record=record(thresholds={"throttled": 0.2}),
    )
    assert found(machine.gpu_throttled(made)) == ["gpu-throttled:GPU 0"]


def test_a_driver_that_asks_for_a_reset_is_told():
    """The recovery action of a GPU of this run; `none` and unknown are silent."""
    ill = Gpu(uuid="GPU-a", recovery="reset")
    foreign = Gpu(uuid="GPU-x", recovery="reset")
    fine = [Gpu(uuid="GPU-b", recovery="none"), Gpu(uuid="GPU-c")]
    events = [seen(0), seen(1, "GPU-b"), seen(2, "GPU-c")]
    made = at(events=events, machine=reading(ill, foreign, *fine))
    (one,) = machine.gpu_unhealthy(made)
    assert (one.key, one.severity) == ("gpu-unhealthy:GPU 0", "error")


@pytest.mark.parametrize(
    ("values", "severity"), [([0.0, 2.0], "error"), ([2.0, 2.0], "warn"), ([0.0, 0.0], None)]
)
def test_memory_errors_weigh_more_when_they_are_new(values, severity):
    """Errors of this attempt are an error, old ones a warning, none is none."""
    told = list(machine.gpu_unhealthy(at(gpu("ecc_uncorrected", values))))
    assert [one.severity for one in told] == ([severity] if severity else [])


def test_leased_gpus_without_a_step_are_idle_and_cost():
    """Utilization below 5% for 15 minutes and no step: the cost is in the arithmetic."""
    both = [gpu("utilization", [0.01] * HOUR, ordinal=k) for k in (0, 1)]
    (one,) = machine.gpu_idle(at(*both, loss(0.0), gpus=2))
    assert one.title == "2 leased GPUs idle, no step for 1 h 00 min"
    assert one.arithmetic.endswith("2 GPUs × 1.00 h = 2.00 GPU-hours so far")


@pytest.mark.parametrize(
    ("used", "last", "more"),
    [
        ([0.01] * HOUR, 3000.0, {}),
        ([0.01] * (HOUR - 5) + [0.5] * 5, 0.0, {}),
        ([0.01] * HOUR, 0.0, {"gpus": 0}),
        ([0.01] * HOUR, 0.0, {"ended": True}),
        ([0.01] * 20, 0.0, {}),
        ([0.01] * HOUR, 0.0, {"started": None}),
        ([0.01] * HOUR, 0.0, {"started": 3000.0}),
    ],
    ids=["steps", "at work", "none leased", "ended", "few samples", "unknown start", "just begun"],
)
def test_what_works_or_may_work_is_not_idle(used, last, more):
    """Steps, a burst of work, no lease, an end, or too little knowledge: silence."""
    assert found(machine.gpu_idle(at(gpu("utilization", used), loss(last), **more))) == []


def test_one_gpu_of_several_that_does_nothing_is_named():
    """Also while the others step: the run has leased more than it uses."""
    made = at(
        gpu("utilization", [0.9] * HOUR),
        gpu("utilization", [0.0] * HOUR, ordinal=1),
        loss(3599.0),
        gpus=2,
    )
    (one,) = machine.gpu_idle(made)
    assert one.title == "GPU 1 does nothing while GPU 0 works"


def test_a_gpu_whose_utilization_is_unknown_is_not_called_idle():
    """Of two GPUs only one tells: nothing is known of all."""
    made = at(
        gpu("utilization", [0.0] * HOUR), gpu("power", [60.0] * HOUR, ordinal=1), loss(0.0), gpus=2
    )
    assert found(machine.gpu_idle(made)) == []


def spinning(power=90.0, used=1.0, limit=400.0, **more):
    series = (gpu("utilization", [used] * HOUR), gpu("power", [power] * HOUR))
    events = [seen()]
    return at(
        *series,
        loss(100.0),
        events=events,
        machine=reading(Gpu(uuid="GPU-a", power_limit=limit)),
        **more,
    )


def test_full_utilization_at_low_power_without_steps_is_a_hang():
    """Watts against the limit, by the numbers."""
    (one,) = machine.gpu_spinning(spinning())
    assert one.arithmetic == "90 W of 400 W = 22% ≤ 35% at 100% utilization"
    assert one.retry is True


@pytest.mark.parametrize(
    "made",
    [
        spinning(power=300.0),
        spinning(used=0.6),
        spinning(limit=None),
        spinning(idle=10.0),
        spinning(ended=True),
    ],
    ids=["power", "not full", "limit unknown", "it prints", "ended"],
)
def test_a_gpu_at_work_does_not_spin(made):
    """High power, gaps, an unknown limit, log lines: no hang."""
    assert found(machine.gpu_spinning(made)) == []


def held(*processes, known=(1,), owners=None, **more):
    one = Gpu(uuid="GPU-a", memory_total=80 * GIB, processes=processes)
    owned = {7: "ada: python old.py"} if owners is None else owners
    return at(
        events=[seen()],
        machine=reading(one, known_pids=frozenset(known), owners=owned),
        **more,
    )


OURS, OLD = GpuProcess(pid=1, memory=GIB), GpuProcess(pid=7, memory=40 * GIB)


def test_a_foreign_process_that_holds_memory_is_named_with_its_owner():
    """Pid, owner, how much, and the command that ends it."""
    (one,) = machine.zombie_holder(held(OURS, OLD))
    assert "pid 7 (ada: python old.py) holds 40.00 GiB of GPU 0" in one.title
    assert one.arithmetic == "40.00 GiB of 80.00 GiB = 50%"
    assert one.action.endswith("kill 7")


@pytest.mark.parametrize(
    "made",
    [
        held(OURS),
        held(OLD),
        held(OURS, OLD, known=(1, 7)),
        held(OURS, OLD, known=()),
        held(OURS, OLD, owners={}),
        held(OURS, GpuProcess(pid=7, memory=GIB)),
        held(OURS, GpuProcess(pid=7)),
        held(OURS, OLD, record=record()),
    ],
    ids=[
        "ours alone",
        "pids of another container",
        "of a known run",
        "nobody looked",
        "owner unknown",
        "a desktop",
        "memory unknown",
        "no lease",
    ],
)
def test_who_may_be_ours_is_no_zombie(made):
    """Nobody is offered to be killed on a guess."""
    assert found(machine.zombie_holder(made)) == []


def test_samples_of_another_attempt_are_another_gpus():
    """`gpu.0` of attempt 1 says nothing of attempt 2."""
    made = at(gpu("throttled", [1.0] * 100, attempt=1), attempt=2)
    assert found(machine.gpu_throttled(made)) == []
