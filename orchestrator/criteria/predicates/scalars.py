"""Numbers, series, windows and arithmetic of the predicate language: syntax tree → operands."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Literal, TypeAlias

from orchestrator.criteria.predicates.expression import (
    WHOLE,
    Arithmetic,
    Baseline,
    Name,
    Number,
    Reduced,
    Scalar,
    Window,
)
from orchestrator.criteria.predicates.syntax import PredicateError, rules, where, words
from orchestrator.criteria.values import FRACTIONS, read_number, read_unit

if TYPE_CHECKING:
    from lark import Token, Tree

    Node: TypeAlias = Tree[Token]

TIMES = ("s", "min", "h", "days")

_Sign: TypeAlias = Literal["+", "-", "*", "/"]
_SIGNS: dict[str, _Sign] = {
    "+": "+",
    "*": "*",
    "\u00d7": "*",
    "/": "/",
}  # any other sign is a minus
_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "ln": math.log,
    "log": math.log,
    "sqrt": math.sqrt,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """What a series stands for that has no call of its own."""

    how: str = "latest"
    window: Window = WHOLE
    ranks: str = "0"


def read_scalar(tree: "Node", bare: Bare) -> Scalar:
    """An operand or arithmetic over operands; constants are folded.

    Raises PredicateError for a constant that has no value, ValueError for no float.
    """
    match tree.data:
        case "number":
            return _number(tree)
        case "bare":
            name = read_series(rules(tree)[0], bare.ranks)
            return Reduced(name=name, how=bare.how, window=bare.window)
        case "call":
            return _call(tree, bare)
        case "baseline":
            return _baseline(tree)
        case "function":
            return _function(tree)
        case "brackets":
            return read_scalar(rules(tree)[0], bare)
        case "signed":
            operand = read_scalar(rules(tree)[0], bare)
            if _sign(words(tree)[0]) == "+":
                return operand
            return _joined("*", Number(value=-1.0), operand)
    operands = [read_scalar(operand, bare) for operand in rules(tree)]
    signs = iter(words(tree))
    return reduce(lambda left, right: _joined(_sign(next(signs)), left, right), operands)


def read_constant(tree: "Node", unit: str | None = None) -> Number:
    """A number, or arithmetic over numbers, with `unit` where it has none.

    Raises PredicateError for anything else.
    """
    scalar = read_scalar(tree, Bare())
    if not isinstance(scalar, Number):
        raise PredicateError(f"at {where(tree)} only a number may stand")
    if unit is None or scalar.unit is not None:
        return scalar
    value = read_number(repr(abs(scalar.value)), percent=unit in FRACTIONS)
    return Number(value=math.copysign(value, scalar.value), unit=unit)


def has_bare(tree: "Node") -> bool:
    """Whether a series without a call of its own is part of the operand."""
    return any(True for _ in tree.find_data("bare"))


def read_series(tree: "Node", ranks: str) -> Name:
    """`eval/acc on validation`."""
    names = [read_name(name) for name in rules(tree)]
    return Name(text=names[0], scope=names[1] if len(names) > 1 else None, ranks=ranks)


def read_name(tree: "Node") -> str:
    """A name, out of its backticks."""
    return unquoted(words(tree)[0])


def unquoted(token: "Token") -> str:
    """The text of a token, out of its quotes."""
    if token.type == "QUOTED":
        return token[1:-1].replace("``", "`")
    if token.type == "STRING":
        return re.sub(r'\\(["\\])', r"\1", token[1:-1])
    return str(token)


def read_ranks(token: "Token") -> str:
    """`on rank 3` → `3`, `on all ranks` → `all`."""
    word = token.split()[-1]
    return str(int(word)) if word.isdecimal() else "all"


def read_window(tree: "Node") -> Window:
    """Which points: `by step 2000`, `steps 500..1000`, `last 100 points`."""
    numbers = [read_number(str(token)) for token in words(tree) if token.type == "NUM"]
    unit = next(_clock(token) for token in words(tree) if token.type != "NUM")
    match str(tree.data):
        case "by":
            return Window(kind="by", high=numbers[0], unit=unit)
        case "at":
            return Window(kind="at", high=numbers[0], unit=unit)
        case "after":
            return Window(kind="after", low=numbers[0], unit=unit)
        case "last":
            if numbers[0] == 0:
                raise PredicateError(f"the window at {where(tree)} is empty")
            return Window(kind="last", high=numbers[0], unit=unit)
    low, high = numbers
    if low >= high:
        raise PredicateError(f"the window at {where(tree)} ends before it begins")
    return Window(kind="between", low=low, high=high, unit=unit)


def whole(token: "Token") -> int:
    """A count of at least 1. Raises PredicateError."""
    number = read_number(str(token))
    if number < 1 or number != int(number):
        raise PredicateError(f"{token!s} (column {token.column}) is no whole number from 1 on")
    return int(number)


def _clock(token: "Token") -> str:
    word = token.casefold()
    if token.type in {"CLOCK", "POINT"}:
        return word.removesuffix("s")
    unit = read_unit(word if token.type == "TIME" else str(token))
    if unit not in TIMES:
        raise PredicateError(f"{token!s} (column {token.column}) is no unit of time")
    return unit


def _number(tree: "Node") -> Number:
    tokens = words(tree)
    unit: str | None = None
    dollars = tokens[0].type == "DOLLAR"
    digits = tokens[1] if dollars else tokens[0]
    for token in tokens[2 if dollars else 1 :]:
        unit = "%" if token.type == "PERCENT" else read_unit(unquoted(token))
    if dollars and unit is not None:
        raise PredicateError(f"the number at {where(tree)} has two units")
    value = read_number(str(digits), percent=unit in FRACTIONS)
    return Number(value=value, unit="$" if dollars else unit)


def _call(tree: "Node", bare: Bare) -> Reduced:
    series, *windows = rules(tree)
    return Reduced(
        name=read_series(series, bare.ranks),
        how=words(tree)[0].casefold(),
        window=read_window(windows[0]) if windows else WHOLE,
    )


def _baseline(tree: "Node") -> Baseline:
    run = words(tree)[0].rstrip(":").rstrip()
    name = read_name(rules(tree)[0])
    return Baseline(run=run.upper() if run[0] in "rR" else run.casefold(), series=name)


def _function(tree: "Node") -> Number:
    argument = read_constant(rules(tree)[0])
    word = words(tree)[0]
    try:
        value = _FUNCTIONS[word.casefold()](argument.value)
    except ValueError:
        raise PredicateError(f"{word!s} at {where(tree)} has no value there") from None
    return Number(value=value)


def _sign(token: "Token") -> _Sign:
    return _SIGNS.get(str(token), "-")


def _joined(op: _Sign, left: Scalar, right: Scalar) -> Scalar:
    if not (isinstance(left, Number) and isinstance(right, Number)):
        return Arithmetic(op=op, left=left, right=right)
    value = _value(op, left.value, right.value)
    if not math.isfinite(value):
        raise PredicateError(f"{left.value:g} {op} {right.value:g} has no finite value")
    return Number(value=value + 0.0, unit=_unit(op, left, right))  # + 0.0 drops the sign of -0


def _value(op: _Sign, left: float, right: float) -> float:
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right if right else math.nan


def _unit(op: _Sign, left: Number, right: Number) -> str | None:
    if op in {"+", "-"} and left.unit == right.unit:
        return left.unit
    if op == "*" and None in {left.unit, right.unit}:
        return left.unit or right.unit
    if op == "/" and right.unit in {None, left.unit}:
        return None if right.unit else left.unit
    units = " and ".join(unit or "no unit" for unit in (left.unit, right.unit))
    raise PredicateError(f"constants with {units} cannot be joined by {op!r}")
