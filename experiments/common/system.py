"""A kind of study: how its settings are read, how it trains, and how its checkpoints are scored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from experiments.common.member import Voice
from experiments.common.settings import TrainingSettings
from experiments.common.world import World

S = TypeVar("S", bound=TrainingSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class System(Generic[S]):
    """What programs that train, compare and evaluate need to know of a study.

    Fields:
        kind: the settings.
        read: settings from a table and from `key=value` arguments.
        train: train a member from a checkpoint or from the start; the exit code.
        scorer: makes what gives the scores of a checkpoint; those named baseline/... are the same
            for every member.
        state: content of a checkpoint, with its `step`, its `settings` and the member's `extra`.
    """

    kind: type[S]
    read: Callable[[Mapping[str, Any], Sequence[str]], S]
    train: Callable[[Voice, S, World, Path | None], int]
    scorer: Callable[[Voice, S, World], Callable[[Path], dict[str, float]]]
    state: Callable[[Path], Mapping[str, Any]]
