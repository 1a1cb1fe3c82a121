"""`exp ticket lint`: every rule of the ticket format, with what only a run or a reading knows."""

from dataclasses import dataclass

from orchestrator import criteria, tickets
from orchestrator.actions.reading import list_runs
from orchestrator.domain.criterion import Criterion
from orchestrator.tickets import Knowledge, LintFinding
from orchestrator.watch.lifecycle import read_run
from orchestrator.workspace import Workspace

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


def lint_tickets(workspace: Workspace, chosen: tuple[str, ...]) -> LintResult:
    """Lint the chosen tickets (all, if none is named) in the light of all others.

    Raises:
        NotFoundError: a chosen ticket does not exist.
    """
    paths = {tickets.find(workspace.tickets, text).path for text in chosen}
    documents = tickets.load_documents(workspace.tickets)
    knowledge = Knowledge(root=workspace.root, read=criteria.read, frozen=_frozen(workspace))
    findings = tickets.lint(documents, knowledge)
    return LintResult(
        tickets=len(paths) if paths else len(documents),
        findings=tuple(found for found in findings if not paths or found.path in paths),
    )


def _frozen(workspace: Workspace) -> dict[str, tuple[Criterion, ...]]:
    """The criteria of each ticket as they stood when its newest run began."""
    frozen: dict[str, tuple[Criterion, ...]] = {}
    for run in list_runs(workspace):
        if run.ticket is not None and run.ticket not in frozen:
            record = read_run(workspace.run(run.id))
            frozen[run.ticket] = record.criteria if record is not None else ()
    return frozen
