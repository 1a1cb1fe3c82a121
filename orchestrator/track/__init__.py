"""Tracking for training programs: `from orchestrator import track`.

    run = track.init(config={"lr": 3e-4})
    run.log({"train/loss": loss}, step=step)
    run.checkpoint(path, step)
    run.finish()

`import orchestrator.track as wandb` takes a program that was written for wandb.

Standard library only. It must never hurt training: no network, database, lock, prompt or thread;
every failure is caught and warned of once. A point is in the kernel when `log` returns.
"""

import atexit
import json
import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from orchestrator.track import dropin
from orchestrator.track.checkpoints import newest_valid
from orchestrator.track.mappings import Config, Summary, as_mapping
from orchestrator.track.place import Place, given_place, local_place, ranks
from orchestrator.track.session import Run
from orchestrator.track.warning import describe, harmless, warn_once

if TYPE_CHECKING:
    from orchestrator.track.rehearsing import Rehearsal, Rehearsing

__all__ = [
    "Run",
    "alert",
    "checkpoint",
    "checkpoint_dir",
    "define_metric",
    "finish",
    "init",
    "log",
    "phase",
    "rehearsal",
    "resume_path",
    "should_stop",
]

config: Config  # of the current run, as `summary` and `run`; `__getattr__` below
summary: Summary
run: Run | None

_current: Run | None = None
_beginning = RLock()  # threads that begin at once begin one run


def init(config: Any = None, **labels: Any) -> Run:
    """Begin to track this process, or return the run it already has.

    `config` gives defaults (a mapping, or an object with attributes such as an argparse
    namespace); what `exp` resolved for the run wins over them. Other keywords (`project`, `name`,
    `tags`, ...) are kept as labels. Without `exp` around it, a local run is made; with
    `mode="disabled"` nothing is recorded. Never raises.
    """
    with _beginning:
        if _current is not None and not _current.finished:
            if not dropin.begins_anew(labels):
                _current.config.update(as_mapping(config))
                _current.take_rank(ranks())
                return _current
            _current.finish()
        return _begin(config, labels)


def current() -> Run:
    """The run of this process, also when it is finished; it is begun if nobody did."""
    return init() if _current is None else _current


def resume_path() -> Path | None:
    """The newest valid checkpoint of this run as it was given to `checkpoint`, or None.

    Valid means that every file has the size and hash of its manifest. Never raises.
    """
    return harmless(_resume_path)()


def rehearsal() -> "Rehearsal | None":
    """What `exp ticket rehearse` asks of the program; None when it is no rehearsal.

    May be called before or after `init`, after PyTorch is imported. Never raises.
    """
    with _beginning:
        rehearsing = harmless(_rehearsing)()
        return None if rehearsing is None else rehearsing.ask()


def log(
    data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, **options: Any
) -> None:
    """`Run.log` of the current run."""
    current().log(data, step, commit, **options)


def define_metric(name: str, step_metric: str | None = None, **about: Any) -> None:
    """`Run.define_metric` of the current run."""
    current().define_metric(name, step_metric, **about)


def phase(name: str) -> AbstractContextManager[None]:
    """`Run.phase` of the current run."""
    return current().phase(name)


def checkpoint_dir(step: int) -> Path:
    """`Run.checkpoint_dir` of the current run."""
    return current().checkpoint_dir(step)


def checkpoint(
    path: str | os.PathLike[str], step: int, meta: Mapping[str, Any] | None = None
) -> Path | None:
    """`Run.checkpoint` of the current run."""
    return current().checkpoint(path, step, meta)


def should_stop() -> bool:
    """`Run.should_stop` of the current run."""
    return current().should_stop()


def alert(title: str, text: str = "", level: Any = "info", wait_duration: Any = None) -> None:
    """`Run.alert` of the current run."""
    current().alert(title, text, level, wait_duration)


def finish(exit_code: int | None = 0, error: str | None = None, **options: Any) -> None:
    """`Run.finish` of the current run, if there is one."""
    if _current is not None:
        _current.finish(exit_code, error, **options)


def __getattr__(name: str) -> Any:
    """`config`, `summary` and `run` of the current run, and the names of wandb."""
    if name == "run":
        return None if _current is None or _current.finished else _current
    if name in {"config", "summary"}:
        return getattr(current(), name)
    return dropin.named(name, (*__all__, "config", "run", "summary"))


def _begin(config: Any, labels: Mapping[str, Any]) -> Run:
    global _current  # noqa: PLW0603 - one run per process, as the module functions expect
    merged = _merge(as_mapping(config), _given_config())
    rank = ranks()
    if _current is None:
        atexit.register(_at_exit)
        os.register_at_fork(after_in_child=_after_fork)
    place = None if dropin.switched_off(labels) else _find_place(merged)
    _current = Run(place, rank, merged, harmless(_rehearsing)())
    _current.describe_start(labels, rank.world_size)
    return _current


def _rehearsing() -> "Rehearsing | None":
    """What records the rehearsal; outside of one not even its module is loaded."""
    text = os.environ.get("EXP_REHEARSAL")
    if not text:
        return None
    from orchestrator.track.rehearsing import rehearsing  # noqa: PLC0415 - importing stays light

    return rehearsing(text)


def _resume_path() -> Path | None:
    run = _current.dir if _current is not None else os.environ.get("EXP_RUN_DIR")
    return newest_valid(Path(run) / "checkpoints") if run else None


def _find_place(config: dict[str, Any]) -> Place | None:
    try:
        return given_place() or local_place(config)
    except Exception as error:  # noqa: BLE001 - tracking must never hurt training
        warn_once("init", f"nothing will be recorded: {describe(error)}")
        return None


def _given_config() -> dict[str, Any]:
    """The parameters that `exp` resolved; they win over the program's defaults."""
    path = os.environ.get("EXP_CONFIG")
    if not path:
        return {}
    try:
        return dict(json.loads(Path(path).read_bytes()))
    except Exception as error:  # noqa: BLE001 - tracking must never hurt training
        warn_once("config", f"{path} was not read, defaults are used: {describe(error)}")
        return {}


def _merge(defaults: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    merged = {**defaults, **given}
    for key, value in defaults.items():
        if isinstance(value, dict) and isinstance(given.get(key), dict):
            merged[key] = _merge(value, given[key])
    return merged


def _at_exit() -> None:
    """Close a run that nobody finished; an unhandled exception is part of how it ended.

    In a notebook or at a prompt it is not: there an error ends a cell, and the work goes on.
    """
    raised = getattr(sys, "last_value", None)
    if raised is None or hasattr(sys, "ps1"):
        finish(None)
    else:
        finish(1, describe(raised))


def _after_fork() -> None:
    global _beginning  # noqa: PLW0603 - another thread of the parent may hold the old one
    _beginning = RLock()
    if _current is not None:
        _current.after_fork()
