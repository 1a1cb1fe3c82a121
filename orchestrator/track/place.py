"""Where a process writes: the run that `exp` made, or a local run of its own."""

import json
import os
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.track.checkpoints import replace_json, sync
from orchestrator.track.lines import plain

MARKERS = (".exp", "exp.toml", "tickets")
RUN_NAME = r"R-(\d{6,9})"  # compiled where it is used: importing must stay light
JOIN_SECONDS = 10.0
PRIVATE = (
    r"(?i)(^|[-_.])"
    r"((api|access|auth|secret|private|bearer|hf|wandb)[-_]?(key|token)|password|passwd|secret)$"
)


class Place(NamedTuple):
    """The folders of a run.

    `local` says that this process made the run and must close it, `named` that it named the run in
    its environment and must take that back.
    """

    run: Path
    attempt: int
    attempt_folder: Path
    local: bool = False
    named: bool = False


class Ranks(NamedTuple):
    """Which of how many processes this is."""

    rank: int
    world_size: int


def ranks() -> Ranks:
    """Rank and world size as torchrun, torch.distributed or Slurm give them; 0 of 1 without any."""
    torch = sys.modules.get("torch")
    group = getattr(torch, "distributed", None)
    if "RANK" not in os.environ and group and group.is_available() and group.is_initialized():
        return Ranks(group.get_rank(), group.get_world_size())
    return Ranks(_number("RANK", "SLURM_PROCID", 0), _number("WORLD_SIZE", "SLURM_NTASKS", 1))


def _number(name: str, other: str, default: int) -> int:
    text = os.environ.get(name) or os.environ.get(other) or ""
    return int(text) if text.isdecimal() else default


def given_place() -> Place | None:
    """The run that the environment names, or None without `exp` around us."""
    run = os.environ.get("EXP_RUN_DIR")
    if not run:
        return None
    attempt = _number("EXP_ATTEMPT", "EXP_ATTEMPT", 1)
    folder = os.environ.get("EXP_ATTEMPT_DIR") or os.path.join(run, f"attempt-{attempt}")  # noqa: PTH118 - text until it is known to be there
    place = Place(Path(run).absolute(), attempt, Path(folder).absolute())
    place.attempt_folder.mkdir(parents=True, exist_ok=True)
    return place


def local_place(config: dict[str, Any]) -> Place:
    """Make the next free run of the nearest workspace, or join the one this process belongs to.

    The ranks of one torchrun share a parent process, so rank 0 leaves the run's name in a file
    called after that parent and its restart count. A rank that finds no such file in time (on
    another node, or rank 0 does not track) gets a run of its own rather than lose its points.
    A worker of multiprocessing belongs to the run of the process that made it.

    The run is named in the environment, so that programs and workers started from here join it.

    Raises:
        OSError: the workspace cannot be written.
    """
    state = _workspace() / ".exp"
    (state / "runs").mkdir(parents=True, exist_ok=True)
    ignore = state / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    joined = _joined(state / "runs")
    run = joined or _next_run(state / "runs")
    if joined is None:
        _describe_run(run, config)
        rank, world_size = ranks()
        if world_size > 1 and rank == 0:
            replace_json(state / "runs" / _group_name(os.getppid()), run.name)
    place = Place(run, 1, run / "attempt-1", local=joined is None, named=True)
    os.environ.update(_variables(place))
    return place


def withdraw(place: Place) -> None:
    """Take the name of a finished local run out of the environment."""
    if place.named:
        for name, text in _variables(place).items():
            if os.environ.get(name) == text:
                del os.environ[name]


def _variables(place: Place) -> dict[str, str]:
    return {
        "EXP_RUN_ID": place.run.name,
        "EXP_RUN_DIR": str(place.run),
        "EXP_ATTEMPT": str(place.attempt),
        "EXP_ATTEMPT_DIR": str(place.attempt_folder),
    }


def _joined(runs: Path) -> Path | None:
    """The run of this process's rank 0, or of the program whose worker it is."""
    rank, world_size = ranks()
    program = _program()
    if world_size > 1 and rank > 0:
        launchers = {os.getppid(), _parent(program)}
        return _wait_for([runs / _group_name(launcher) for launcher in launchers])
    return _run_of(runs, program) if program != os.getpid() else None


def _program() -> int:
    """The process that a multiprocessing worker works for; any other process is its own.

    A worker that was spawned or forked finds the run in its environment. One that comes from a
    fork server that is older than the run does not.
    """
    module = sys.modules.get("multiprocessing.process")
    parent = module.parent_process() if module else None
    return os.getpid() if parent is None else int(parent.pid)


def _run_of(runs: Path, pid: int) -> Path | None:
    """The newest unfinished local run that a live process made."""
    identity = _identity(pid)
    for run in sorted(runs.glob("R-*"), reverse=True):
        try:
            recorded = json.loads((run / "attempt-1" / "proc.json").read_bytes())
        except (OSError, ValueError):
            continue
        if recorded == identity and not (run / "attempt-1" / "exit.json").exists():
            return run
    return None


def _workspace() -> Path:
    override = os.environ.get("EXP_WORKSPACE")
    if override:
        return Path(override).expanduser().absolute()
    here = Path.cwd()
    around = (folder for folder in (here, *here.parents) if _is_workspace(folder))
    return next(around, here)


def _is_workspace(folder: Path) -> bool:
    return any((folder / marker).exists() for marker in MARKERS)


def _group_name(launcher: int) -> str:
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return f".group-{os.uname().nodename}-{launcher}-{_start_ticks(launcher)}-{restart}.json"


def _wait_for(groups: list[Path]) -> Path | None:
    deadline = time.monotonic() + JOIN_SECONDS
    while time.monotonic() < deadline:
        for group in groups:
            if group.exists():
                name = str(json.loads(group.read_bytes()))
                return group.parent / name if re.fullmatch(RUN_NAME, name) else None
        time.sleep(0.05)
    return None


def _next_run(runs: Path) -> Path:
    matches = [re.fullmatch(RUN_NAME, name) for name in os.listdir(runs)]  # noqa: PTH208 - names only
    number = max((int(match[1]) for match in matches if match), default=0)
    while True:
        number += 1
        run = runs / f"R-{number:06d}"
        try:
            run.mkdir()
        except FileExistsError:
            continue
        return run


def _describe_run(run: Path, config: dict[str, Any]) -> None:
    """Write proc.json, then run.json: whoever sees the record can tell whether the run lives."""
    now = time.time()
    host = os.uname().nodename
    (run / "attempt-1").mkdir()
    replace_json(run / "attempt-1" / "proc.json", _identity(os.getpid()))
    record = {
        "id": run.name,
        "created": now,
        "host": host,
        "cwd": os.getcwd(),  # noqa: PTH109 - text is what the record holds
        "commands": [{"phase": "train", "argv": hidden_argv([sys.executable, *sys.argv])}],
        "recorded_by": "track",
        "ticket": None,
        "params": hidden(plain(config)),
    }
    replace_json(run / "run.json", record)


def _identity(pid: int) -> dict[str, Any]:
    """What tells a process from any other, also one that gets its pid later."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return {
        "pid": pid,
        "start_ticks": _start_ticks(pid),
        "boot_id": boot.read_text().strip() if boot.exists() else "unknown",
        "host": os.uname().nodename,
        "pid_namespace": _pid_namespace(),
    }


def _pid_namespace() -> int | None:
    """Which pids this process sees, as in a container; None where /proc does not tell."""
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return None


def _start_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 where /proc does not tell."""
    return _stat(pid, 19)


def _parent(pid: int) -> int:
    return os.getppid() if pid == os.getpid() else _stat(pid, 1)


def _stat(pid: int, field: int) -> int:
    """A number of /proc/PID/stat, counted from behind the name; 0 where /proc does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        return int(stat.rpartition(")")[2].split()[field])
    except (OSError, ValueError, IndexError):
        return 0


def close_place(place: Place, started: float, code: int, error: str | None) -> bool:
    """Write exit.json of a local run, unless it is there; say whether this call wrote it.

    Raises:
        OSError: the folder cannot be written.
    """
    now = time.time()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    ended = {"phase": "train", "code": code, "signal": None, "started": started, "ended": now}
    record = {key: ended[key] for key in ("code", "signal", "started", "ended")} | {
        "recorded_by": "track",
        "max_rss": usage.ru_maxrss * 1024,
        "oom_kill": None,
        "leftovers": 0,
        "survivors": 0,
        "error": error,
        "phases": [ended],
    }
    whole = place.attempt_folder / f".exit.json.{os.getpid()}.tmp"
    replace_json(whole, record)
    try:
        os.link(whole, place.attempt_folder / "exit.json")
    except FileExistsError:
        return False
    finally:
        whole.unlink(missing_ok=True)
    sync(place.attempt_folder)
    return True


def hidden(config: dict[str, Any]) -> dict[str, Any]:
    """`config` with the texts of secrets replaced: names stay, values do not reach a file."""
    return {
        key: "(hidden)" if isinstance(value, str) and re.search(PRIVATE, key) else value
        for key, value in config.items()
    }


def hidden_argv(argv: list[str]) -> list[str]:
    """A command line without the values of `--api-key X`, `--password=X` and their like."""
    shown: list[str] = []
    follows = False
    for word in argv:
        name, equals, _ = word.partition("=")
        secret = word.startswith("-") and bool(re.search(PRIVATE, name.lstrip("-")))
        if follows and not word.startswith("-"):
            shown.append("(hidden)")
        else:
            shown.append(f"{name}=(hidden)" if secret and equals else word)
        follows = secret and not equals
    return shown
