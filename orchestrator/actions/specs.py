"""Specs with what only the criteria's own language can check: predicates and derived metrics."""

from collections.abc import Iterable
from functools import cache

from orchestrator import tickets
from orchestrator.criteria import parse_predicate
from orchestrator.criteria.predicates.expression import WHOLE, Comparison, Number, Reduced, scalars
from orchestrator.domain.criterion import Reading
from orchestrator.domain.experiment import Experiment
from orchestrator.domain.run import MetricSpec
from orchestrator.domain.ticket import Checkbox, Ticket
from orchestrator.errors import ExpError, InvalidFileError
from orchestrator.spec import load_experiment
from orchestrator.tickets import Document
from orchestrator.watch.claims import Said, nearest_line, readings_of, said_by, unknown_lines
from orchestrator.workspace import Workspace

_LOOKED_UP = 10  # unknown lines for which the nearest one is looked for


def checked_experiment(
    workspace: Workspace, path: str, settings: tuple[str, ...] = ()
) -> Experiment:
    """Read a spec and parse what it says of criteria.

    Raises:
        InvalidFileError: also for a predicate or a derived metric; names file, key and column.
        ExpError: as `load_experiment`.
    """
    experiment = load_experiment(workspace, path, settings)
    for line, predicate in experiment.criteria.items():
        _check_predicate(experiment, line, predicate)
    for name, spec in experiment.metrics.items():
        if spec.expr is not None:
            _check_expression(f'{experiment.path}: metrics."{name}".expr', spec.expr)
    return experiment


def _check_predicate(experiment: Experiment, line: str, predicate: str) -> None:
    key = f'{experiment.path}: criteria."{line}"'
    try:
        parse_predicate(predicate)
    except InvalidFileError as error:
        raise InvalidFileError(f"{key}: {error}", hint=error.hint) from error
    if "-->" in predicate:
        raise InvalidFileError(
            f"{key}: '-->' ends a comment of Markdown, where predicates must be able to stand",
            hint="say it without that text",
        )


def _check_expression(key: str, expression: str) -> None:
    """A derived metric is arithmetic over series: it is read as one side of a test."""
    hint = 'write it like expr = "eval/loss / train/loss"'
    try:
        tree = parse_predicate(f"{expression} > 0")
    except InvalidFileError as error:
        reason = str(error).partition("cannot be read: ")[2] or str(error)
        raise InvalidFileError(f"{key} = {expression!r}: {reason}", hint=hint) from error
    if not isinstance(tree, Comparison) or tree.op != ">" or tree.right != Number(value=0.0):
        raise InvalidFileError(f"{key} = {expression!r}: not arithmetic alone", hint=hint)
    for part in scalars(tree.left):
        plain = isinstance(part, Reduced) and part.how == "latest" and part.window == WHOLE
        if not plain and not isinstance(part, Number):
            raise InvalidFileError(
                f"{key} = {expression!r}: only series and numbers may stand in it", hint=hint
            )


def check_lines(workspace: Workspace, experiment: Experiment, ticket: Ticket) -> None:
    """Refuse a [criteria] line that neither this ticket nor another one of this spec has.

    Raises:
        InvalidFileError: names the line, and the one that was probably meant.
    """
    unknown = unknown_lines(experiment.criteria, ticket)
    if unknown:
        sharing = [t for t in tickets.load_all(workspace.tickets) if _shares(t, ticket)]
        for problem in line_problems(experiment, ticket, sharing):
            raise InvalidFileError(problem, hint=f"copy the line from {ticket.path}")


def line_problems(experiment: Experiment, ticket: Ticket, sharing: Iterable[Ticket]) -> list[str]:
    """What is wrong with the lines of a spec's [criteria]; `sharing` are its other tickets."""
    unknown = unknown_lines(experiment.criteria, ticket)
    for other in sharing if unknown else ():
        unknown = unknown_lines(unknown, other)
    problems = []
    for count, line in enumerate(unknown):
        near = nearest_line(line, ticket) if count < _LOOKED_UP else None
        meant = f"; did you mean {near!r}?" if near else ""
        problems.append(
            f'{experiment.path}: criteria."{line}": {ticket.id} has no such criterion{meant}'
        )
    return problems


def _shares(other: Ticket, ticket: Ticket) -> bool:
    return other.id != ticket.id and other.experiment == ticket.experiment


def said_of(workspace: Workspace, ticket: Ticket) -> Said:
    """What the spec of a ticket says of its criteria; nothing while it cannot be read.

    Whoever only looks must see the ticket all the same: lint and start say what is wrong.
    """
    if ticket.experiment is None:
        return {}
    try:
        return said_by(checked_experiment(workspace, ticket.experiment).criteria)
    except ExpError:
        return {}


class Specs:
    """The specs of tickets, each read once, for what they say of the criteria."""

    def __init__(self, workspace: Workspace, everything: list[Ticket]) -> None:
        self._sharing: dict[str | None, list[Ticket]] = {}
        for ticket in everything:
            self._sharing.setdefault(ticket.experiment, []).append(ticket)
        self._load = cache(lambda path: _loaded(workspace, path))
        self._said = cache(self._said_by)

    def readings(self, document: Document) -> list[tuple[Checkbox, Reading]]:
        """How the criteria of a ticket are read in the light of its spec."""
        path = document.ticket.experiment
        return readings_of(document, self._said(path) if path else {})

    def metrics(self, ticket: Ticket) -> dict[str, MetricSpec]:
        """What the spec of a ticket declares under [metrics]."""
        spec = self._load(ticket.experiment) if ticket.experiment else None
        return spec.metrics if isinstance(spec, Experiment) else {}

    def _said_by(self, path: str) -> Said:
        spec = self._load(path)
        return said_by(spec.criteria) if isinstance(spec, Experiment) else {}

    def says(self, ticket: Ticket, box: Checkbox) -> bool:
        """Whether the spec of a ticket says what a line means."""
        said = self._said(ticket.experiment) if ticket.experiment else {}
        return bool(said) and tickets.line_key(box.text) in said

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
