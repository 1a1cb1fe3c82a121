"""All findings about a case."""

from collections.abc import Callable

from orchestrator.diagnose.case import Case
from orchestrator.diagnose.rules import RULES
from orchestrator.domain.finding import Finding, Severity

_LOUDEST_FIRST = (Severity.ERROR, Severity.WARN, Severity.INFO)


def diagnose(
    case: Case, on_error: Callable[[str, Exception], None] | None = None
) -> tuple[Finding, ...]:
    """What the rules find, the worst first, each once; without what the spec ignores.

    A rule that fails must not hide what the others find: `on_error` hears of it by the rule's name.
    Without that the error is raised.
    """
    found: dict[str, Finding] = {}
    for rule in RULES:
        try:
            for finding in rule(case):
                found.setdefault(finding.key, finding)
        except Exception as error:
            if on_error is None:
                raise
            on_error(rule.__name__, error)
    heard = [each for each in found.values() if each.id not in case.thresholds.ignore]
    return tuple(sorted(heard, key=lambda each: _LOUDEST_FIRST.index(each.severity)))
