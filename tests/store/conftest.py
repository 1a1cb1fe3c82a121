import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator.domain.criterion import Criterion, Evidence, Reading, State, Verdict
from orchestrator.domain.criterion import Kind as CriterionKind
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.run import (
    AttemptState,
    Command,
    ExitRecord,
    Identity,
    Outcome,
    Phase,
    RunRecord,
    RunState,
    RunStatus,
    TicketRef,
)
from orchestrator.store.index import Index
from orchestrator.workspace import RunFolder


def point(step, time=None, **metrics):
    """A line of points; `train__loss` in a keyword stands for `train/loss`."""
    names = {name.replace("__", "/"): value for name, value in metrics.items()}
    record = {"step": step, "time": float(step) if time is None else time, "metrics": names}
    return json.dumps(record) + "\n"


def event(name, time=0.0, step=None, **data):
    """A line with an event."""
    return json.dumps({"event": name, "time": time, "step": step, "data": data}) + "\n"


@dataclass(frozen=True)
class Shelf:
    """Run folders with event files, written as training writes them."""

    root: Path
    database: Path = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "database", self.root / "exp.db")

    def run(self, number=1):
        folder = RunFolder(self.root / "runs" / f"R-{number:06d}")
        folder.path.mkdir(parents=True, exist_ok=True)
        return folder

    def file(self, run=1, attempt=1, rank=0):
        folder = self.run(run).attempt(attempt).path
        folder.mkdir(exist_ok=True)
        return folder / f"events-host-{rank}-100.jsonl"

    def log(self, *lines, run=1, attempt=1, rank=0):
        """Append text to one event file."""
        path = self.file(run, attempt, rank)
        with path.open("ab") as file:
            for line in lines:
                file.write(line if isinstance(line, bytes) else line.encode())
        return path

    def fresh_dump(self, *runs, fill=lambda _index: None):
        """What a database looks like that reads the same files for the first time."""
        path = self.root / "fresh.db"
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        with Index(path) as index:
            for run in runs or (1,):
                index.ingest(self.run(run))
            fill(index)
            return index.dump()


@pytest.fixture
def shelf(tmp_path):
    """A folder with a space, a quote and a percent sign in its name."""
    root = tmp_path / "a lab's 100% ü?#"
    root.mkdir()
    return Shelf(root)


@pytest.fixture
def index(shelf):
    """An open index."""
    with Index(shelf.database) as opened:
        yield opened


def record_of(number=1, **more):
    """run.json of a run."""
    values = {
        "id": f"R-{number:06d}",
        "created": 1000.0 + number,
        "host": "box",
        "cwd": "/somewhere",
        "commands": (Command(phase=Phase.TRAIN, argv=("python", "train.py")),),
        "ticket": TicketRef(id="T-0017", path="tickets/T-0017.md", title="Learn", blob="abc"),
        "params": {"lr": 1e-4},
        "planned_steps": 100,
    }
    return RunRecord(**values | more)


def running(attempt=1, **more):
    """The state of a run at work."""
    process = Identity(pid=4242, start_ticks=7, boot_id="boot", host="box")
    state = AttemptState(number=attempt, started=1001.0, process=process, alive=True)
    values = {"status": RunStatus.RUNNING, "outcome": None, "attempt": state, "why": "running"}
    return RunState(**values | more)


def ended(attempt=1, outcome=Outcome.COMPLETED):
    """The state of a run that is over."""
    gone = ExitRecord(
        code=0, signal=None, started=1001.0, ended=1060.0, recorded_by="shim", max_rss=5 << 20
    )
    state = AttemptState(number=attempt, started=1001.0, exit=gone)
    return RunState(status=RunStatus.ENDED, outcome=outcome, attempt=state, why="all done")


def criterion(key="k1", text="pass@1 > 5%"):
    """A criterion of a ticket."""
    reading = Reading(kind=CriterionKind.THRESHOLD)
    return Criterion(
        key=key, text=text, section="Acceptance Criteria", required=True, reading=reading
    )


def verdict(value=0.11, **more):
    """A verdict with its evidence."""
    evidence = Evidence(kind="point", text="pass@1 = 0.11", source="attempt-1/a", line=7, step=9)
    values = {
        "state": State.MET,
        "final": False,
        "why": "0.11 > 0.05",
        "value": value,
        "margin": 0.06,
        "unit": "%",
        "evidence": evidence,
    }
    return Verdict(**values | more)


def checkpoint(step=10, **more):
    """A valid checkpoint."""
    values = {"step": step, "path": f"checkpoints/step_{step}", "bytes": 5, "files": 2}
    return Checkpoint(**values | {"time": 3.5, "valid": True, "attempt": 1} | more)


@pytest.fixture
def make():
    """Factories of what the watcher puts into the index."""

    @dataclass(frozen=True)
    class Make:
        point = staticmethod(point)
        event = staticmethod(event)
        record = staticmethod(record_of)
        running = staticmethod(running)
        ended = staticmethod(ended)
        criterion = staticmethod(criterion)
        verdict = staticmethod(verdict)
        checkpoint = staticmethod(checkpoint)

    return Make
