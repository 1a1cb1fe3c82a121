import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.codec import encode
from orchestrator.domain.run import Command, Phase, RunRecord, Track
from orchestrator.store import Reader
from orchestrator.store.index import Index
from orchestrator.workspace import RunFolder

BEGUN = 1000.0


@dataclass(frozen=True)
class Place:
    """A workspace with one run folder, filled as programs fill it."""

    root: Path

    @property
    def run(self):
        return RunFolder(self.root / ".exp" / "runs" / "R-000001")

    def record(self, *, track=None, planned=None):
        """Write run.json."""
        record = RunRecord(
            id="R-000001",
            created=BEGUN - 1,
            host="box",
            cwd=str(self.root),
            commands=(Command(phase=Phase.TRAIN, argv=("python", "train.py")),),
            track=track or Track(),
            planned_steps=planned,
        )
        self.run.record_file.write_bytes(encode(record))

    def attempt(self, number=1, begun=BEGUN):
        """Begin an attempt at a time."""
        folder = self.run.attempt(number).path
        folder.mkdir(parents=True, exist_ok=True)
        process = folder / "proc.json"
        process.write_text("{}")
        os.utime(process, (begun, begun))
        return folder

    def write(self, path, data, *, at=None, more=False):
        """Write or append to a file below the run folder, or with / before it the workspace."""
        target = self.root / path[1:] if path.startswith("/") else self.run.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab" if more else "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        if at is not None:
            os.utime(target, (at, at))
        return target

    @property
    def database(self):
        return self.root / ".exp" / "exp.db"

    def series(self):
        """name → (attempt-blind) steps and values as the index has them."""
        with Reader(self.database) as reader:
            names = sorted(reader.series("R-000001"))
            histories = {name: reader.history("R-000001", name) for name in names}
        return {name: list(zip(h.steps, h.values, strict=True)) for name, h in histories.items()}

    def sources(self):
        """path → row of every file that was read."""
        with Reader(self.database) as reader:
            return {source.path: source for source in reader.sources("R-000001")}

    def fresh_dump(self):
        """What a database looks like that reads everything for the first time."""
        path = self.root / "fresh.db"
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        with Index(path) as index:
            index.ingest(self.run)
            return index.dump()


@pytest.fixture
def place(tmp_path):
    """A workspace whose run has begun its first attempt."""
    root = tmp_path / "a lab's ü %d"
    (root / ".exp" / "runs" / "R-000001").mkdir(parents=True)
    made = Place(root)
    made.attempt()
    return made


@pytest.fixture
def index(place):
    """An open index."""
    with Index(place.database) as opened:
        yield opened
