"""Room on the disk: what failed, what will fail, and what is only large."""

import pytest
from diagnose.cases import case, curve, event, found, hits

from orchestrator.diagnose.case import Machine
from orchestrator.diagnose.rules import disk
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.hardware import HostReading

GIB = 1 << 30
HOST = "attempt-1/telemetry.jsonl"


def saved(step, size=10 * GIB, *, files=4, valid=True):
    return Checkpoint(
        step=step, path=f"checkpoints/step_{step}/model.pt", bytes=size, files=files,
        time=float(step), valid=valid, attempt=1,
    )  # fmt: skip


def at(free=None, inodes=None, *, done=200, planned=1000, **fields):
    loss = curve("train/loss", [1.0] * done)
    fields.setdefault("checkpoints", [saved(100), saved(200)])
    host = HostReading(time=0.0, disk_free=free, inodes_free=inodes)
    return case(curves=[loss], planned=planned, started=0.0, machine=Machine(host=host), **fields)


def test_the_forecast_is_saves_times_size_against_what_is_free():
    """8 more saves of 10 GiB do not fit into 50."""
    (one,) = disk.disk_full(at(50 * GIB))
    assert one.severity == "error"
    assert one.arithmetic == "8 × 10.00 GiB of checkpoints = 80.00 GiB > 95% of 50.00 GiB"
    assert [quote.source for quote in one.evidence] == ["host", "checkpoints/step_200/model.pt"]


def test_a_forecast_that_nearly_fills_the_disk_is_a_warning():
    """80 of 82 GiB is more than 95%."""
    (one,) = disk.disk_full(at(82 * GIB))
    assert one.severity == "warn"


def test_logs_are_part_of_the_forecast():
    """2 GiB at a fifth of the way are 8 more."""
    (one,) = disk.disk_full(at(84 * GIB, written=2 * GIB))
    assert one.arithmetic.startswith(
        "8 × 10.00 GiB of checkpoints + 8.00 GiB of logs = 88.00 GiB >"
    )


def test_inodes_run_out_too():
    """32 files for 20 inodes, though there is room."""
    (one,) = disk.disk_full(at(1000 * GIB, 20))
    assert one.arithmetic == "32 files > 95% of 20 inodes"


@pytest.mark.parametrize(
    "made",
    [
        at(200 * GIB),
        at(None),
        at(50 * GIB, planned=None),
        at(50 * GIB, ended=True),
        at(50 * GIB, checkpoints=[]),
        at(50 * GIB, events=[event("checkpoint", {}, step=s) for s in (50, 100, 150, 200)]),
    ],
    ids=["room", "unknown", "no plan", "ended", "never saved", "it removes old ones"],
)
def test_no_forecast_without_numbers(made):
    """Room enough, an end, or something unknown: silence."""
    assert found(disk.disk_full(made)) == []


def test_a_write_that_failed_is_told_with_what_is_free():
    """The line of the log is the evidence, also after the end."""
    line = "OSError: [Errno 28] No space left on device"
    (one,) = disk.disk_full(at(0, ended=True, hits={"no_space": hits(line)}))
    assert one.title == f"A write failed: {line}"
    assert one.arithmetic == "1 line of it; 0.00 GiB free now"
    assert one.retry is False


@pytest.mark.parametrize(
    ("free", "arithmetic"),
    [(5 * GIB, "5.00 GiB < 10.00 GiB"), (11 * GIB, None)],
)
def test_less_than_one_save_is_little(free, arithmetic):
    """The next checkpoint would not fit."""
    made = at(free, planned=None)
    assert [one.arithmetic for one in disk.disk_low(made)] == ([arithmetic] if arithmetic else [])


def trend(values):
    """Free room every minute, beside a loss at a step a second; an hour is still to go."""
    times = [60.0 * n for n in range(len(values))]
    steps = [60 * n for n in range(len(values))]
    room = curve("system/disk_free", values, steps=steps, times=times, source=HOST)
    loss = curve("train/loss", [1.0] * 1200)
    return case(curves=[loss, room], planned=1200 + 3600, started=0.0, now=1200.0)


def test_a_disk_that_somebody_fills_is_told_before_it_is_full():
    """1 GiB a minute for an hour is more than the 30 left, whoever writes it."""
    (one,) = disk.disk_low(trend([(50 - n) * GIB for n in range(21)]))
    assert one.arithmetic == "60.00 GiB × 1.0 h = 60.00 GiB > 30.00 GiB"


@pytest.mark.parametrize(
    "values",
    [
        [50 * GIB] * 10 + [30 * GIB] * 11,
        [(500 - n) * GIB for n in range(21)],
        [(30 + n) * GIB for n in range(21)],
        [(50 - 3 * n) * GIB for n in range(5)],
    ],
    ids=["one large file", "room enough", "it grows", "minutes only"],
)
def test_one_file_or_a_moment_is_no_trend(values):
    """It must go on in both halves of ten minutes and more."""
    assert found(disk.disk_low(trend(values))) == []
