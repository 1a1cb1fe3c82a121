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
    """The folders of a run; `local` says that this process made it and must close it."""

    run: Path
    attempt: int
    attempt_folder: Path
    local: bool = False


class Ranks(NamedTuple):
    """Which of how many processes this is."""

    rank: int
    world_size: int


def ranks() -> Ranks:
    """Rank and world size as torchrun or Slurm give them; 0 of 1 without either."""
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
    """Make the next free run of the nearest workspace; ranks above 0 join the run of rank 0.

    The ranks of one torchrun share a parent process, so rank 0 leaves the run's name in a file
    called after that parent and its restart count. A rank that finds no such file in time (on
    another node, or rank 0 does not track) gets a run of its own rather than lose its points.

    Raises:
        OSError: the workspace cannot be written.
    """
    state = _workspace() / ".exp"
    (state / "runs").mkdir(parents=True, exist_ok=True)
    ignore = state / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    rank, world_size = ranks()
    group = state / "runs" / _group_name()
    if world_size > 1 and rank > 0:
        joined = _wait_for(group)
        if joined:
            return Place(joined, 1, joined / "attempt-1")
    run = _next_run(state / "runs")
    _describe_run(run, config)
    if world_size > 1 and rank == 0:
        replace_json(group, run.name)
    return Place(run, 1, run / "attempt-1", local=True)


def _workspace() -> Path:
    override = os.environ.get("EXP_WORKSPACE")
    if override:
        return Path(override).expanduser().absolute()
    here = Path.cwd()
    around = (folder for folder in (here, *here.parents) if _is_workspace(folder))
    return next(around, here)


def _is_workspace(folder: Path) -> bool:
    return any((folder / marker).exists() for marker in MARKERS)


def _group_name() -> str:
    parent = os.getppid()
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return f".group-{os.uname().nodename}-{parent}-{_start_ticks(parent)}-{restart}.json"


def _wait_for(group: Path) -> Path | None:
    deadline = time.monotonic() + JOIN_SECONDS
    while time.monotonic() < deadline:
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
    boot = Path("/proc/sys/kernel/random/boot_id")
    identity = {
        "pid": os.getpid(),
        "start_ticks": _start_ticks(os.getpid()),
        "boot_id": boot.read_text().strip() if boot.exists() else "unknown",
        "host": host,
    }
    replace_json(run / "attempt-1" / "proc.json", identity)
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


def _start_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 where /proc does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        return int(stat.rpartition(")")[2].split()[19])
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
