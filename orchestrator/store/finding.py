"""Which files of a run hold measurements, and which attempt each belongs to.

Read are, in this order: event files of our own and out.log; TensorBoard, CSV and JSONL files that
the programs wrote below the run folder; and what the spec declares below the workspace. A look
costs one `stat` a folder and one a file: a folder is listed again only when it changed.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from orchestrator.codec import read_record_if_present
from orchestrator.domain.run import ExitRecord, RunRecord, Track
from orchestrator.listing import NOTHING, Listing, Listings
from orchestrator.store.formats import (
    CSV,
    LOG,
    NO_RULES,
    TENSORBOARD,
    Format,
    Rules,
    format_of,
)
from orchestrator.workspace import AttemptFolder, RunFolder

_AFTER_END = 2.0  # seconds after an attempt's end in which its last writes may be dated
_MOST_FOLDERS = 2000  # looked through for one run
_MOST_FILES = 500
_LAUNCHERS = {"torchrun", "torch.distributed.run", "mpirun", "srun"}
_NOT_THEIRS = {"checkpoints", "forensics", "node_modules", "__pycache__"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file to be read; `name` is its path from the run folder, `format` None for our own events.

    `begun` is the time of lines that name none, `stamp` changes when the file does.
    """

    path: Path
    name: str
    attempt: int
    format: Format | None
    rules: Rules
    begun: float
    stamp: tuple[int, int]


class _Folders:
    """Folders that were looked into for files, to tell whether to look again."""

    def __init__(self) -> None:
        self._listings = Listings()
        self._looked: dict[str, Listing] = {}

    def begin(self) -> None:
        """Forget which folders mattered; the listings are kept."""
        self._looked = {}

    def unchanged(self) -> bool:
        """Whether every folder looked at since `begin` is as it was."""
        looked = self._looked.items()
        return bool(looked) and all(self._listings.list(path) is known for path, known in looked)

    def list(self, folder: str) -> Listing:
        """Names in a folder; nothing for one that is gone, or one too many."""
        if len(self._looked) >= _MOST_FOLDERS:
            return NOTHING
        listing = self._looked[folder] = self._listings.list(folder)
        return listing


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A file by its name; `attempt` is 0 where its time of change decides."""

    path: Path
    name: str
    attempt: int
    format: Format | None


class Finder:
    """The files of one run, from one look to the next."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._folders = _Folders()
        self._candidates: list[_Candidate] = []
        self._sources: dict[str, SourceFile] = {}
        self._rules = NO_RULES
        self._begun: dict[int, float] = {}
        self._known_begin: set[int] = set()

    def files(self) -> list[SourceFile]:
        """Every file of the run at this moment, in an order that follows from their names.

        Raises:
            InvalidFileError: run.json is damaged.
        """
        if not self._folders.unchanged():
            self._search()
        found = map(self._source, self._candidates)
        return [file for file in found if file is not None]

    def _search(self) -> None:
        """Look for files by their names, with the rules of the run and the times of its attempts.

        All of these change together with a folder: a record appears, an attempt begins or ends.
        """
        self._folders.begin()
        self._sources.clear()
        record = read_record_if_present(RunRecord, self.folder.record_file)
        track = Track() if record is None else record.track
        self._rules = NO_RULES if record is None else _rules_of(record)
        attempts = self.folder.attempts()
        created = 0.0 if record is None else record.created
        self._begun = {attempt.number: self._begin_of(attempt, created) for attempt in attempts}
        self._candidates = [
            _Candidate(Path(path), os.path.relpath(path, self.folder.path), number, form)
            for path, number, form in self._paths(attempts, track)
        ]

    def _begin_of(self, attempt: AttemptFolder, created: float) -> float:
        """When an attempt began: the shim writes proc.json before the first command."""
        try:
            begun = attempt.process_file.stat().st_mtime
        except OSError:
            return created
        self._known_begin.add(attempt.number)
        return begun

    def _source(self, candidate: _Candidate) -> SourceFile | None:
        """A file as it is now; one of no attempt's time is left out."""
        try:
            status = candidate.path.stat()
        except OSError:
            return None
        stamp = (status.st_size, status.st_mtime_ns)
        known = self._sources.get(candidate.name)
        if known is not None and known.stamp == stamp:
            return known
        number = candidate.attempt or self._attempt_at(status.st_mtime, candidate.name)
        if number == 0:
            return None
        source = self._sources[candidate.name] = SourceFile(
            path=candidate.path,
            name=candidate.name,
            attempt=number,
            format=candidate.format,
            rules=self._rules,
            begun=self._begun[number],
            stamp=stamp,
        )
        return source

    def _attempt_at(self, changed: float, name: str) -> int:
        """The attempt that wrote a file last; 0 for a file of the workspace that none wrote."""
        number = max((n for n, begin in self._begun.items() if begin <= changed), default=0)
        if not name.startswith(".."):
            return number or min(self._begun, default=0)
        if number not in self._known_begin:
            return 0
        end = read_record_if_present(ExitRecord, self.folder.attempt(number).exit_file)
        return number if end is None or changed <= end.ended + _AFTER_END else 0

    def _paths(
        self, attempts: list[AttemptFolder], track: Track
    ) -> Iterator[tuple[str, int, Format | None]]:
        """(path, attempt or 0 where its time decides, format) of every candidate."""
        for attempt in attempts:
            yield from self._of_attempt(attempt, track)
        theirs = {attempt.path.name for attempt in attempts} | _NOT_THEIRS
        for path in self._below(str(self.folder.path), theirs):
            if path != str(self.folder.notices_file):  # of the watcher, not of the programs
                yield path, 0, format_of(path)
        seen = set[str]()
        for pattern in track.files:
            root = str(self.folder.path.parents[2])  # of the workspace: .exp/runs/R-000001
            for path in self._matching(root, tuple(pattern.split("/"))):
                form = format_of(path)
                if form is not None and path not in seen and len(seen) < _MOST_FILES:
                    seen.add(path)
                    yield path, 0, form

    def _of_attempt(
        self, attempt: AttemptFolder, track: Track
    ) -> Iterator[tuple[str, int, Format | None]]:
        """What lies in the folder of an attempt: other files of lines in it are our own."""
        root = str(attempt.path)
        listing = self._folders.list(root)
        for name in listing.names:
            events = name.startswith("events-") and name.endswith(".jsonl")
            if events or name == attempt.telemetry_file.name:
                yield f"{root}/{name}", attempt.number, None
            elif attempt.is_log(name) and track.log:
                yield f"{root}/{name}", attempt.number, LOG
            elif format_of(name) in {TENSORBOARD, CSV} and name in listing.files:
                yield f"{root}/{name}", attempt.number, format_of(name)
        for path in self._below(root, _NOT_THEIRS, top=False):
            yield path, attempt.number, format_of(path)

    def _below(self, root: str, but: set[str], *, top: bool = True) -> Iterator[str]:
        """Files of measurements in a folder and those below it, without hidden ones."""
        listing = self._folders.list(root)
        for name in listing.files if top else ():
            if format_of(name) not in {None, LOG}:
                yield f"{root}/{name}"
        for name in listing.folders:
            if name not in but and not name.startswith("."):
                yield from self._below(f"{root}/{name}", _NOT_THEIRS)

    def _matching(self, root: str, parts: tuple[str, ...]) -> Iterator[str]:
        """Files below `root` that a pattern names; `**` stands for any number of folders.

        Links are not followed, so nothing outside is ever read.
        """
        part, rest = parts[0], parts[1:]
        listing = self._folders.list(root)
        if part == "**":
            if rest:
                yield from self._matching(root, rest)
            for name in listing.folders:
                if not name.startswith(".") and name not in _NOT_THEIRS:
                    yield from self._matching(f"{root}/{name}", parts)
            return
        names = listing.folders if rest else listing.files
        for name in names:
            if fnmatchcase(name, part) and (not name.startswith(".") or part.startswith(".")):
                path = f"{root}/{name}"
                yield from self._matching(path, rest) if rest else iter((path,))


def _rules_of(record: RunRecord) -> Rules:
    words = [Path(word).name for command in record.commands for word in command.argv]
    return Rules(
        patterns=record.track.patterns,
        planned=record.planned_steps,
        many=any(word in _LAUNCHERS for word in words),
    )
