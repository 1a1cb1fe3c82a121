"""`> 85 of 172`: the count holds, and so does the number that it is counted of."""

from collections.abc import Iterable

from orchestrator.criteria.judging.bound import Bound
from orchestrator.criteria.judging.folds import Fold
from orchestrator.criteria.judging.lanes import Ask
from orchestrator.criteria.judging.logic import conjunction
from orchestrator.criteria.judging.threshold import Threshold
from orchestrator.criteria.judging.watching import Setting, manual
from orchestrator.criteria.predicates.expression import Name, Reduced
from orchestrator.criteria.values import shown
from orchestrator.domain.criterion import Verdict
from orchestrator.domain.facts import RunFacts


class TotalTest:
    """A comparison of a count, and the total that it is of; the spec declares its series."""

    def __init__(self, count: Threshold, total: float, setting: Setting) -> None:
        self._total = total
        self._count = count
        names = {spec.total for spec in setting.metrics.values() if spec.total is not None}
        bound = Bound.of("==", total)
        self._totals = {
            name: Threshold(Reduced(name=Name(text=name)), bound, None, setting) for name in names
        }

    def wants(self, series: str) -> bool:
        """The series of the count, and those declared to hold a total."""
        return any(part.wants(series) for part in (self._count, *self._totals.values()))

    def asks(self, series: str) -> Iterable[tuple[str, Ask[Fold]]]:
        """What both comparisons need."""
        for part in (self._count, *self._totals.values()):
            if part.wants(series):
                yield from part.asks(series)

    def verdict(self, facts: RunFacts) -> Verdict:
        """Both together."""
        found = self._count.series.find(facts)
        if isinstance(found, Verdict):
            return found
        total = None if found.spec is None else found.spec.total
        if total is None:
            question = (
                f"which series holds the {shown(self._total)} that {found.name} is counted of? "
                f'Declare total under [metrics."{found.name}"]'
            )
            return manual(question, final=facts.ended or found.settled)
        return conjunction([self._count.verdict(facts), self._totals[total].verdict(facts)])
