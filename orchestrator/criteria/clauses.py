"""From a parse tree to clauses: what each rule of grammar.lark means."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from orchestrator.criteria.values import PERCENT, read_number, read_operator, read_unit
from orchestrator.criteria.vocabulary import (
    direction_of,
    is_metric_like,
    refusal_in,
    refusal_of_metric,
)
from orchestrator.domain.criterion import Clause, Subject

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

    Node: TypeAlias = Tree[Token]

ABOUT = 0.05  # "~52,000 steps" unless declared otherwise
HAZARDS = {"NAN": "nan", "INF": "inf", "OOM": "oom", "CRASH": "crash", "ERROR": "error"}

_STORAGE = frozenset("disk persistent storage run folder shared volume directory".split())
_THE_END = frozenset("run completion training evaluation end job teardown finish".split())
_RESULTS = frozenset("current currently result results achieved actual before was note".split())
_WHOLE_RUN = frozenset("training run entire whole full job log logs console output".split())


class NotReadError(Exception):
    """The words have another meaning than a clause can hold; the message says which."""


@dataclass(frozen=True, slots=True)
class _Number:
    value: float
    unit: str | None


@cache
def parser() -> "Lark":
    """The parser of both languages, built once on first use."""
    from lark import Lark  # noqa: PLC0415 - 60 ms that only the reading of a line needs

    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        grammar,
        parser="lalr",
        lexer="basic",
        start=["claims", "predicate"],
        maybe_placeholders=False,
    )


def parse(text: str, start: str) -> tuple[Clause, ...]:
    """Read `text` as `claims` or as a `predicate`.

    Raises NotReadError where no rule fits every word, or where a rule fits and its words still
    mean something else.
    """
    from lark import LarkError  # noqa: PLC0415 - as above

    try:
        tree = parser().parse(text, start=start)
    except LarkError as error:
        raise NotReadError(f"no rule reads {text!r}") from error
    try:
        return tuple(_clauses(tree))
    except ValueError as error:
        raise NotReadError(str(error)) from error


def is_plain_name(name: str) -> bool:
    """Whether the grammar reads a series name as one name without backticks."""
    from lark import LarkError  # noqa: PLC0415 - as above

    try:
        tokens = list(parser().lex(name))
    except LarkError:
        return False
    return [(token.type, str(token)) for token in tokens] == [("NAME", name)]


def _clauses(tree: "Node") -> Iterator[Clause]:
    labels = _trees(tree, "labelled")
    if labels:
        yield from _labelled(tree, labels)
        return
    for child in tree.children:
        if not _is_tree(child):
            continue
        if child.data in {"plain", "named"}:
            yield from _clauses(child)
        elif child.data != "phrase":
            yield from _BUILD[str(child.data)](child)


def _is_tree(child: Any) -> bool:
    return hasattr(child, "children")


def _trees(tree: "Node", name: str) -> "list[Node]":
    return [child for child in tree.children if _is_tree(child) and child.data == name]


def _tokens(tree: "Node", *names: str) -> list[str]:
    return [str(child) for child in tree.children if not _is_tree(child) and child.type in names]


def _types(tree: "Node") -> list[str]:
    return [str(child.type) for child in tree.children if not _is_tree(child)]


def _phrase(tree: "Node") -> str:
    return " ".join(str(word).strip("`") for word in tree.children)


def _labelled(tree: "Node", labels: "list[Node]") -> Iterator[Clause]:
    """`CIFAR-10: FID < 5, IS > 8` measures both on CIFAR-10: the label narrows every clause."""
    first = labels[0]
    names = [_phrase(label) for label in _trees(first, "phrase")]
    if len(labels) > 1 or tree.children[0] is not first or not names or _types(first):
        raise NotReadError("what stands before the colon is no plain label")
    if frozenset(names[0].casefold().split()) & _RESULTS:
        raise NotReadError(f"{names[0]!r} announces a result, not a condition")
    qualifier = _vetted(names[0])
    named = [*first.children, *tree.children[1:]]
    for clause in (clause for child in named if _is_tree(child) for clause in _each(child)):
        if clause.subject is not Subject.METRIC or clause.qualifier or clause.value is None:
            raise NotReadError(f"what {names[0]!r} means for this test is unclear")
        yield replace(clause, qualifier=qualifier)


def _each(tree: "Node") -> Iterator[Clause]:
    return iter(()) if tree.data == "phrase" else _clauses(tree)


def _vetted(phrase: str) -> str:
    if refusal := refusal_in(phrase.split()):
        raise NotReadError(refusal.why)
    return phrase


def _number(tree: "Node") -> _Number:
    percent = bool(_tokens(tree, "PERCENT"))
    negative = any(sign in "-–−" for sign in _tokens(tree, "SIGN"))
    unit = read_unit(next(iter(_tokens(tree, "UNIT")), None))
    if percent and unit:
        raise NotReadError("a percentage with a unit has two meanings")
    value = read_number(_tokens(tree, "NUM")[0], percent=percent, negative=negative)
    return _Number(value, PERCENT if percent else unit)


def _threshold(tree: "Node") -> Iterator[Clause]:
    aggregate = next(iter(word.casefold() for word in _tokens(tree, "AGGREGATE")), None)
    if aggregate == "all":
        raise NotReadError("'all' ranges over several series; write one criterion for each")
    if "STAYS" in _types(tree):
        if aggregate is not None:
            raise NotReadError(f"'stays' and {aggregate!r} contradict each other")
        aggregate = "all"
    phrases, paths = _trees(tree, "phrase"), _tokens(tree, "PATH")
    metric = _phrase(phrases[0]) if phrases else paths[0].strip("`")
    yield _measured(tree, metric, _comparison_in(tree, metric), aggregate)


def _value_first(tree: "Node") -> Iterator[Clause]:
    metric = _phrase(_trees(tree, "phrase")[0])
    yield _measured(tree, metric, _compared(_trees(tree, "comparison_percent")[0], metric), None)


def _measured(tree: "Node", metric: str, test: dict[str, Any], aggregate: str | None) -> Clause:
    if refusal := refusal_of_metric(metric, test.get("unit")):
        raise NotReadError(refusal.why)
    scope = [_vetted(_phrase(found)) for part in _trees(tree, "qualifier")
             for found in _trees(part, "phrase")]  # fmt: skip
    if len(scope) > 1:
        raise NotReadError("the test is narrowed twice; name the series that holds it")
    anchor = _anchor(tree, "anchor")
    if anchor and aggregate:
        raise NotReadError(f"{aggregate!r} together with {anchor!r} is not defined")
    return Clause(
        subject=Subject.METRIC,
        metric=metric,
        aggregate="any" if anchor else aggregate or "latest",
        anchor=anchor,
        qualifier=scope[0] if scope else None,
        **test,
    )


def _anchor(tree: "Node", rule: str) -> str | None:
    for found in _trees(tree, rule):
        return f"by step {int(read_number(_tokens(found, 'NUM')[0]))}"
    return None


def _comparison_in(tree: "Node", metric: str) -> dict[str, Any]:
    for child in tree.children:
        if _is_tree(child) and child.data == "comparison":
            return _compared(child, metric)
        if _is_tree(child) and child.data == "between":
            return _between(child)
        if _is_tree(child) and child.data == "spread":
            return _spread(child)
    raise NotReadError("there is no comparison")


def _compared(tree: "Node", metric: str) -> dict[str, Any]:
    numbers = _trees(tree, "number")
    number = _number(numbers[0]) if numbers else _number(tree)
    if "APPROX" in _types(tree):
        return {"op": "~=", "value": number.value, "unit": number.unit, "tolerance": ABOUT}
    words = _tokens(tree, "OP")
    op = read_operator(words[0]) if words else ">="
    if "REACHES" in _types(tree):
        direction = direction_of(metric)
        if direction is None:
            raise NotReadError(f"reaching from above or from below? Write {metric!r} with < or >")
        op = "<=" if direction == "min" else ">="
    elif not words and _tokens(tree, "SIGN")[-1] != "+":
        raise NotReadError("a number followed by a dash is half a range")
    elif words and numbers == [] and _tokens(tree, "SIGN"):
        raise NotReadError("an operator and a trailing sign contradict each other")
    return {"op": op, "value": number.value, "unit": number.unit}


def _between(tree: "Node") -> dict[str, Any]:
    low, high = (_number(number) for number in _trees(tree, "number"))
    if "+" in _tokens(tree, "SIGN"):
        raise NotReadError("'a + b' is no range")
    unit = low.unit or high.unit
    if low.unit != high.unit and PERCENT in {low.unit, high.unit}:
        if high.unit != PERCENT or low.unit is not None:
            raise NotReadError("one end of the range is a percentage and the other is not")
        low = _Number(float(read_number(repr(low.value), percent=True)), PERCENT)
    elif low.unit is not None and low.unit != high.unit:
        raise NotReadError("the ends of the range have different units")
    if low.value >= high.value:
        raise NotReadError("the range runs from high to low")
    return {"op": "between", "value": low.value, "value2": high.value, "unit": unit}


def _spread(tree: "Node") -> dict[str, Any]:
    middle, width = (_number(number) for number in _trees(tree, "number"))
    if any(read_operator(word) != "==" for word in _tokens(tree, "OP")):
        raise NotReadError("an inequality with ± has two meanings")
    if PERCENT in {middle.unit, width.unit}:
        raise NotReadError("are these percentage points or percent of the value?")
    if width.value <= 0:
        raise NotReadError("the width after ± must be positive")
    low, high = middle.value - width.value, middle.value + width.value
    return {"op": "between", "value": low, "value2": high, "unit": middle.unit or width.unit}


def _progress(tree: "Node") -> Iterator[Clause]:
    amounts = _trees(tree, "amount")
    part = amounts[0] if amounts else tree
    op, tolerance = ">=", None
    if "APPROX" in _types(part):
        op, tolerance = "~=", ABOUT
    elif words := _tokens(part, "OP"):
        op = read_operator(words[0])
    if any(sign != "+" for sign in _tokens(part, "SIGN")) or op in {"==", "!="}:
        raise NotReadError("at least, at most or about so many steps?")
    number = _tokens(part, "NUM")[0]
    if "." in number and number[-1].isdigit():
        raise NotReadError(f"is {number!r} a fraction of a step, or thousands?")
    yield _steps(op, read_number(number), tolerance)
    yield from _hazards(tree, None)


def _steps(op: str, value: float, tolerance: float | None = None) -> Clause:
    return Clause(
        subject=Subject.STEP, metric="step", op=op, value=value, unit="steps", tolerance=tolerance
    )


def _absence(tree: "Node") -> Iterator[Clause]:
    scope = [_phrase(found).casefold() for part in _trees(tree, "qualifier")
             for found in _trees(part, "phrase")]  # fmt: skip
    words = frozenset(" ".join(scope).split())
    if words and words <= {"loss", "losses"}:
        yield from _hazards(tree, "*loss*")
    elif words <= _WHOLE_RUN:
        yield from _hazards(tree, None)
    else:
        raise NotReadError(f"where to look for it is unclear: {scope[0]!r}")


def _hazards(tree: "Node", series: str | None) -> Iterator[Clause]:
    for found in _trees(tree, "hazard"):
        hazard = HAZARDS[_types(found)[0]]
        if hazard not in {"nan", "inf"} and series is not None:
            raise NotReadError(f"{hazard!r} is no value of a metric")
        yield _no_hazard(hazard, series)


def _no_hazard(hazard: str, series: str | None) -> Clause:
    if hazard in {"nan", "inf"}:
        return Clause(
            subject=Subject.METRIC, metric=series, op="absent", unit=hazard, aggregate="all"
        )
    return Clause(subject=Subject.LOG, metric=hazard, op="absent")


def _completes(tree: "Node") -> Iterator[Clause]:
    phase = "eval" if "EVALUATION" in _types(tree) else "train"
    yield _event(phase, "exists")
    yield from _hazards(tree, None)


def _event(name: str, op: str) -> Clause:
    return Clause(subject=Subject.EVENT, metric=name, op=op)


def _checkpoints(tree: "Node") -> Iterator[Clause]:
    for place in _trees(tree, "place"):
        where = _phrase(_trees(place, "phrase")[0])
        if not frozenset(where.casefold().split()) <= _STORAGE:
            raise NotReadError(f"whether checkpoints lie in {where!r} is not known; name a path")
    numbers = _tokens(tree, "NUM")
    if not numbers:
        yield Clause(subject=Subject.CHECKPOINT, metric="checkpoints", op="exists")
        return
    words = _tokens(tree, "OP")
    yield _checkpoint_count(read_operator(words[0]) if words else ">=", numbers[0])


def _checkpoint_count(op: str, number: str) -> Clause:
    return Clause(
        subject=Subject.CHECKPOINT, metric="checkpoints", op=op, value=read_number(number)
    )


def _file(tree: "Node") -> Iterator[Clause]:
    for phrase in _trees(tree, "phrase"):
        _vetted(_phrase(phrase))
    for path in _tokens(tree, "PATH", "KEY"):
        yield Clause(subject=Subject.FILE, metric=path.strip("`"), op="exists")


def _reported(tree: "Node") -> Iterator[Clause]:
    scope = "evaluation" if "EVALUATION" in _types(tree) else None
    for phrase in _trees(tree, "phrase"):
        metric = _phrase(phrase)
        if refusal := refusal_of_metric(metric, None):
            raise NotReadError(refusal.why)
        if "METRIC" not in _types(tree) and not is_metric_like(metric):
            raise NotReadError(f"is {metric!r} a metric? Write its key in backticks with 'metric'")
        yield Clause(subject=Subject.METRIC, metric=metric, op="exists", qualifier=scope)


def _resources(tree: "Node") -> Iterator[Clause]:
    for when in _trees(tree, "when"):
        words = _phrase(_trees(when, "phrase")[0]).casefold().split()
        if not frozenset(words) <= _THE_END:
            raise NotReadError("only the release at the end of the run is known")
    yield Clause(subject=Subject.RESOURCES, metric="resources", op="released")


# ---------------------------------------------------------------- the canonical language
def _name(tree: "Node", *types: str) -> str:
    return _tokens(tree, *types)[0].strip("`")


def _p_compare(tree: "Node") -> Iterator[Clause]:
    number = _number(_trees(tree, "number")[0])
    words = _tokens(tree, "OP")
    test: dict[str, Any] = {"op": "~=", "tolerance": _tolerance(tree)}
    if words:
        test = {"op": read_operator(words[0])}
        if _trees(tree, "within"):
            raise NotReadError("'within' belongs to ~= only")
    yield _p_measured(tree, value=number.value, unit=number.unit, **test)


def _p_between(tree: "Node") -> Iterator[Clause]:
    yield _p_measured(tree, **_between(tree))


def _p_measured(tree: "Node", **test: Any) -> Clause:
    anchor = _anchor(tree, "p_anchor")
    aggregate = next(iter(word.casefold() for word in _tokens(tree, "AGGREGATE")), None)
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
    return _name(_trees(tree, "series")[0], "NAME", "KEY", "PATH")


def _scope(tree: "Node") -> str | None:
    found = _trees(tree, "scope")
    return _name(found[0], "NAME", "KEY", "PATH", "EVALUATION") if found else None


def _tolerance(tree: "Node") -> float:
    found = _trees(tree, "within")
    return read_number(_tokens(found[0], "NUM")[0], percent=True) if found else ABOUT


def _p_exists(tree: "Node") -> Iterator[Clause]:
    yield Clause(subject=Subject.METRIC, metric=_series(tree), op="exists", qualifier=_scope(tree))


def _p_step(tree: "Node") -> Iterator[Clause]:
    words, value = _tokens(tree, "OP"), read_number(_tokens(tree, "NUM")[0])
    if words:
        yield _steps(read_operator(words[0]), value)
    else:
        yield _steps("~=", value, _tolerance(tree))


def _p_checkpoints(tree: "Node") -> Iterator[Clause]:
    numbers, words = _tokens(tree, "NUM"), _tokens(tree, "OP")
    if numbers:
        yield _checkpoint_count(read_operator(words[0]), numbers[0])
    else:
        yield Clause(subject=Subject.CHECKPOINT, metric="checkpoints", op="exists")


def _p_event(tree: "Node") -> Iterator[Clause]:
    absent = "ABSENT" in _types(tree)
    name = _name(tree, "NAME", "KEY", "TRAINING", "EVALUATION")
    yield _event(name, "absent" if absent else "exists")


def _p_nan(tree: "Node") -> Iterator[Clause]:
    hazard = "nan" if "NAN" in _types(tree) else "inf"
    names = _tokens(tree, "NAME", "KEY", "PATH")
    yield _no_hazard(hazard, names[0].strip("`") if names else None)


def _p_log(tree: "Node") -> Iterator[Clause]:
    yield _no_hazard(HAZARDS[_types(tree)[-1]], None)


_BUILD: "dict[str, Callable[[Node], Iterator[Clause]]]" = {
    "threshold": _threshold,
    "value_first": _value_first,
    "progress": _progress,
    "amount_done": _progress,
    "absence": _absence,
    "completes": _completes,
    "checkpoints": _checkpoints,
    "checkpoint_count": _checkpoints,
    "file": _file,
    "reported": _reported,
    "resources": _resources,
    "p_compare": _p_compare,
    "p_between": _p_between,
    "p_exists": _p_exists,
    "p_step": _p_step,
    "p_checkpoints": _p_checkpoints,
    "p_file": _file,
    "p_event": _p_event,
    "p_nan": _p_nan,
    "p_log": _p_log,
    "p_resources": _resources,
}
