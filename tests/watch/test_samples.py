"""What one attempt's telemetry.jsonl is told, sample by sample."""

import json
import resource
import signal
from dataclasses import replace

import pytest

from orchestrator.domain.hardware import Gpu, GpuReading, HostReading, TreeReading
from orchestrator.domain.point import Event, Position
from orchestrator.watch.sampler import Sample
from orchestrator.watch.samples import Recorder
from orchestrator.workspace import AttemptFolder

FIRST = Gpu(uuid="GPU-a", index=0, name="One", memory_used=1)
SECOND = Gpu(uuid="GPU-b", index=1, name="Two", memory_used=2)
AT = Position(attempt=1, segment=0, step=0, time=1.0, source="attempt-1/telemetry.jsonl", line=1)


@pytest.fixture
def attempt(tmp_path):
    """An attempt that has written nothing."""
    return AttemptFolder(tmp_path, 1)


def sample(*gpus, problem=None):
    """A sample in which these GPUs were read, or none could be."""
    known = None if problem else gpus
    return Sample(
        time=5.0,
        gpus=GpuReading(time=5.0, gpus=known, problem=problem),
        host=HostReading(time=5.0),
        trees={},
    )


def read(attempt):
    """Every line."""
    return [json.loads(line) for line in attempt.telemetry_file.read_text().splitlines()]


def told(attempt):
    """Name and ordinal of the events."""
    return [(r["event"], r["data"].get("ordinal")) for r in read(attempt) if "event" in r]


def test_a_disk_that_is_full_loses_that_sample_alone(attempt, caplog):
    """A sample that cannot be written is told of once; what happened is told by the next one."""
    attempt.telemetry_file.symlink_to("/dev/full")
    recorder = Recorder(attempt, None, [])
    recorder.write(sample(FIRST), None, step=1)
    recorder.write(sample(FIRST), None, step=2)
    assert len(caplog.records) == 1
    assert "No space left" in caplog.text
    attempt.telemetry_file.unlink()
    recorder.write(sample(FIRST), None, step=3)
    assert told(attempt) == [("gpu", 0)]
    assert read(attempt)[-1] == {
        "step": 3,
        "time": 5.0,
        "metrics": {"system/gpu.0.memory_used": 1},
    }


def test_a_lease_numbers_its_gpus(attempt):
    """Ordinals are places in the lease, also of a GPU that is not there."""
    recorder = Recorder(attempt, ("GPU-x", "GPU-b"), [])
    recorder.write(sample(FIRST, SECOND), None, step=0)
    assert told(attempt) == [("gpu_lost", 0), ("gpu", 1)]
    assert read(attempt)[-1]["metrics"] == {"system/gpu.1.memory_used": 2}


def test_a_run_that_was_given_no_gpu_has_none(attempt):
    """An empty lease is not a missing one."""
    Recorder(attempt, (), []).write(sample(FIRST), None, step=0)
    assert read(attempt) == [{"step": 0, "time": 5.0, "metrics": {}}]


def test_ordinals_stay_when_the_driver_counts_anew(attempt):
    """A GPU keeps its ordinal when another one vanishes; one that is new comes behind them."""
    recorder = Recorder(attempt, None, [])
    recorder.write(sample(FIRST, SECOND), None, step=0)
    recorder.write(sample(replace(SECOND, index=0)), None, step=1)
    recorder.write(sample(Gpu(uuid="GPU-c"), SECOND), None, step=2)
    assert told(attempt) == [("gpu", 0), ("gpu", 1), ("gpu_lost", 0), ("gpu", 2)]
    values = [r["metrics"] for r in read(attempt) if "metrics" in r]
    assert values[1] == {"system/gpu.1.memory_used": 2}


def test_a_new_watcher_goes_on_where_the_last_one_was_killed(attempt):
    """From the events that the file holds follow the ordinals and what has been told."""
    first = Recorder(attempt, None, [])
    first.write(sample(SECOND, FIRST), None, step=0)
    first.write(sample(replace(SECOND, problem="gone"), FIRST), None, step=0)
    first.write(sample(problem="it hangs"), None, step=0)
    events = [Event(name=r["event"], data=r["data"], at=AT) for r in read(attempt) if "event" in r]
    before = told(attempt)
    second = Recorder(attempt, None, events)
    second.write(sample(problem="it hangs"), None, step=0)
    assert told(attempt) == before
    second.write(sample(FIRST, SECOND), None, step=0)
    assert told(attempt)[len(before) :] == [("gpu_reading", None), ("gpu_recovered", 0)]
    assert read(attempt)[-1]["metrics"]["system/gpu.0.memory_used"] == 2


def test_silence_of_the_driver_is_told_once(attempt):
    """A driver that does not answer is one event, and one when it answers again."""
    recorder = Recorder(attempt, None, [])
    recorder.write(sample(FIRST), None, step=0)
    for waited in (2, 7):
        recorder.write(sample(problem=f"NVML has not answered for {waited} s"), None, step=0)
    recorder.write(sample(FIRST), None, step=0)
    problems = [r["data"]["problem"] for r in read(attempt) if r.get("event") == "gpu_reading"]
    assert problems == ["NVML has not answered for 2 s", None]


def test_a_slowdown_is_told_once_a_reason(attempt):
    """A reason that comes and goes is one event; the series says when it held."""
    recorder = Recorder(attempt, None, [])
    for reasons in (("idle",), ("power_cap", "sw_thermal"), (), ("sw_thermal", "power_brake")):
        recorder.write(sample(replace(FIRST, throttle=reasons)), None, step=0)
    reasons = [r["data"]["reason"] for r in read(attempt) if r.get("event") == "gpu_throttled"]
    assert reasons == ["sw_thermal", "power_brake"]
    held = [r["metrics"]["system/gpu.0.throttled"] for r in read(attempt) if "metrics" in r]
    assert held == [0.0, 1.0, 0.0, 1.0]


def test_only_what_is_known_is_written(attempt):
    """Unknown values are left out, known ones are in SI units; the machine is told of once."""
    known = HostReading(
        time=5.0, cpu=0.25, memory_total=10, memory_available=4, disk_free=3, inodes_free=2
    )
    recorder = Recorder(attempt, (), [])
    tree = TreeReading(processes=3, memory=7, cpu=1.5)
    recorder.write(replace(sample(), host=known), tree, step=0)
    recorder.write(
        replace(sample(), host=replace(known, memory_available=None)),
        replace(tree, cpu=None),
        step=0,
    )
    machine, *points = read(attempt)
    assert (machine["event"], machine["data"]["memory_total"]) == ("host", 10)
    assert machine["data"]["cpus"] >= 1
    first, second = (r["metrics"] for r in points)
    assert first == {
        "system/cpu": 0.25,
        "system/memory_used": 6,
        "system/disk_free": 3,
        "system/inodes_free": 2,
        "system/tree_processes": 3,
        "system/tree_memory": 7,
        "system/tree_cpu": 1.5,
    }
    assert set(first) - set(second) == {"system/memory_used", "system/tree_cpu"}


def test_a_disk_that_fills_up_within_a_sample_keeps_none_of_it(attempt):
    """What was written of a sample is taken back, so that nothing is told by halves or twice."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python itself does
    recorder = Recorder(attempt, None, [])
    recorder.write(sample(FIRST), None, step=1)
    size = attempt.telemetry_file.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 150, limits[1]))
    try:
        recorder.write(sample(FIRST, SECOND), None, step=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert attempt.telemetry_file.stat().st_size == size
    recorder.write(sample(FIRST, SECOND), None, step=3)
    assert told(attempt) == [("gpu", 0), ("gpu", 1)]
