"""Verdicts joined by and, or, not: RV-LTL over what is so far and what is for good."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from orchestrator.criteria.judging.folds import Fold
from orchestrator.criteria.judging.lanes import Ask
from orchestrator.criteria.judging.watching import REST_OF_RUN, Watch, hedged, without_hedge
from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.facts import RunFacts

# Which part speaks for a whole: the worst news first for `and`, the best first for `or`.
_WORST_FIRST = (State.FAILED, State.MANUAL, State.NO_DATA, State.PENDING, State.MET)
_BEST_FIRST = (State.MET, State.PENDING, State.MANUAL, State.NO_DATA, State.FAILED)


def conjunction(verdicts: Sequence[Verdict]) -> Verdict:
    """Every part holds: one final failure decides, and it is met only when every part is."""
    return _joined(verdicts, _WORST_FIRST, State.FAILED)


def disjunction(verdicts: Sequence[Verdict]) -> Verdict:
    """Some part holds: one that is met for good decides, and it fails only when every part does."""
    return _joined(verdicts, _BEST_FIRST, State.MET)


def _joined(verdicts: Sequence[Verdict], order: Sequence[State], deciding: State) -> Verdict:
    """The part whose state comes first speaks, and lends its value, margin and evidence."""
    if len(verdicts) == 1:
        return verdicts[0]
    chosen = min(verdicts, key=lambda verdict: (order.index(verdict.state), not verdict.final))
    decided = chosen.state is deciding and chosen.final
    final = decided or all(verdict.final for verdict in verdicts)
    why = chosen.why
    if chosen.state is order[-1]:
        why = "; ".join(map(without_hedge, verdicts))
        why = hedged(why) if chosen.state is State.MET and not final else why
    notes = dict.fromkeys(note for verdict in verdicts for note in verdict.companions)
    return replace(
        chosen,
        final=final,
        why=why,
        companions=tuple(notes),
    )


def negation(verdicts: Sequence[Verdict]) -> Verdict:
    """The one part does not hold; what is met so far may yet cease to be, so its opposite waits."""
    (verdict,) = verdicts
    margin = None if verdict.margin is None else 0.0 - verdict.margin
    turned = replace(verdict, margin=margin, projection=None)
    if verdict.value is not None and math.isnan(verdict.value):
        return replace(turned, state=verdict.state)  # NaN meets nothing, nor its opposite
    if verdict.state is State.FAILED:
        return replace(turned, state=State.MET)
    if verdict.state is State.MET and verdict.final:
        return replace(turned, state=State.FAILED)
    if verdict.state is State.MET:
        why = f"{without_hedge(verdict)}; {REST_OF_RUN}"
        return replace(turned, state=State.PENDING, why=why)
    return turned


@dataclass(frozen=True)
class Gate:
    """Parts joined into one."""

    parts: tuple[Watch, ...]
    join: Callable[[Sequence[Verdict]], Verdict]

    def wants(self, series: str) -> bool:
        """Whether some part does."""
        return any(part.wants(series) for part in self.parts)

    def asks(self, series: str) -> Iterable[tuple[str, Ask[Fold]]]:
        """What the parts that want the series ask."""
        for part in self.parts:
            if part.wants(series):
                yield from part.asks(series)

    def verdict(self, facts: RunFacts) -> Verdict:
        """What the parts say together."""
        return self.join([part.verdict(facts) for part in self.parts])
