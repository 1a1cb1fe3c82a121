"""`import orchestrator.track as wandb`: those names of wandb that are not track's own.

Numbers, settings and words are recorded by `track` itself. What stands here is taken so that the
program goes on (charts, pictures, artifacts), or refused with a reason where it could not.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from pathlib import PosixPath
from types import SimpleNamespace
from typing import Any

from orchestrator.track.media import KINDS, Artifact, Charts, Table
from orchestrator.track.warning import warn_once

LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
STAY = "files stay where they are; run.checkpoint(path, step) seals a checkpoint"
UNWATCHED = "gradients and parameters are not recorded"
NO_STORE = "nothing is stored at wandb: give the path of a file, or use track.resume_path()"
NO_SEARCH = "exp searches no hyper-parameters; `exp ticket start --set lr=3e-4` sets one"


class Error(Exception):
    """The program asks for something that only wandb has."""


class AlertLevel(Enum):
    """How much an alert matters."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class Folder(PosixPath):
    """The folder of a run, which is text in wandb: `run.dir + "/model.pt"` is one too."""

    def __add__(self, text: str) -> str:
        return f"{self}{text}"


class Settings(SimpleNamespace):
    """Settings of wandb; only `mode` means anything here."""


class Label:
    """A word about a run; `run.name = "baseline"` is written down."""

    def __init__(self, default: Any = None, *, instead: str = "") -> None:
        self._default = default
        self._instead = instead  # an attribute of the run that stands for it

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, run: Any, _owner: type | None = None) -> Any:
        value = None if run is None else run.labels.get(self._name)
        if value is None:
            return getattr(run, self._instead) if self._instead and run else self._default
        return value

    def __set__(self, run: Any, value: Any) -> None:
        run.labels[self._name] = value
        run.write_event("labels", {self._name: value})


class Tags(Label):
    """Words about a run: always a tuple, so that `run.tags += ("x",)` works."""

    def __get__(self, run: Any, _owner: type | None = None) -> Any:
        tags = super().__get__(run)
        return (tags,) if isinstance(tags, str) else tuple(tags)


def taken(name: str, why: str, result: Any = None) -> Callable[..., Any]:
    """A function that takes anything and does nothing; it says so once."""

    def function(*_args: Any, **_options: Any) -> Any:
        warn_once(f"wandb {name}", f"{name} does nothing here: {why}")
        return result

    return function


def refused(name: str, why: str) -> Callable[..., Any]:
    """A function that raises Error: the program could not go on without what it gives."""

    def function(*_args: Any, **_options: Any) -> Any:
        raise Error(f"{name} is not there: {why}")

    return function


def log_artifact(artifact: Any, name: str = "artifact", *_args: Any, **_options: Any) -> Artifact:
    """Give the artifact back; nothing is uploaded."""
    warn_once("wandb log_artifact", f"log_artifact does nothing here: {STAY}")
    return artifact if isinstance(artifact, Artifact) else Artifact(name)


def use_artifact(artifact: Any, *_args: Any, **_options: Any) -> Artifact:
    """Give an artifact that the program made back.

    Raises:
        Error: it is a name of something stored at wandb.
    """
    if isinstance(artifact, Artifact):
        return artifact
    raise Error(f"artifact {artifact!r} is not there: {NO_STORE}")


class Compatible:
    """What a run of wandb has and one of ours would not need."""

    name = Label(instead="id")
    project = Label()
    entity = Label()
    group = Label("")
    job_type = Label("")
    notes = Label("")
    tags = Tags(())
    url = None
    sweep_id = None
    resumed = False

    link_artifact = staticmethod(log_artifact)
    log_artifact = staticmethod(log_artifact)
    use_artifact = staticmethod(use_artifact)
    log_code = staticmethod(taken("log_code", "exp records the commit and what differs from it"))
    log_model = staticmethod(taken("log_model", STAY))
    link_model = staticmethod(taken("link_model", STAY))
    use_model = staticmethod(refused("use_model", NO_STORE))
    restore = staticmethod(refused("restore", NO_STORE))
    save = staticmethod(taken("save", STAY, []))
    watch = staticmethod(taken("watch", UNWATCHED))
    unwatch = staticmethod(taken("unwatch", UNWATCHED))
    mark_preempting = staticmethod(
        taken("mark_preempting", "exit code 75 asks exp for another attempt")
    )

    def __init__(self) -> None:
        self.labels: dict[str, Any] = {}


def generate_id(length: int = 8) -> str:
    """A random name; the program's own random numbers are left alone."""
    return "".join(LETTERS[byte % len(LETTERS)] for byte in os.urandom(length))


NAMES: Mapping[str, Any] = {
    **KINDS,
    **{
        name: getattr(Compatible, name)
        for name, kind in vars(Compatible).items()
        if isinstance(kind, staticmethod)
    },
    "AlertLevel": AlertLevel,
    "Api": refused("Api", "`exp run list` and `exp run show` read runs"),
    "Artifact": Artifact,
    "Error": Error,
    "Settings": Settings,
    "Table": Table,
    "agent": refused("agent", NO_SEARCH),
    "errors": SimpleNamespace(Error=Error, CommError=Error, UsageError=Error),
    "login": taken("login", "there is no account", result=True),
    "plot": Charts(),
    "require": taken("require", "nothing of wandb is used"),
    "setup": taken("setup", "nothing of wandb is used"),
    "sweep": refused("sweep", NO_SEARCH),
    "teardown": taken("teardown", "nothing of wandb is used"),
    "util": SimpleNamespace(generate_id=generate_id),
}


def named(name: str, own: Iterable[str]) -> Any:
    """What the module answers for a name of wandb; `own` are track's names.

    Raises:
        AttributeError: it has no such name; the message says which it has.
    """
    if name in NAMES:
        return NAMES[name]
    known = "" if name.startswith("__") else f"; it has {', '.join(sorted({*own, *NAMES}))}"
    raise AttributeError(f"module 'orchestrator.track' has no attribute {name!r}{known}")


def switched_off(options: Mapping[str, Any]) -> bool:
    """Whether `init` was told to record nothing.

    The environment is asked only without `exp` around: who sets WANDB_MODE=disabled for wandb and
    starts a ticket wants it recorded.
    """
    settings = options.get("settings")
    inside = settings.get("mode") if isinstance(settings, Mapping) else None
    mode = options.get("mode") or inside or getattr(settings, "mode", None)
    if mode is None and "EXP_RUN_DIR" not in os.environ:
        mode = os.environ.get("WANDB_MODE")
        if mode == "disabled":
            warn_once("mode", "WANDB_MODE=disabled: nothing is recorded")
    return bool(mode == "disabled")


def begins_anew(options: Mapping[str, Any]) -> bool:
    """Whether `init` was told to finish the run there is, and to begin another."""
    return options.get("reinit") in (True, "finish_previous", "create_new")
