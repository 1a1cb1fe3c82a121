"""Time that goes into evaluation instead of training."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from orchestrator.diagnose.case import Case
from orchestrator.diagnose.series import EVAL_WORDS, training_losses
from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.point import Event

_WORTH = 60.0  # seconds of evaluation, below which nobody would change anything
SAVES = frozenset({"checkpoint", "save"})
_UNITS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """Evaluations in the midst of training, and the training around them; times in seconds."""

    phases: list[Event]
    evaluating: float
    training: float
    steps: int

    @property
    def interval(self) -> float:
        """Steps from one to the next."""
        at = [event.at.step for event in self.phases]
        apart = [b - a for a, b in pairwise(at) if b > a]
        return median(apart) if apart else self.steps / len(at)

    @property
    def share(self) -> float:
        return self.evaluating / (self.evaluating + self.training)


def dominates(case: Case) -> Iterator[Finding]:
    """`evaluation-dominates`: more of the time than `eval_share` goes into evaluation."""
    measured = _measured(case)
    limit = case.thresholds.eval_share
    if measured is None or measured.evaluating < _WORTH or measured.share <= limit:
        return
    each, step = measured.evaluating / len(measured.phases), measured.training / measured.steps
    between = measured.interval * step
    apart = each * (1 - limit) / (limit * step)
    affordable = between * limit / (1 - limit)
    yield Finding(
        id="evaluation-dominates",
        severity=Severity.WARN,
        title=f"Evaluation takes {measured.share:.1%} of the time: {_time(each)} after each "
        f"{measured.interval:,.0f} steps of {_time(step)}",
        evidence=tuple(_quote(event) for event in measured.phases[:3]),
        arithmetic=f"{_time(each)} / ({_time(each)} + {_time(between)}) = "
        f"{each / (each + between):.1%}",
        meaning="Most of what the hardware does here trains nothing.",
        action=f"Evaluate every {_round(apart):,} steps, or on a subset of 1/"
        f"{_round(each / affordable):,} of the examples ({_time(affordable)}), for {limit:.0%} of "
        "the time.",
    )


def _measured(case: Case) -> _Share | None:
    """Those of the newest attempt, as one process tells them.

    Only evaluations that training went on after: the one at the end is no interval's.
    """
    ends = [event for event in case.events if _is_end(event, EVAL_WORDS)]
    if not ends:
        return None
    attempt = max(event.at.attempt for event in ends)
    source = min(event.at.source for event in ends if event.at.attempt == attempt)
    events = [event for event in case.events if event.at.source == source]
    points = _points(case, f"attempt-{attempt}/")
    if not points:
        return None
    begun, last = min([points[0][0], *_begins(events)]), points[-1][0]
    phases = [event for event in events if _is_end(event, EVAL_WORDS) and event.at.time < last]
    saves = [event for event in events if _is_end(event, SAVES) and event.at.time < last]
    evaluating = sum(map(_seconds, phases))
    training = last - begun - evaluating - sum(map(_seconds, saves))
    steps = points[-1][1] - points[0][1]
    if not phases or training <= 0 or steps <= 0:
        return None
    return _Share(phases=phases, evaluating=evaluating, training=training, steps=steps)


def _points(case: Case, folder: str) -> list[tuple[float, int]]:
    """Times and steps of the training losses of an attempt; of all where files do not tell."""
    points = [
        (source, (when, step))
        for each in training_losses(case)
        for source, when, step in zip(
            each.curve.sources, each.curve.times, each.curve.steps, strict=True
        )
    ]
    own = [point for source, point in points if source.startswith(folder)]
    return sorted(own or [point for _, point in points])


def _begins(events: Sequence[Event]) -> list[float]:
    return [event.at.time for event in events if event.data.get("state") == "begin"]


def _is_end(event: Event, names: Container[str]) -> bool:
    ended = event.name == "phase" and event.data.get("state") == "end"
    return ended and str(event.data.get("phase")).lower() in names


def _seconds(event: Event) -> float:
    seconds = event.data.get("seconds")
    return float(seconds) if isinstance(seconds, (int, float)) else 0.0


def _quote(event: Event) -> Quote:
    text = f"phase {event.data.get('phase')} ended at step {event.at.step:,}"
    text += f" after {_time(_seconds(event))}"
    return Quote(source=event.at.source, line=event.at.line, text=text)


def _time(seconds: float) -> str:
    for unit, word in _UNITS:
        if seconds >= unit:
            return f"{seconds / unit:.3g} {word}"
    return f"{1000 * seconds:.3g} ms"


def _round(number: float) -> int:
    """Two digits are enough for a proposal."""
    return max(1, int(float(f"{number:.1e}")))
