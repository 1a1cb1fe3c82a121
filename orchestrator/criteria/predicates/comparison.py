"""Tests of series in the predicate language: `left op right`, and the words after it."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from orchestrator.criteria.predicates.expression import (
    WHOLE,
    Comparison,
    Number,
    Pointwise,
    Reduced,
    Scalar,
    Window,
    scalars,
)
from orchestrator.criteria.predicates.scalars import (
    Bare,
    has_bare,
    read_constant,
    read_ranks,
    read_scalar,
    read_series,
    read_window,
    whole,
)
from orchestrator.criteria.predicates.syntax import PredicateError, rules, where, words
from orchestrator.criteria.values import ABOUT, PERCENT, read_operator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lark import Token, Tree

    Node: TypeAlias = Tree[Token]

_MOST_OPERANDS = 50

_MIRRORED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
_POINTWISE = {"all": "'all'", "any": "'any' or 'by'", "hold": "'for N consecutive'"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suffix:
    """What stands after a test; it speaks of the series without a call of their own."""

    how: str | None = None
    mode: Literal["all", "any", "hold"] | None = None
    hold: int | None = None
    window: Window = WHOLE
    ranks: str = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The operator and what stands to the right of it."""

    op: str
    ends: "tuple[Node, ...]"
    tolerance: float | None = None
    total: float | None = None


def read_test(tree: "Node") -> Comparison | Pointwise:
    """A test of the values of series, or of their single points; `2 > loss` is turned round.

    Raises PredicateError for what has no meaning, ValueError for no float.
    """
    left, comparison, *rest = cast("list[Node]", tree.children)
    suffix, bounds = _suffix(rest), read_bounds(comparison)
    turned = _MIRRORED.get(bounds.op) if bounds.total is None else None
    if turned is not None and isinstance(read_scalar(left, Bare()), Number):
        left, bounds = bounds.ends[0], replace(bounds, op=turned, ends=(left,))
    if suffix.mode is not None:
        return _pointwise(left, bounds, suffix)
    return _comparison(left, bounds, suffix)


def _comparison(tree: "Node", bounds: Bounds, suffix: _Suffix) -> Comparison:
    if suffix.how is not None or suffix.window != WHOLE:
        _check_suffix(tree, bounds, suffix)
    bare = Bare(how=suffix.how or "latest", window=suffix.window, ranks=suffix.ranks)
    left, ends = read_scalar(tree, bare), read_ends(bounds, suffix.ranks)
    operands = [operand for side in (left, *ends) for operand in scalars(side)]
    if isinstance(left, Number) or not any(isinstance(operand, Reduced) for operand in operands):
        raise PredicateError(f"the test at {where(tree)} names no series of the run")
    if bounds.total is not None and not isinstance(ends[0], Number):
        raise PredicateError(f"before 'of', at {where(bounds.ends[0])}, only a number may stand")
    if len(operands) > _MOST_OPERANDS:
        raise PredicateError(f"a test of {len(operands)} operands is longer than {_MOST_OPERANDS}")
    return Comparison(
        left=left,
        op=bounds.op,
        right=ends[0],
        right2=ends[1] if len(ends) > 1 else None,
        tolerance=bounds.tolerance,
        total=bounds.total,
    )


def _check_suffix(left: "Node", bounds: Bounds, suffix: _Suffix) -> None:
    if not has_bare(left):
        raise PredicateError(
            f"the words after the test at {where(left)} find no series to speak of; "
            "write them into the call, as in `mean(loss, last 100 points) < 2`"
        )
    if any(has_bare(end) for end in bounds.ends):
        raise PredicateError(
            f"with series on both sides ({where(left)}), say for each which value counts, "
            "as in `best(eval/acc) > best(train/acc)`"
        )
    if suffix.how is None and suffix.window.kind in {"between", "last"}:
        raise PredicateError(
            f"which value in the window of the test at {where(left)} counts? "
            "Write all, any, mean, max … before it"
        )


def _pointwise(left: "Node", bounds: Bounds, suffix: _Suffix) -> Pointwise:
    mode = suffix.mode or "any"
    ends = read_ends(bounds, suffix.ranks)
    numbers = [end for end in ends if isinstance(end, Number)]
    if left.data != "bare" or len(numbers) < len(ends) or bounds.total is not None:
        raise PredicateError(
            f"{_POINTWISE[mode]} looks at single points, so it compares one series with a number "
            f"({where(left)}); or write which value counts, as in `best(loss, by step 2000) < …`"
        )
    if suffix.window.kind == "at":
        raise PredicateError(
            f"{_POINTWISE[mode]} has no meaning for the one point of 'at' ({where(left)})"
        )
    return Pointwise(
        name=read_series(rules(left)[0], suffix.ranks),
        op=bounds.op,
        value=numbers[0],
        value2=numbers[1] if len(numbers) > 1 else None,
        tolerance=bounds.tolerance,
        mode=mode,
        hold=suffix.hold,
        window=suffix.window,
    )


def read_bounds(tree: "Node") -> Bounds:
    """The rule `comparison`: `> 0.5`, `~= 2.2 within 10%`, `in 2..3`."""
    operators, parts = words(tree), rules(tree)
    if not operators:
        return Bounds(op="between", ends=tuple(parts))
    end, *more = parts
    number = read_constant(rules(more[0])[0]) if more else None
    if operators[0].type == "OP":
        op = read_operator(operators[0])
        return Bounds(op=op, ends=(end,), total=number.value if number else None)
    if number is not None and number.unit != PERCENT:
        raise PredicateError(f"'within' ({where(more[0])}) takes a percentage, as in `within 10%`")
    return Bounds(op="~=", ends=(end,), tolerance=number.value if number else ABOUT)


def read_ends(bounds: Bounds, ranks: str) -> tuple[Scalar, ...]:
    """The right-hand side; in `40..60%` the lower end takes the unit of the upper."""
    ends = tuple(read_scalar(end, Bare(ranks=ranks)) for end in bounds.ends)
    numbers = [end for end in ends if isinstance(end, Number)]
    if len(numbers) < 2 or numbers[0].unit == numbers[1].unit:
        return ends
    low, high = numbers
    if low.unit is not None:
        raise PredicateError(f"the ends of the range at {where(bounds.ends[0])} differ in unit")
    return read_constant(bounds.ends[0], unit=high.unit), high


def _suffix(parts: "Iterable[Node | Token]") -> _Suffix:
    found = read_suffix_words(parts)
    if found.get("window", WHOLE).kind == "by" and not {"how", "mode"} & found.keys():
        found["mode"] = "any"
    if {"how", "mode"} <= found.keys():
        raise PredicateError(
            f"{found['how']!r} takes one value of all points, "
            f"{_POINTWISE[found['mode']]} tests single ones"
        )
    return _Suffix(**found)


def read_suffix_words(parts: "Iterable[Node | Token]") -> dict[str, Any]:
    """What the words and windows after a test say: `how` or `mode`, `hold`, `window`, `ranks`."""
    found: dict[str, Any] = {}
    for part in parts:
        for key, value in _said(part).items():
            if key in found:
                raise PredicateError(f"a second word for the same, at {where(part)}, contradicts")
            found[key] = value
    return found


def _said(part: "Node | Token") -> dict[str, Any]:
    """What one word or window after a test says."""
    match getattr(part, "type", None):
        case "RANKS":
            return {"ranks": read_ranks(cast("Token", part))}
        case "EVERY":
            return {"mode": "all"}
        case "SOME":
            return {"mode": "any"}
        case "REDUCTION":
            return {"how": cast("Token", part).casefold()}
    tree = cast("Node", part)
    if tree.data == "hold":
        return {"mode": "hold", "hold": whole(words(tree)[0])}
    return {"window": read_window(tree)}
