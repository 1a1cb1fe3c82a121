"""Experiment specs: TOML in experiments/, checked, with parameters resolved."""

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any

from orchestrator.codec import decode
from orchestrator.config import read_toml
from orchestrator.domain.experiment import Experiment, Resources
from orchestrator.domain.rehearse import Rehearse
from orchestrator.domain.run import Track
from orchestrator.errors import InvalidFileError, NotFoundError, RefusedError, UsageError
from orchestrator.workspace import Workspace

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
# Key of a duration → whether it may be 0: a limit of none would end each run at its start.
_DURATIONS = {
    ("resources", "time_limit"): False,
    ("stop", "grace"): True,
    ("budget", "wall"): False,
    ("budget", "idle"): False,
    ("retry", "backoff"): True,
    ("retry", "max_backoff"): True,
    ("rehearse", "above"): True,
    ("rehearse", "estimate"): False,
    ("rehearse", "budget"): False,
}
# Key of [rehearse] → the least that makes sense; a step behind the checkpoint must be left.
_REHEARSED = {"steps": 2, "every": 1, "examples": 1, "eval_every": 1, "checkpoint_every": 1}
_REHEARSED |= {"keep": 1, "tolerance": 0, "cost": 0}
_READ_SUFFIXES = {".csv", ".tsv", ".jsonl", ".ndjson", ".log", ".out"}
# Sections whose keys are read and recorded, but that no code acts on yet.
RECORDED_ONLY = ("mirror",)


def load_experiment(workspace: Workspace, path: str, settings: tuple[str, ...] = ()) -> Experiment:
    """Read the spec at `path` (relative to the workspace) and apply `--set key=value` settings.

    Raises:
        NotFoundError: no such file.
        RefusedError: the path leaves the workspace.
        InvalidFileError: names file, line or key, value and fix.
        UsageError: a setting is malformed or names no parameter.
    """
    file = (workspace.root / path).resolve()
    if not file.is_relative_to(workspace.root.resolve()):
        raise RefusedError(
            f"experiment {path!r} leaves the workspace {workspace.root}",
            hint="name a file below experiments/",
        )
    try:
        data = read_toml(file)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFoundError(
            f"no experiment {path} in {workspace.root}", hint=_suggest_spec(workspace, path)
        ) from error
    _check_commands(data, path)
    _read_durations(data, path)
    experiment = decode(Experiment, {**data, "path": path}, source=path)
    if experiment.budget.gpu_hours is not None and experiment.resources.gpus == 0:
        raise InvalidFileError(
            f"{path}: budget.gpu_hours = {experiment.budget.gpu_hours}: the run has no GPU",
            hint="set resources.gpus, or use budget.wall",
        )
    if experiment.budget.gpu_hours is not None and not experiment.budget.gpu_hours > 0:
        raise InvalidFileError(
            f"{path}: budget.gpu_hours = {experiment.budget.gpu_hours}: used up at once",
            hint="set it to a number above 0, or remove it",
        )
    _check_resources(experiment.resources, path)
    _check_retry(experiment, data.get("retry"))
    _check_track(experiment.track, path)
    _check_rehearse(experiment.rehearse, path)
    params = {**experiment.params, **read_settings(settings, experiment.params, path)}
    return replace(experiment, params=params)


def planned_steps(experiment: Experiment) -> int | None:
    """Planned optimizer updates: `[train] steps`, else the parameter `steps`, else unknown."""
    if experiment.train.steps is not None:
        return experiment.train.steps
    steps = experiment.params.get("steps")
    return steps if isinstance(steps, int) and not isinstance(steps, bool) else None


def parse_duration(text: str) -> float:
    """Read `90`, `90s`, `15min`, `8h` or `2d` as seconds.

    Raises:
        ValueError: none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip())
    if match is None or (match[2] and match[2] not in _SECONDS):
        raise ValueError("no duration")
    return float(match[1]) * _SECONDS.get(match[2], 1)


def _suggest_spec(workspace: Workspace, path: str) -> str:
    known = [
        str(file.relative_to(workspace.root))
        for file in sorted(workspace.experiments.rglob("*.toml"))
    ]
    close = get_close_matches(path, known, n=1, cutoff=0.4)
    if close:
        return f"did you mean {close[0]}? Correct **Experiment** in the ticket"
    return f"create {path}, or correct **Experiment** in the ticket"


def _check_commands(data: dict[str, Any], path: str) -> None:
    """Refuse a command written as one string: splitting it would be a shell in disguise."""
    for section in ("train", "evaluate"):
        table = data.get(section)
        command = table.get("command") if isinstance(table, dict) else None
        if isinstance(command, str):
            words = ", ".join(f'"{word}"' for word in command.split())
            raise InvalidFileError(
                f"{path}: {section}.command = {command!r}: a command is a list of arguments",
                hint=f"write command = [{words}]",
            )
        if command == []:
            raise InvalidFileError(
                f"{path}: {section}.command = []: empty",
                hint='write command = ["{python}", "train.py"]',
            )


def _read_durations(data: dict[str, Any], path: str) -> None:
    for (section, key), may_be_zero in _DURATIONS.items():
        table = data.get(section)
        if not isinstance(table, dict) or key not in table:
            continue
        written = table[key]
        try:
            table[key] = _seconds(written, may_be_zero=may_be_zero)
        except ValueError as error:
            raise InvalidFileError(
                f"{path}: {section}.{key} = {written!r}: {error}",
                hint='write it like "90s", "15min", "8h" or "2d"',
            ) from error


def _seconds(written: Any, *, may_be_zero: bool) -> float:
    """Seconds of a duration as it stands in a spec; ValueError says what is wrong with it."""
    seconds = math.nan
    if isinstance(written, str):
        seconds = parse_duration(written)
    elif isinstance(written, int | float) and not isinstance(written, bool):
        seconds = float(written)
    if not 0 <= seconds < math.inf:
        raise ValueError("no duration")
    if seconds == 0 and not may_be_zero:
        raise ValueError("it would be used up at once")
    return seconds


def _check_resources(resources: Resources, path: str) -> None:
    """Refuse amounts that nobody can give."""
    for key, amount, least in ("gpus", resources.gpus, 0), ("cpus", resources.cpus, 1):
        if amount is not None and amount < least:
            raise InvalidFileError(
                f"{path}: resources.{key} = {amount}: less than {least}",
                hint=f"set it to {least} or more, or remove it",
            )


def _check_retry(experiment: Experiment, written: dict[str, Any] | None) -> None:
    """Refuse what would look like a retry policy and be none."""
    retry, path = experiment.retry, experiment.path
    if written and (retry.attempts < 1 or "attempts" not in written):
        value = f" = {written['attempts']}" if "attempts" in written else ": missing"
        raise InvalidFileError(
            f"{path}: retry.attempts{value}: nothing would be tried again",
            hint="write attempts = 3: the first one and two more",
        )
    programs = (experiment.train, *((experiment.evaluate,) if experiment.evaluate else ()))
    words = [word for program in programs for word in program.command]
    for key in retry.oom.settings:
        if key not in experiment.params:
            close = get_close_matches(key, experiment.params, n=1)
            raise InvalidFileError(
                f"{path}: retry.oom.settings.{key}: there is no parameter {key!r}",
                hint=f"did you mean {close[0]!r}?" if close else f"add {key} under [params]",
            )
        if any(f"{{params.{key}}}" in word for word in words):
            raise InvalidFileError(
                f"{path}: retry.oom.settings.{key}: {{params.{key}}} stands in a command, which is "
                "the same in every attempt",
                hint=f"let the program read {key} from its configuration (run.config)",
            )


def _check_rehearse(rehearse: Rehearse, path: str) -> None:
    """Refuse a rehearsal in which nothing could be seen."""
    for key, least in _REHEARSED.items():
        amount = getattr(rehearse, key)
        if amount is not None and not amount >= least:
            raise InvalidFileError(
                f"{path}: rehearse.{key} = {amount}: less than {least}",
                hint=f"set it to {least} or more, or remove it",
            )
    steps, every = rehearse.steps, rehearse.every
    if steps is not None and every is not None and steps < 2 * every:
        raise InvalidFileError(
            f"{path}: rehearse.steps = {steps}: less than two times rehearse.every = {every}, "
            "so that nothing would be trained after a resume",
            hint=f"set steps to {2 * every} or more, or remove one of them",
        )


def _check_track(track: Track, path: str) -> None:
    """Refuse what would read outside the workspace, nothing at all, or name no value."""
    for pattern in track.files:
        parts = pattern.split("/")
        wrong = None
        if pattern.startswith(("/", "~")) or ".." in parts or "\\" in pattern:
            wrong = "leaves the workspace"
        elif not all(parts) or parts[-1] == "**":
            wrong = "names no file"
        elif not _may_be_read(parts[-1]):
            wrong = (
                f"nothing reads such a file, only {', '.join(sorted(_READ_SUFFIXES))} and tfevents"
            )
        if wrong:
            raise InvalidFileError(
                f"{path}: track.files = {pattern!r}: {wrong}",
                hint='write it from the root, like "runs/**/events.out.tfevents.*"',
            )
    for pattern in track.patterns:
        _check_pattern(pattern, path)


def _may_be_read(name: str) -> bool:
    """Whether a file of this name, or one that it matches, can be of a kind that is read."""
    suffix = PurePath(name).suffix
    open_end = any(sign in (suffix or name) for sign in "*?[")
    return open_end or suffix.lower() in _READ_SUFFIXES or "tfevents" in name


def _check_pattern(pattern: str, path: str) -> None:
    hint = r"write it like 'iter (?P<step>\d+).*?loss (?P<loss>\S+)'"
    key = f"{path}: track.patterns = {pattern!r}"
    try:
        groups = set(re.compile(pattern).groupindex)
    except re.error as error:
        raise InvalidFileError(f"{key}: no regular expression: {error}", hint=hint) from error
    if not groups - {"step", "epoch"}:
        raise InvalidFileError(f"{key}: no group names a metric", hint=hint)


def read_settings(
    settings: tuple[str, ...], params: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """Read `key=value` settings of parameters that are there.

    Raises:
        UsageError: a setting is malformed or names no parameter.
    """
    resolved = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: no '='", hint="write --set lr=3e-4")
        if key not in params:
            close = get_close_matches(key, params, n=1)
            raise UsageError(
                f"--set {setting}: {where} has no parameter {key!r}",
                hint=f"did you mean {close[0]!r}?" if close else f"add {key} under [params]",
            )
        resolved[key] = _read_value(text)
    return resolved


def _read_value(text: str) -> Any:
    """Read a TOML value; what is none is a plain string, as people leave the quotes out."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
