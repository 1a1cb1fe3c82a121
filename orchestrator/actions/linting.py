"""`exp ticket lint`: every rule of the ticket format, with what only a run or a reading knows."""

from dataclasses import dataclass

from orchestrator.tickets import LintFinding

__all__ = ["LintFinding", "LintResult", "lint_tickets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LintResult:
    """What lint found in how many tickets."""

    tickets: int
    findings: tuple[LintFinding, ...]

    @property
    def errors(self) -> int:
        """Findings that make lint fail."""
        return sum(finding.severity == "error" for finding in self.findings)

    @property
    def warnings(self) -> int:
        """Findings that a person should see."""
        return len(self.findings) - self.errors
