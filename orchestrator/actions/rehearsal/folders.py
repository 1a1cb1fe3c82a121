"""Where rehearsals lie: `.exp/rehearsals/T-0017/`, a folder for each and in it one for each stage.

A stage's folder looks like that of a run, so that whatever reads runs can read it.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.codec import encode, read_record_if_present
from orchestrator.domain.rehearsal import Rehearsal
from orchestrator.errors import EnvironmentFailure
from orchestrator.fsio import write_atomic
from orchestrator.workspace import RunFolder, Workspace

_RESULT = "rehearsal.json"


@dataclass(frozen=True, slots=True)
class Stamp:
    """The folder of one rehearsal, named after its time."""

    path: Path

    @property
    def result_file(self) -> Path:
        """What came of it; absent while it goes on, and of one that was broken off."""
        return self.path / _RESULT

    def stage(self, name: str) -> RunFolder:
        """The folder of one stage."""
        return RunFolder(self.path / name)

    def stages(self) -> list[RunFolder]:
        """The folders of the stages that there are."""
        return [RunFolder(path) for path in sorted(self.path.iterdir()) if path.is_dir()]

    def drop_checkpoints(self) -> None:
        """Free the room that the checkpoints of all stages take."""
        for folder in self.stages():
            shutil.rmtree(folder.checkpoints, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsals:
    """The folder of all rehearsals of one ticket."""

    workspace: Workspace
    ticket: str

    @property
    def path(self) -> Path:
        """`.exp/rehearsals/T-0017`."""
        return self.workspace.state / "rehearsals" / self.ticket

    @property
    def lock_file(self) -> Path:
        """Held by the one process that rehearses the ticket."""
        return self.workspace.lock_file(f"rehearsal-{self.ticket}")

    def newest(self) -> Rehearsal | None:
        """The newest result.

        Raises:
            InvalidFileError: it was written by another version, or torn.
        """
        return read_record_if_present(Rehearsal, self.path / _RESULT)

    def create(self) -> Stamp:
        """Make the folder of a rehearsal that begins now.

        Raises:
            EnvironmentFailure: it cannot be made.
        """
        self.workspace.prepare_state()
        name = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime())
        for number in range(1, 1000):
            path = self.path / (name if number == 1 else f"{name}-{number}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise EnvironmentFailure(
                    f"cannot create {path}: {error.strerror}", hint=f"df -h {self.workspace.root}"
                ) from error
            return Stamp(path)
        raise EnvironmentFailure(f"{self.path} is full of folders of this second")

    def keep(self, stamp: Stamp, result: Rehearsal) -> None:
        """Write a result as the newest, and remove what no longer tells anything.

        The newest rehearsal that failed and the newest that passed stay, the checkpoints only of
        one that failed: somebody will want to look at them.
        """
        try:
            write_atomic(stamp.result_file, encode(result))
        except EnvironmentFailure:  # the programs may have filled the disk
            stamp.drop_checkpoints()
            write_atomic(stamp.result_file, encode(result))
        write_atomic(self.path / _RESULT, encode(result))
        if not result.failed:
            stamp.drop_checkpoints()
        kept = {stamp.path, self._newest_of(failed=True), self._newest_of(failed=False)}
        for other in self.stamps():
            if other.path not in kept:
                shutil.rmtree(other.path, ignore_errors=True)

    def stamps(self) -> Iterator[Stamp]:
        """The folders of rehearsals, newest first."""
        with suppress(FileNotFoundError):
            for path in sorted(self.path.iterdir(), key=_age):
                if path.is_dir():
                    yield Stamp(path)

    def _newest_of(self, *, failed: bool) -> Path | None:
        for stamp in self.stamps():
            with suppress(Exception):  # one of an earlier version tells nothing any more
                result = read_record_if_present(Rehearsal, stamp.result_file)
                if result is not None and bool(result.failed) is failed:
                    return stamp.path
        return None


def _age(path: Path) -> tuple[float, str]:
    """Sorts newest first; the name decides between folders of one moment."""
    return -path.stat().st_mtime, path.name
