"""All findings about a case."""

from orchestrator.diagnose.case import Case
from orchestrator.diagnose.rules import RULES
from orchestrator.domain.finding import Finding, Severity

_LOUDEST_FIRST = (Severity.ERROR, Severity.WARN, Severity.INFO)


def diagnose(case: Case) -> tuple[Finding, ...]:
    """What the rules find, the worst first, each once; without what the spec ignores."""
    found: dict[str, Finding] = {}
    for rule in RULES:
        for finding in rule(case):
            found.setdefault(finding.key, finding)
    heard = [each for each in found.values() if each.id not in case.thresholds.ignore]
    return tuple(sorted(heard, key=lambda each: _LOUDEST_FIRST.index(each.severity)))
