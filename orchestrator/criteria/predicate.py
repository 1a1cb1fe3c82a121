"""The canonical text of clauses: what the machine shows back, and what people may write."""

from collections.abc import Iterable

from orchestrator.criteria.clauses import ABOUT, NotReadError, is_plain_name, parse
from orchestrator.criteria.values import write_number
from orchestrator.domain.criterion import Clause, Subject
from orchestrator.errors import InvalidFileError

_LONGEST = 1000


def parse_predicate(text: str) -> tuple[Clause, ...]:
    """Read an explicit predicate such as `eval/grid_acc > 0.5 best and no oom`.

    Raises InvalidFileError for what the language does not hold.
    """
    if len(text) > _LONGEST:
        raise InvalidFileError(f"a predicate of {len(text):,} characters is too long")
    try:
        return parse(" ".join(text.split()), "predicate")
    except NotReadError as error:
        raise InvalidFileError(
            f"the predicate {text!r} cannot be read: {error}",
            hint="see docs/criteria.md, section Explicit predicates",
        ) from error


def predicate_text(clauses: Iterable[Clause]) -> str:
    """The canonical text; `parse_predicate` gives the same clauses back."""
    return " and ".join(_text(clause) for clause in clauses)


def _text(clause: Clause) -> str:
    match clause.subject:
        case Subject.STEP:
            return f"step {_test(clause, unit=None)}"
        case Subject.CHECKPOINT:
            return f"checkpoints {'exist' if clause.op == 'exists' else _test(clause, unit=None)}"
        case Subject.FILE:
            return f"file `{clause.metric}` exists"
        case Subject.EVENT:
            return f"event {_quoted(clause.metric or '')} {clause.op}"
        case Subject.LOG:
            return f"no {clause.metric}"
        case Subject.RESOURCES:
            return "resources released"
        case Subject.METRIC:
            return _metric_text(clause)


def _metric_text(clause: Clause) -> str:
    if clause.op == "absent":
        return f"no {clause.unit}" + (f" in {_quoted(clause.metric)}" if clause.metric else "")
    name = _quoted(clause.metric or "")
    if clause.qualifier:
        name += f" on {_quoted(clause.qualifier)}"
    if clause.op == "exists":
        return f"{name} exists"
    text = f"{name} {_test(clause, unit=clause.unit)}"
    if clause.anchor:
        return f"{text} {clause.anchor}"
    return text if clause.aggregate in {None, "latest"} else f"{text} {clause.aggregate}"


def _test(clause: Clause, *, unit: str | None) -> str:
    value = 0.0 if clause.value is None else clause.value
    if clause.op == "between" and clause.value2 is not None:
        return f"in {write_number(value, unit)}..{write_number(clause.value2, unit)}"
    text = f"{clause.op} {write_number(value, unit)}"
    if clause.op == "~=" and clause.tolerance is not None and clause.tolerance != ABOUT:
        text += f" within {write_number(clause.tolerance, '%')}"
    return text


def _quoted(name: str) -> str:
    return name if is_plain_name(name) else f"`{name}`"
