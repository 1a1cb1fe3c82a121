"""From a parse tree to clauses: what each rule of grammar.lark means."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from orchestrator.criteria.syntax import (
    NotReadError,
    children,
    phrase,
    syntax_tree,
    tokens,
    trees,
    types,
)
from orchestrator.criteria.values import PERCENT, read_number, read_operator, read_unit
from orchestrator.criteria.vocabulary import (
    direction_of,
    is_metric_like,
    refusal_in,
    refusal_of_metric,
    words_of,
)
from orchestrator.domain.criterion import Clause, Subject

if TYPE_CHECKING:
    from lark import Token, Tree

    Node: TypeAlias = Tree[Token]

ABOUT = 0.05  # "~52,000 steps" unless declared otherwise
HAZARDS = {"NAN": "nan", "INF": "inf", "OOM": "oom", "CRASH": "crash", "ERROR": "error"}

_STORAGE = words_of("disk persistent storage run folder shared volume directory")
_EVERY_SERIES = words_of("any all every logged reported")
_THE_END = words_of("of run completion training evaluation end job teardown finish")
_RESULTS = words_of(
    "current currently result results achieved actual before was note todo fixme example"
)
_WHOLE_RUN = words_of("training run entire whole full job log logs console output")


@dataclass(frozen=True, slots=True)
class _Number:
    value: float
    unit: str | None


def parse_claims(text: str) -> tuple[Clause, ...]:
    """Read a claim without its notes.

    Raises NoRuleError where no rule fits every word, and NotReadError where a rule fits and its
    words still mean something else.
    """
    try:
        clauses = tuple(_clauses(syntax_tree(text, "claims")))
    except ValueError as error:
        raise NotReadError(str(error)) from error
    _refuse_shared_tail(clauses)
    return clauses


def _refuse_shared_tail(clauses: tuple[Clause, ...]) -> None:
    """`a > 1 and b > 2 on test by step 9`: whether the tail belongs to both is not written."""
    tails = {
        (clause.qualifier is None, clause.anchor is None)
        for clause in clauses
        if clause.subject is Subject.METRIC and clause.value is not None
    }
    if len(tails) > 1:
        raise NotReadError("does the end of the line belong to every test in it? Write one each")


def _clauses(tree: "Node") -> Iterator[Clause]:
    labels = trees(tree, "labelled")
    if labels:
        yield from _labelled(tree, labels)
        return
    for child in children(tree):
        if child.data in {"plain", "named"}:
            yield from _clauses(child)
        elif child.data != "phrase":
            yield from _BUILD[str(child.data)](child)


def _labelled(tree: "Node", labels: "list[Node]") -> Iterator[Clause]:
    """`CIFAR-10: FID < 5, IS > 8` measures both on CIFAR-10: the label narrows every clause."""
    first = labels[0]
    names = [phrase(label) for label in trees(first, "phrase")]
    if len(labels) > 1 or children(tree)[0] is not first or not names or types(first):
        raise NotReadError("what stands before the colon is no plain label")
    if frozenset(names[0].casefold().split()) & _RESULTS:
        raise NotReadError(f"{names[0]!r} announces a result, not a condition")
    qualifier = _vetted(names[0])
    named = [*children(first), *children(tree)[1:]]
    for clause in (clause for child in named for clause in _each(child)):
        if clause.subject is not Subject.METRIC or clause.qualifier or clause.value is None:
            raise NotReadError(f"what {names[0]!r} means for this test is unclear")
        yield replace(clause, qualifier=qualifier)


def _each(tree: "Node") -> Iterator[Clause]:
    return iter(()) if tree.data == "phrase" else _clauses(tree)


def _vetted(name: str) -> str:
    if refusal := refusal_in(name.split()):
        raise NotReadError(refusal.why)
    return name


def read_value(tree: "Node") -> _Number:
    """Number and unit of a rule; a percentage is a fraction. Raises NotReadError, ValueError."""
    percent = bool(tokens(tree, "PERCENT"))
    negative = any(sign != "+" for sign in tokens(tree, "SIGN"))
    unit = read_unit(next(iter(tokens(tree, "UNIT")), None))
    if percent and unit:
        raise NotReadError("a percentage with a unit has two meanings")
    value = read_number(tokens(tree, "NUM")[0], percent=percent, negative=negative)
    return _Number(value, PERCENT if percent else unit)


def _threshold(tree: "Node") -> Iterator[Clause]:
    aggregate = next(iter(word.casefold() for word in tokens(tree, "AGGREGATE")), None)
    if aggregate == "all":
        raise NotReadError("'all' ranges over several series; write one criterion for each")
    if "STAYS" in types(tree):
        if aggregate is not None:
            raise NotReadError(f"'stays' and {aggregate!r} contradict each other")
        aggregate = "all"
    phrases, paths = trees(tree, "phrase"), tokens(tree, "PATH")
    metric = phrase(phrases[0]) if phrases else paths[0].strip("`")
    yield _measured(tree, metric, _comparison_in(tree, metric), aggregate)


def _value_first(tree: "Node") -> Iterator[Clause]:
    metric = phrase(trees(tree, "phrase")[0])
    yield _measured(tree, metric, _compared(trees(tree, "comparison_percent")[0], metric), None)


def _measured(tree: "Node", metric: str, test: dict[str, Any], aggregate: str | None) -> Clause:
    if refusal := refusal_of_metric(metric, test.get("unit")):
        raise NotReadError(refusal.why)
    scope = [_vetted(phrase(found)) for part in trees(tree, "qualifier")
             for found in trees(part, "phrase")]  # fmt: skip
    if len(scope) > 1:
        raise NotReadError("the test is narrowed twice; name the series that holds it")
    anchor = read_anchor(tree, "anchor")
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


def read_anchor(tree: "Node", rule: str) -> str | None:
    """`by step 2000` for the anchor below a rule, in its canonical text; None without one."""
    for found in trees(tree, rule):
        return f"by step {int(read_number(tokens(found, 'NUM')[0]))}"
    return None


def _comparison_in(tree: "Node", metric: str) -> dict[str, Any]:
    for child in children(tree):
        if child.data == "comparison":
            return _compared(child, metric)
        if child.data == "between":
            return read_range(child)
        if child.data == "spread":
            return _spread(child)
    raise NotReadError("there is no comparison")


def _compared(tree: "Node", metric: str) -> dict[str, Any]:
    numbers = trees(tree, "number")
    number = read_value(numbers[0]) if numbers else read_value(tree)
    if "APPROX" in types(tree):
        return {"op": "~=", "value": number.value, "unit": number.unit, "tolerance": ABOUT}
    words = tokens(tree, "OP")
    op = read_operator(words[0]) if words else ">="
    if "REACHES" in types(tree):
        direction = direction_of(metric)
        if direction is None:
            raise NotReadError(f"reaching from above or from below? Write {metric!r} with < or >")
        op = "<=" if direction == "min" else ">="
    elif not words and tokens(tree, "SIGN")[-1] != "+":
        raise NotReadError("a number followed by a dash is half a range")
    return {"op": op, "value": number.value, "unit": number.unit}


def read_range(tree: "Node") -> dict[str, Any]:
    """The fields of a clause for a range, low end first. Raises NotReadError."""
    low, high = (read_value(number) for number in trees(tree, "number"))
    if "+" in tokens(tree, "SIGN"):
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
    middle, width = (read_value(number) for number in trees(tree, "number"))
    if any(read_operator(word) != "==" for word in tokens(tree, "OP")):
        raise NotReadError("an inequality with ± has two meanings")
    if PERCENT in {middle.unit, width.unit}:
        raise NotReadError("are these percentage points or percent of the value?")
    if width.value <= 0:
        raise NotReadError("the width after ± must be positive")
    low, high = middle.value - width.value, middle.value + width.value
    return {"op": "between", "value": low, "value2": high, "unit": middle.unit or width.unit}


def _progress(tree: "Node") -> Iterator[Clause]:
    amounts = trees(tree, "amount")
    part = amounts[0] if amounts else tree
    op, tolerance = ">=", None
    if "APPROX" in types(part):
        op, tolerance = "~=", ABOUT
    elif words := tokens(part, "OP"):
        op = read_operator(words[0])
    if any(sign != "+" for sign in tokens(part, "SIGN")) or op in {"==", "!="}:
        raise NotReadError("at least, at most or about so many steps?")
    number = tokens(part, "NUM")[0]
    if "." in number and number[-1].isdigit():
        raise NotReadError(f"is {number!r} a fraction of a step, or thousands?")
    yield step_clause(op, read_number(number), tolerance)
    yield from _hazards(tree, None)


def step_clause(op: str, value: float, tolerance: float | None = None) -> Clause:
    """A clause on the largest step of the run."""
    return Clause(
        subject=Subject.STEP, metric="step", op=op, value=value, unit="steps", tolerance=tolerance
    )


def _absence(tree: "Node") -> Iterator[Clause]:
    scopes = trees(tree, "where")
    words = frozenset(phrase(trees(scopes[0], "phrase")[0]).casefold().split() if scopes else ())
    in_metrics = bool(scopes) and "METRIC" in types(scopes[0])
    if in_metrics and words <= _EVERY_SERIES:
        yield from _hazards(tree, "*")
    elif not in_metrics and words and words <= {"loss", "losses"}:
        yield from _hazards(tree, "*loss*")
    elif not in_metrics and words <= _WHOLE_RUN:
        yield from _hazards(tree, None)
    else:
        raise NotReadError(f"where to look for it is unclear: {' '.join(sorted(words))!r}")


def _hazards(tree: "Node", series: str | None) -> Iterator[Clause]:
    for found in trees(tree, "hazard"):
        hazard = HAZARDS[types(found)[0]]
        if hazard not in {"nan", "inf"} and series is not None:
            raise NotReadError(f"{hazard!r} is no value of a metric")
        yield hazard_clause(hazard, series)


def hazard_clause(hazard: str, series: str | None) -> Clause:
    """`no nan` over all series or those of a glob; `no oom`, `no crash`, `no error` over logs."""
    if hazard in {"nan", "inf"}:
        return Clause(
            subject=Subject.METRIC,
            metric=None if series == "*" else series,
            op="absent",
            unit=hazard,
            aggregate="all",
        )
    return Clause(subject=Subject.LOG, metric=hazard, op="absent")


def _completes(tree: "Node") -> Iterator[Clause]:
    phase = "eval" if "EVALUATION" in types(tree) else "train"
    yield event_clause(phase, "exists")
    yield from _hazards(tree, None)


def event_clause(name: str, op: str) -> Clause:
    """A clause on an event by name, or on the end of a phase (`eval`, `train`)."""
    return Clause(subject=Subject.EVENT, metric=name, op=op)


def _checkpoints(tree: "Node") -> Iterator[Clause]:
    for place in trees(tree, "place"):
        where = phrase(trees(place, "phrase")[0])
        if not frozenset(where.casefold().split()) <= _STORAGE:
            raise NotReadError(f"whether checkpoints lie in {where!r} is not known; name a path")
    numbers = tokens(tree, "NUM")
    if not numbers:
        yield Clause(subject=Subject.CHECKPOINT, metric="checkpoints", op="exists")
        return
    words = tokens(tree, "OP")
    yield checkpoint_clause(read_operator(words[0]) if words else ">=", numbers[0])


def checkpoint_clause(op: str, number: str) -> Clause:
    """A clause on the number of valid checkpoints."""
    return Clause(
        subject=Subject.CHECKPOINT, metric="checkpoints", op=op, value=read_number(number)
    )


def file_clauses(tree: "Node") -> Iterator[Clause]:
    """One clause for each backticked path."""
    for words in trees(tree, "phrase"):
        _vetted(phrase(words))
    for path in tokens(tree, "PATH", "KEY"):
        yield Clause(subject=Subject.FILE, metric=path.strip("`"), op="exists")


def _reported(tree: "Node") -> Iterator[Clause]:
    scope = "evaluation" if "EVALUATION" in types(tree) else None
    for words in trees(tree, "phrase"):
        metric = phrase(words)
        if refusal := refusal_of_metric(metric, None):
            raise NotReadError(refusal.why)
        if "METRIC" not in types(tree) and not is_metric_like(metric):
            raise NotReadError(f"is {metric!r} a metric? Write its key in backticks with 'metric'")
        yield Clause(subject=Subject.METRIC, metric=metric, op="exists", qualifier=scope)


def resource_clauses(tree: "Node") -> Iterator[Clause]:
    """That nothing of the run is left at its end."""
    for when in trees(tree, "when"):
        words = phrase(trees(when, "phrase")[0]).casefold().split()
        if not frozenset(words) <= _THE_END:
            raise NotReadError("only the release at the end of the run is known")
    yield Clause(subject=Subject.RESOURCES, metric="resources", op="released")


_BUILD: "dict[str, Callable[[Node], Iterator[Clause]]]" = {
    "threshold": _threshold,
    "value_first": _value_first,
    "progress": _progress,
    "amount_done": _progress,
    "absence": _absence,
    "completes": _completes,
    "checkpoints": _checkpoints,
    "checkpoint_count": _checkpoints,
    "file": file_clauses,
    "reported": _reported,
    "resources": resource_clauses,
}
