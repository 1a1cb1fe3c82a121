"""`exp ticket lint`: every rule of the ticket format, with what only a run or a reading knows."""

from dataclasses import dataclass
from functools import cache

from orchestrator import tickets
from orchestrator.actions.reading import list_runs
from orchestrator.actions.specs import checked_experiment, line_problems
from orchestrator.domain.criterion import Criterion, Reading
from orchestrator.domain.experiment import Experiment
from orchestrator.domain.ticket import Checkbox, Ticket
from orchestrator.errors import ExpError
from orchestrator.tickets import Knowledge, LintFinding
from orchestrator.watch.claims import Said, reading_of, said_by
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
    specs = _Specs(workspace, [document.ticket for document in documents])
    knowledge = Knowledge(
        root=workspace.root,
        read=specs.reading,
        spec_problems=specs.problems,
        frozen=_frozen(workspace),
    )
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


class _Specs:
    """The specs of tickets, each read once, for what they say of the criteria."""

    def __init__(self, workspace: Workspace, everything: list[Ticket]) -> None:
        self._sharing: dict[str | None, list[Ticket]] = {}
        for ticket in everything:
            self._sharing.setdefault(ticket.experiment, []).append(ticket)
        self._load = cache(lambda path: _loaded(workspace, path))
        self._said = cache(self._said_by)

    def reading(self, ticket: Ticket, box: Checkbox) -> Reading:
        """How a box is read in the light of its ticket's spec."""
        return reading_of(box, self._said(ticket.experiment) if ticket.experiment else {})

    def _said_by(self, path: str) -> Said:
        spec = self._load(path)
        return said_by(spec.criteria) if isinstance(spec, Experiment) else {}

    def problems(self, ticket: Ticket) -> list[str]:
        """What is wrong with the spec of a ticket."""
        spec = self._load(ticket.experiment) if ticket.experiment else None
        if isinstance(spec, str):
            return [spec]
        others = [t for t in self._sharing[ticket.experiment] if t is not ticket]
        return line_problems(spec, ticket, others) if spec is not None else []


def _loaded(workspace: Workspace, path: str) -> Experiment | str:
    """A spec, or what is wrong with it."""
    try:
        return checked_experiment(workspace, path)
    except ExpError as error:
        return str(error)
