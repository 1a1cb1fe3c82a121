"""Every path the tool owns: the workspace, its run folders and their attempts."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import EnvironmentFailure, NotFoundError
from orchestrator.ids import RUN_ID, run_id, run_number

_LOG = re.compile(r"out\.log([.-][0-9]+)?")
MARKERS = (".exp", "exp.toml", "tickets")
_EVENTS = re.compile(r"events-.*\.jsonl|telemetry\.jsonl", re.DOTALL)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


@dataclass(frozen=True, slots=True)
class AttemptFolder:
    """`attempt-N/`: what one launch of the commands left behind."""

    path: Path
    number: int

    @property
    def request_file(self) -> Path:
        """What the attempt executes, on whose wish; written before anything of it runs."""
        return self.path / "request.json"

    @property
    def lease_file(self) -> Path:
        """The GPUs and CPU slots the attempt was given."""
        return self.path / "lease.json"

    @property
    def waiting_file(self) -> Path:
        """What a queued attempt waits for."""
        return self.path / "waiting.json"

    @property
    def config_file(self) -> Path:
        """Resolved parameters, if they differ from the run's."""
        return self.path / "config.json"

    @property
    def failure_file(self) -> Path:
        """Why the attempt did not complete, and whether another one follows."""
        return self.path / "failure.json"

    @property
    def telemetry_file(self) -> Path:
        """Samples of GPUs, host and process tree while the attempt ran."""
        return self.path / "telemetry.jsonl"

    @property
    def elastic_folder(self) -> Path:
        """Where torchrun lets each worker write the error that ended it."""
        return self.path / "elastic"

    @property
    def elastic_error_file(self) -> Path:
        """The worker's error that torchrun takes for the root cause."""
        return self.path / "elastic-error.json"

    @property
    def process_file(self) -> Path:
        """Identity of the shim."""
        return self.path / "proc.json"

    @property
    def exit_file(self) -> Path:
        """How the attempt ended, written exactly once."""
        return self.path / "exit.json"

    @property
    def stop_file(self) -> Path:
        """Who asked for a stop, and why; written before the signal is sent."""
        return self.path / "stop.json"

    @property
    def log(self) -> Path:
        """Stdout and stderr of the commands, their own descriptor."""
        return self.path / "out.log"

    def logs(self) -> list[Path]:
        """The log with what others have made of it by rotation (`out.log.1`), oldest first.

        The commands go on writing to the file that was renamed: it is theirs by descriptor.
        """
        found = [path for path in self.path.glob("out.log*") if self.is_log(path.name)]
        return sorted(found, key=lambda path: (_modified(path), path.name))

    @staticmethod
    def is_log(name: str) -> bool:
        """Whether a file of the attempt's folder is the log or what rotation has made of it."""
        return _LOG.fullmatch(name) is not None

    def event_files(self) -> list[Path]:
        """Files of points and events, in name order; the samples of the hardware last."""
        try:
            names = sorted(os.listdir(self.path))  # noqa: PTH208 - a tenth of the time, every tick
        except FileNotFoundError:
            return []
        return [self.path / name for name in names if _EVENTS.fullmatch(name)]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`.exp/runs/R-000042/`: the truth about one run."""

    path: Path

    @property
    def id(self) -> str:
        """`R-000042`."""
        return self.path.name

    @property
    def record_file(self) -> Path:
        """run.json, written once at launch."""
        return self.path / "run.json"

    @property
    def config_file(self) -> Path:
        """Resolved parameters, for the training program to read."""
        return self.path / "config.json"

    @property
    def patch(self) -> Path:
        """Local changes against the commit at launch."""
        return self.path / "snapshot.patch"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints, one folder a step."""
        return self.path / "checkpoints"

    @property
    def published_file(self) -> Path:
        """published.json: the ticket, report and commit of this run's end are done."""
        return self.path / "published.json"

    @property
    def milestones_file(self) -> Path:
        """milestones.json: what the commits of this run have told."""
        return self.path / "milestones.json"

    @property
    def ticked_file(self) -> Path:
        """ticked.json: keys of the boxes that this run has ticked."""
        return self.path / "ticked.json"

    @property
    def notices_file(self) -> Path:
        """notices.jsonl: what people were told of this run, and what came of it."""
        return self.path / "notices.jsonl"

    @property
    def findings_file(self) -> Path:
        """findings.json: what was found to be wrong with this run, open and closed."""
        return self.path / "findings.json"

    def forensics(self, number: int) -> Path:
        """`forensics/attempt-N/`: what is kept of an attempt that went wrong."""
        return self.path / "forensics" / f"attempt-{number}"

    def attempt(self, number: int) -> AttemptFolder:
        """Folder of attempt `number`, counted from 1."""
        return AttemptFolder(self.path / f"attempt-{number}", number)

    def attempts(self) -> list[AttemptFolder]:
        """Attempts that exist, oldest first."""
        found = []
        number = 1
        while (folder := self.attempt(number)).path.is_dir():
            found.append(folder)
            number += 1
        return found


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder with tickets/ and, once something ran, .exp/."""

    root: Path

    @property
    def tickets(self) -> Path:
        """Folder of ticket files."""
        return self.root / "tickets"

    @property
    def experiments(self) -> Path:
        """Folder of experiment specs and programs."""
        return self.root / "experiments"

    @property
    def templates(self) -> Path:
        """The workspace's own templates; they win over the shipped ones."""
        return self.root / "templates"

    @property
    def state(self) -> Path:
        """`.exp`, ignored by git through a .gitignore of its own."""
        return self.root / ".exp"

    @property
    def runs(self) -> Path:
        """Folder of run folders."""
        return self.state / "runs"

    @property
    def database(self) -> Path:
        """The index; it can always be rebuilt from files."""
        return self.state / "exp.db"

    @property
    def damaged_database(self) -> Path:
        """An index that was found damaged and has been made again, for a person to look at."""
        return self.state / "exp.db.damaged"

    @property
    def watcher_lock(self) -> Path:
        """Held by the one process that may write the index."""
        return self.state / "watcher.lock"

    @property
    def watcher_log(self) -> Path:
        """What the watcher had to say."""
        return self.state / "watcher.log"

    @property
    def unsent_file(self) -> Path:
        """Exists while a notice is still to be sent."""
        return self.state / "unsent"

    def lock_file(self, name: str) -> Path:
        """A lock named after what it guards."""
        return self.state / "locks" / f"{name}.lock"

    def prepare_state(self) -> None:
        """Create `.exp/` with the .gitignore that hides it.

        Raises:
            EnvironmentFailure: the workspace cannot be written.
        """
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            ignore = self.state / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as error:
            raise EnvironmentFailure(
                f"cannot create {self.state}: {error.strerror}",
                hint=f"make {self.root} writable, or set EXP_WORKSPACE to a folder that is",
            ) from error

    def run_folders(self) -> Iterator[RunFolder]:
        """Run folders in the order of their ids, without reading them."""
        try:
            names = [entry.name for entry in os.scandir(self.runs)]
        except FileNotFoundError:
            return
        runs = self.runs
        for name in sorted(filter(RUN_ID.fullmatch, names), key=run_number):
            yield RunFolder(runs / name)

    def run(self, text: str) -> RunFolder:
        """The folder of a run that exists.

        Raises:
            NotFoundError: there is no such run.
        """
        folder = RunFolder(self.runs / run_id(run_number(text)))
        if not folder.path.is_dir():
            raise NotFoundError(f"no run {folder.id} in {self.root}", hint="exp run list")
        return folder

    def create_run(self) -> RunFolder:
        """Make the folder of the next run; `mkdir` decides between two who ask at once.

        Raises:
            EnvironmentFailure: the folder cannot be created.
        """
        self.prepare_state()
        number = max((run_number(folder.id) for folder in self.run_folders()), default=0)
        while True:
            number += 1
            folder = RunFolder(self.runs / run_id(number))
            try:
                folder.path.mkdir()
            except FileExistsError:
                continue
            except OSError as error:
                raise EnvironmentFailure(
                    f"cannot create {folder.path}: {error.strerror}", hint=f"df -h {self.root}"
                ) from error
            return folder


def find_workspace(start: Path | None = None) -> Workspace:
    """The workspace around `start` (default: the current folder), or the one EXP_WORKSPACE names.

    A folder is a workspace if it holds `.exp/`, `exp.toml` or `tickets/`; the nearest one wins.

    Raises:
        NotFoundError: neither the folder nor any above it is one.
    """
    override = os.environ.get("EXP_WORKSPACE")
    if override:
        root = Path(override).expanduser().absolute()
        if not root.is_dir():
            raise NotFoundError(
                f"EXP_WORKSPACE names {root}, which is no folder", hint="unset EXP_WORKSPACE"
            )
        return Workspace(root)
    origin = (start or Path.cwd()).absolute()
    for folder in (origin, *origin.parents):
        if any((folder / marker).exists() for marker in MARKERS):
            return Workspace(folder)
    raise NotFoundError(
        f"no workspace in {origin} or above it (looked for {', '.join(MARKERS)})",
        hint="exp init",
    )
