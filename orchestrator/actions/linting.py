"""`exp ticket lint`: every rule of the ticket format, with what only a run or a reading knows."""

from dataclasses import dataclass

from orchestrator import tickets
from orchestrator.actions.run_list import current_runs, list_runs
from orchestrator.actions.specs import Specs
from orchestrator.domain.criterion import Criterion, Reading
from orchestrator.tickets import Knowledge, LintFinding
from orchestrator.watch.lifecycle import read_run
from orchestrator.workspace import Workspace

__all__ = ["LineReading", "LintFinding", "LintResult", "lint_tickets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineReading:
    """A criterion of a ticket, and how it is read before any run."""

    path: str
    line: int
    text: str
    reading: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class LintResult:
    """What lint found in how many tickets; `readings` of all criteria, if they were asked for."""

    tickets: int
    findings: tuple[LintFinding, ...]
    readings: tuple[LineReading, ...]

    @property
    def errors(self) -> int:
        """Findings that make lint fail."""
        return sum(finding.severity == "error" for finding in self.findings)

    @property
    def warnings(self) -> int:
        """Findings that a person should see."""
        return len(self.findings) - self.errors


def lint_tickets(
    workspace: Workspace, chosen: tuple[str, ...], *, readings: bool = False
) -> LintResult:
    """Lint the chosen tickets (all, if none is named) in the light of all others.

    Raises:
        NotFoundError: a chosen ticket does not exist.
    """
    paths = {tickets.find(workspace.tickets, text).path for text in chosen}
    documents = tickets.load_documents(workspace.tickets)
    specs = Specs(workspace, [document.ticket for document in documents])
    knowledge = Knowledge(
        root=workspace.root,
        read=specs.readings,
        spec_problems=specs.problems,
        frozen=_frozen(workspace),
    )
    findings = tickets.lint(documents, knowledge)
    return LintResult(
        tickets=len(paths) if paths else len(documents),
        findings=tuple(found for found in findings if not paths or found.path in paths),
        readings=tuple(
            LineReading(
                path=document.path,
                line=box.line,
                text=box.text,
                reading=reading,
            )
            for document in documents
            if readings and (not paths or document.path in paths)
            for box, reading in specs.readings(document)
        ),
    )


def _frozen(workspace: Workspace) -> dict[str, tuple[Criterion, ...]]:
    """The criteria of each ticket as they stood when its present run began."""
    frozen: dict[str, tuple[Criterion, ...]] = {}
    for ticket, run in current_runs(list_runs(workspace)).items():
        record = read_run(workspace.run(run.id))
        frozen[ticket] = record.criteria if record is not None else ()
    return frozen
