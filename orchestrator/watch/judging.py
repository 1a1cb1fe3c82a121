"""How a run is judged, the same for the watcher and for whoever asks again."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from orchestrator.criteria import Judge
from orchestrator.domain.point import Point
from orchestrator.domain.run import RunRecord

# All points of a series known so far, in any order.
History: TypeAlias = Callable[[str], Iterable[Point]]

_STEPS_PER = "steps_per_"


def judge_of(record: RunRecord, history: History) -> Judge:
    """A judge of a run by what was fixed at its launch."""
    return Judge(
        record.criteria,
        record.metrics,
        baselines=record.baselines,
        steps_per=steps_per(record.params),
        history=history,
    )


def steps_per(params: Mapping[str, Any]) -> dict[str, float]:
    """How many steps an epoch, iteration or episode has, as parameters like steps_per_epoch say."""
    return {
        unit: float(params[f"{_STEPS_PER}{unit}"])
        for unit in ("epoch", "iteration", "episode")
        if _is_count(params.get(f"{_STEPS_PER}{unit}"))
    }


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
