"""What a rehearsal asks of a training or an evaluation; outside of one all is as it is set."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

from experiments.common.settings import TrainingSettings
from orchestrator import track

S = TypeVar("S", bound=TrainingSettings)


def paced(settings: S) -> S:
    """The settings with the rehearsal's pace: every step is logged, validations come sooner.

    A training that is not validated on its way is not validated in a rehearsal either.
    """
    asked = track.rehearsal()
    if asked is None:
        return settings
    eval_every = asked.every if settings.eval_every else 0
    return replace(settings, eval_every=eval_every, checkpoint_every=asked.every, log_every=1)


def last_step(steps: int) -> int:
    """The step after which a training of so many planned steps ends."""
    asked = track.rehearsal()
    return steps if asked is None else min(steps, asked.steps)


def shown(total: int, each: int = 1) -> int:
    """How many of `total` examples an evaluation takes; they come in groups of `each`."""
    asked = track.rehearsal()
    return total if asked is None else asked.subset(total, each)


def tell_batch(step: int, rows: Iterable[Any]) -> None:
    """Say which examples a step takes: a resumed training must take the same."""
    asked = track.rehearsal()
    if asked is not None:
        asked.batch(step, rows)
