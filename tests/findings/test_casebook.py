"""A case out of index and files."""

import math
import time

import pytest

from orchestrator.codec import encode
from orchestrator.diagnose.signs import LogScan
from orchestrator.domain.attempt import Failure
from orchestrator.domain.retry import Cause
from orchestrator.domain.run import Command, Phase, RunRecord, TicketRef
from orchestrator.store import Reader
from orchestrator.store.index import Index
from orchestrator.watch.casebook import case_of
from orchestrator.workspace import Workspace

TICKET = """# T-0001: Learn

**Status**: ONGOING

It ran at 26-30 it/s.

## Acceptance Criteria

- [ ] loss < 5

## Evidence

<!-- exp:begin evidence-R-000001 -->
ours: 99 it/s
<!-- exp:end evidence-R-000001 -->
"""


@pytest.fixture
def lab_run(tmp_path):
    """A run folder with points, telemetry, a log and a failure, and a ticket."""
    workspace = Workspace(tmp_path)
    workspace.tickets.mkdir()
    (workspace.tickets / "T-0001.md").write_text(TICKET)
    folder = workspace.create_run()
    attempt = folder.attempt(1)
    attempt.path.mkdir()
    points = [f'{{"step": {s}, "time": {s}, "metrics": {{"loss": {6 / s}}}}}' for s in range(1, 9)]
    (attempt.path / "events-h-0-1.jsonl").write_text("\n".join([*points, "torn{", ""]))
    sample = '{"step": 8, "time": 9, "metrics": {"system/cpu": 0.5}}\n'
    attempt.telemetry_file.write_text(sample * 2000)
    attempt.log.write_bytes(b"\x00\xff\x1b[31mhello\nCUDA out of memory. Tried to allocate 1 GiB\n")
    failure = Failure(cause=Cause.PROGRAM, evidence="e", fingerprint="f", retry=False, why="w")
    attempt.failure_file.write_bytes(encode(failure))
    ticket = TicketRef(id="T-0001", path="tickets/T-0001.md", title="Learn", blob="b")
    command = Command(phase=Phase.TRAIN, argv=("x",))
    record = RunRecord(
        id=folder.id, created=1.0, host="h", cwd="/", commands=(command,), ticket=ticket
    )
    folder.record_file.write_bytes(encode(record))
    return workspace, folder, record


def gathered(lab_run, **more):
    workspace, folder, record = lab_run
    with Index(workspace.database) as index, Reader(workspace.database) as reader:
        index.ingest(folder)
        return case_of(folder, record, reader, now=time.time(), **more)


def test_a_case_holds_what_index_and_files_tell(lab_run):
    """Curves with places, failures by attempt, what people wrote, and how much was written."""
    case = gathered(lab_run)
    loss = case.curves["loss"]
    assert loss.quote(-1).text == "loss = 0.75 at step 8"
    assert (loss.sources[-1], loss.lines[-1]) == ("attempt-1/events-h-0-1.jsonl", 8)
    assert case.max_step == 8
    assert case.failures[1].cause is Cause.PROGRAM
    assert (case.attempt, case.hits) == (1, {})
    sizes = [f.stat().st_size for f in lab_run[1].attempt(1).path.iterdir()]
    assert case.written == sum(sizes) - lab_run[1].attempt(1).failure_file.stat().st_size


def test_people_are_quoted_and_we_are_not(lab_run):
    """Neither our own blocks nor criteria are what somebody saw."""
    told = {quote.line: quote.text for quote in gathered(lab_run).reported}
    assert told[5] == "It ran at 26-30 it/s."
    assert not any("99 it/s" in text or "loss < 5" in text for text in told.values())


def test_samples_of_the_hardware_are_held_more_sparsely(lab_run):
    """Dozens of long series must not make a case large."""
    curve = gathered(lab_run).curves["system/cpu"]
    assert curve.total == 2000
    assert len(curve) < 1000


def test_hits_of_the_logs_are_those_of_the_scan(lab_run):
    """What was found in the logs is passed on."""
    scan = LogScan()
    scan.feed(1, "attempt-1/out.log", 1, lab_run[1].attempt(1).log.read_text(errors="replace"))
    hits = gathered(lab_run, scan=scan).hits
    assert hits["cuda_oom"].first[0].line == 2


@pytest.mark.parametrize("lost", ["ticket", "log", "failure", "points"])
def test_what_is_missing_or_torn_is_left_out(lab_run, lost):
    """A case can be made of whatever is left."""
    workspace, folder, _ = lab_run
    attempt = folder.attempt(1)
    if lost == "ticket":
        (workspace.tickets / "T-0001.md").unlink()
    elif lost == "failure":
        attempt.failure_file.write_text('{"cause": ')
        folder.attempt(2).path.mkdir()
    else:
        (attempt.log if lost == "log" else attempt.path / "events-h-0-1.jsonl").unlink()
    case = gathered(lab_run)
    assert (case.reported == ()) == (lost == "ticket")
    assert (case.failures == {}) == (lost == "failure")
    assert ("loss" in case.curves) == (lost != "points")
    assert case.idle >= 0
    assert math.isfinite(case.elapsed)
