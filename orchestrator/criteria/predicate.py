"""The canonical text of clauses: what the machine shows back, and what people may write."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from orchestrator.criteria.clauses import (
    ABOUT,
    HAZARDS,
    checkpoint_clause,
    event_clause,
    file_clauses,
    hazard_clause,
    read_anchor,
    read_range,
    read_value,
    resource_clauses,
    step_clause,
)
from orchestrator.criteria.syntax import (
    NotReadError,
    children,
    is_plain_name,
    syntax_tree,
    tokens,
    trees,
    types,
)
from orchestrator.criteria.values import read_number, read_operator, write_number
from orchestrator.domain.criterion import Clause, Subject
from orchestrator.errors import InvalidFileError

if TYPE_CHECKING:
    from lark import Token, Tree

    Node: TypeAlias = Tree[Token]

_LONGEST = 1000
_PHASES = {"TRAINING": "train", "EVALUATION": "eval", "train": "train", "eval": "eval"}


def parse_predicate(text: str) -> tuple[Clause, ...]:
    """Read an explicit predicate such as `eval/grid_acc > 0.5 best and no oom`.

    Raises InvalidFileError for what the language does not hold.
    """
    if len(text) > _LONGEST:
        raise InvalidFileError(f"a predicate of {len(text):,} characters is too long")
    try:
        tree = syntax_tree(" ".join(text.split()), "predicate")
        return tuple(clause for rule in children(tree) for clause in _BUILD[str(rule.data)](rule))
    except (NotReadError, ValueError) as error:
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
            name = clause.metric or ""
            return f"event {name if name in _PHASES else _quoted(name)} {clause.op}"
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


# ---------------------------------------------------------------- the canonical language
def _name(tree: "Node", *types: str) -> str:
    return tokens(tree, *types)[0].strip("`")


def _p_compare(tree: "Node") -> Iterator[Clause]:
    number = read_value(trees(tree, "number")[0])
    words = tokens(tree, "OP")
    test: dict[str, Any] = {"op": "~=", "tolerance": _tolerance(tree)}
    if words:
        test = {"op": read_operator(words[0])}
        if trees(tree, "within"):
            raise NotReadError("'within' belongs to ~= only")
    yield _p_measured(tree, value=number.value, unit=number.unit, **test)


def _p_between(tree: "Node") -> Iterator[Clause]:
    yield _p_measured(tree, **read_range(tree))


def _p_measured(tree: "Node", **test: Any) -> Clause:
    anchor = read_anchor(tree, "p_anchor")
    aggregate = next(iter(word.casefold() for word in tokens(tree, "AGGREGATE")), None)
    if anchor and aggregate not in {None, "latest"}:
        raise NotReadError(f"{aggregate!r} together with {anchor!r} is not defined")
    return Clause(
        subject=Subject.METRIC,
        metric=_series(tree),
        aggregate="any" if anchor else aggregate or "latest",
        anchor=anchor,
        qualifier=_scope(tree),
        **test,
    )


def _series(tree: "Node") -> str:
    return _name(trees(tree, "series")[0], "NAME", "KEY", "PATH")


def _scope(tree: "Node") -> str | None:
    found = trees(tree, "scope")
    return _name(found[0], "NAME", "KEY", "PATH", "EVALUATION") if found else None


def _tolerance(tree: "Node") -> float:
    found = trees(tree, "within")
    return read_number(tokens(found[0], "NUM")[0], percent=True) if found else ABOUT


def _p_exists(tree: "Node") -> Iterator[Clause]:
    yield Clause(subject=Subject.METRIC, metric=_series(tree), op="exists", qualifier=_scope(tree))


def _p_step(tree: "Node") -> Iterator[Clause]:
    words, value = tokens(tree, "OP"), read_number(tokens(tree, "NUM")[0])
    if words:
        yield step_clause(read_operator(words[0]), value)
    else:
        yield step_clause("~=", value, _tolerance(tree))


def _p_checkpoints(tree: "Node") -> Iterator[Clause]:
    numbers, words = tokens(tree, "NUM"), tokens(tree, "OP")
    if numbers:
        yield checkpoint_clause(read_operator(words[0]), numbers[0])
    else:
        yield Clause(subject=Subject.CHECKPOINT, metric="checkpoints", op="exists")


def _p_event(tree: "Node") -> Iterator[Clause]:
    absent = "ABSENT" in types(tree)
    name = _PHASES.get(types(tree)[0]) or _name(tree, "NAME", "KEY")
    yield event_clause(name, "absent" if absent else "exists")


def _p_nan(tree: "Node") -> Iterator[Clause]:
    hazard = "nan" if "NAN" in types(tree) else "inf"
    names = tokens(tree, "NAME", "KEY", "PATH")
    yield hazard_clause(hazard, names[0].strip("`") if names else None)


def _p_log(tree: "Node") -> Iterator[Clause]:
    yield hazard_clause(HAZARDS[types(tree)[-1]], None)


_BUILD: "dict[str, Callable[[Node], Iterator[Clause]]]" = {
    "p_compare": _p_compare,
    "p_between": _p_between,
    "p_exists": _p_exists,
    "p_step": _p_step,
    "p_checkpoints": _p_checkpoints,
    "p_file": file_clauses,
    "p_event": _p_event,
    "p_nan": _p_nan,
    "p_log": _p_log,
    "p_resources": resource_clauses,
}
