"""A line as a row of pieces: comparisons, times and numbers read, everything else words."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from orchestrator.criteria.lines.syntax import NotReadError, syntax_tree, tokens, trees, types
from orchestrator.criteria.values import (
    ABOUT,
    FRACTIONS,
    PERCENT,
    read_log,
    read_number,
    read_operator,
    read_unit,
)

if TYPE_CHECKING:
    from lark import Token, Tree

    Node: TypeAlias = Tree[Token]

_MINUS = "-\u2212\u2013"  # hyphen, minus sign, and the dash that people write for it
_PERCENT_SIGNS = frozenset({"%", "percent", "\uff05"})  # the last is the full-width sign
_SUFFIXES = {"以上": ">=", "以下": "<=", "未満": "<"}  # every other one says "more than"


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """A comparison without its metric; `doubt` says why it cannot be taken as it stands."""

    op: str
    value: float
    value2: float | None = None
    unit: str | None = None
    total: float | None = None
    tolerance: float | None = None
    doubt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A place in training time: `prep` as written, from `low` to `high` (one number: both).

    `kind` is `anchor` (by step 2000), `window` (over the last 500 steps), `moment` (Epoch 3) or
    `every` (every 20 epochs).
    """

    kind: str
    prep: str
    unit: str
    low: float
    high: float
    counted: bool  # "after 3 epochs", not "after epoch 3"
    about: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One piece.

    `kind` is a terminal's name in lower case, `test`, `amount`, or the kind of its `moment`. A
    test and an amount (a number that compares with nothing yet) have a `test`.
    """

    kind: str
    text: str
    test: Test | None = None
    moment: Moment | None = None
    count: int | None = None  # of `hold`

    @property
    def word(self) -> str:
        """The text as words are looked up; IS is a metric, not a verb."""
        if self.text == "IS":
            return self.text
        return self.text.casefold().replace("\u2019", "'").strip("*_\"'“”.")


def tests_in(pieces: Iterable[Piece]) -> list[Piece]:
    """The pieces that compare with a number."""
    return [piece for piece in pieces if piece.kind == "test"]


@lru_cache(maxsize=2048)
def pieces_of(text: str) -> tuple[Piece, ...]:
    """Cut a line into pieces. Raises NotReadError for a number that is none."""
    tree = syntax_tree(text)
    try:
        return tuple(_piece(child) for child in tree.children)
    except ValueError as error:
        raise NotReadError(str(error)) from error


def _piece(child: "Node | Token") -> Piece:
    if isinstance(child, str):  # a token is a str
        return _token(child)
    name, text = str(child.data), _text(child)
    if name in {"anchor", "window", "moment", "every"}:
        return Piece(kind=name, text=text, moment=_moment(child))
    if name == "amount":
        return Piece(kind=name, text=text, test=_value(trees(child, "value")[0]))
    return Piece(kind="test", text=text, test=_TESTS[name](child))


def _token(token: "Token") -> Piece:
    kind = str(token.type).casefold().replace("cjk", "word")
    if kind == "always":
        return Piece(kind="word", text="always")  # "at all times", "throughout training"
    digits = re.search(r"\d+", token) if kind == "hold" else None
    return Piece(kind=kind, text=str(token), count=int(digits[0]) if digits else None)


def _text(tree: "Node") -> str:
    return " ".join(str(token).strip() for token in tree.scan_values(lambda _: True))


# ------------------------------------------------------------------ numbers and tests
def _first(tree: "Node", *names: str) -> str | None:
    return next(iter(tokens(tree, *names)), None)


def is_dotted(digits: str) -> bool:
    """Whether a count could be a fraction or thousands: `52.000` steps."""
    return re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", digits) is not None


def _value(tree: "Node") -> Test:
    """A number alone, as a test for equality; a percentage is a fraction."""
    if logarithm := _first(tree, "LN"):
        return Test(op="==", value=read_log(logarithm))
    number = tokens(tree, "NUM")[0]
    digits = number.lstrip("+" + _MINUS)
    unit, percent = read_unit(_first(tree, "UNIT")), _first(tree, "PERCENT")
    total = _first(tree, "TOTAL")
    doubt = None
    if percent and unit:
        doubt = "a percentage with a unit has two meanings"
    if total is not None and not re.fullmatch(r"[1-9]\d+\D*[1-9]\d+", digits + total):
        doubt = f"is {digits}{total.replace(' ', '')!r} a count out of so many, or a fraction?"
    if re.search(r"\d,\d{1,2}(?!\d)", digits):
        doubt = f"is {digits!r} a decimal comma?"
    value = read_number(digits, percent=percent is not None, negative=number[0] in _MINUS)
    if percent:
        unit = PERCENT if percent.casefold() in _PERCENT_SIGNS else "pp"
    else:
        unit = _first(tree, "CURRENCY") or unit
    claimed = None if total is None else read_number(total.strip("/ "))
    return Test(op="==", value=value, unit=unit, total=claimed, doubt=doubt)


def _values(tree: "Node") -> list[Test]:
    return [_value(value) for value in trees(tree, "value")]


def operator_of(text: str) -> str | None:
    """The operator that words or a sign stand for; None where they leave the direction open."""
    return None if text.casefold().endswith("worse than") else read_operator(text)


def _compare(tree: "Node") -> Test:
    value, op = _values(tree)[0], operator_of(tokens(tree, "OP")[0])
    if op is None:
        why = "no worse in which direction? Write it with <= or >="
        return replace(value, op=">=", doubt=why)
    if op == "==" and "APPROX" in types(tree):
        return _about(value)
    return replace(value, op=op)


def _approx(tree: "Node") -> Test:
    return _about(_values(tree)[0])


def _about(value: Test) -> Test:
    if value.value == 0:
        return replace(value, op="~=", tolerance=ABOUT, doubt="about zero: within how much?")
    return replace(value, op="~=", tolerance=ABOUT)


def _between(tree: "Node") -> Test:
    low, high, *_ = _values(tree)
    test = _range(low, high)
    if "ARROW_NUM" in types(tree):
        why = "from one value to another: by when, and may it come back? Write two tests"
        return replace(test, doubt=why)
    return test


def _range(low: Test, high: Test) -> Test:
    unit, first, doubt = high.unit or low.unit, low.value, low.doubt or high.doubt
    if low.unit is None and high.unit in FRACTIONS:
        first = read_number(repr(abs(low.value)), percent=True, negative=low.value < 0)
    elif low.unit not in {None, unit}:
        doubt = "the ends of the range have different units"
    if first >= high.value:
        doubt = doubt or "the range runs from high to low"
    if low.total is not None or high.total is not None:
        doubt = "a range of fractions"
    return Test(op="between", value=first, value2=high.value, unit=unit, doubt=doubt)


def _compare_range(tree: "Node") -> Test:
    """`= 1-2 days` is a range; `≥ 5-10x` says two things."""
    test, text = _range(*_values(tree)), tokens(tree, "OP")[0]
    op = operator_of(text)
    if op == "==":
        return test
    why = f"an operator and a range: is it {op or text} of the low end or of the high end?"
    return replace(test, op=op or ">=", doubt=why)


def _plus(tree: "Node") -> Test:
    op = "<=" if "OR_LESS" in types(tree) else ">="
    if suffix := _first(tree, "SUFFIX"):
        op = _SUFFIXES.get(suffix, ">")
    test = replace(_values(tree)[0], op=op)
    if "OR_BETTER" in types(tree):
        return replace(test, doubt="better in which direction? Write it with <= or >=")
    return test


def _spread(tree: "Node") -> Test:
    *middles, width = _values(tree)
    if not middles:
        doubt = f"± {width.value:g} of what?"
        return Test(op="between", value=-width.value, value2=width.value, doubt=doubt)
    middle, why = middles[0], None
    if any(read_operator(word) != "==" for word in tokens(tree, "OP")):
        why = "an inequality with ± has two meanings"
    elif PERCENT in {middle.unit, width.unit}:
        why = "are these percentage points or percent of the value?"
    elif width.value <= 0:
        why = "the width after ± must be positive"
    return Test(
        op="between",
        value=middle.value - width.value,
        value2=middle.value + width.value,
        unit=middle.unit or width.unit,
        doubt=why,
    )


_TESTS = {
    "compare": _compare,
    "compare_range": _compare_range,
    "approx": _approx,
    "between": _between,
    "plus": _plus,
    "spread": _spread,
}


# ------------------------------------------------------------------ places in training time
def _moment(tree: "Node") -> Moment:
    prep = _first(tree, "AT", "SPAN", "EVERY") or ""
    written = [number.lstrip("+" + _MINUS) for number in tokens(tree, "NUM")]
    if dotted := next(filter(is_dotted, written), None):
        raise NotReadError(f"is {dotted!r} a fraction, or thousands?")
    numbers = [read_number(number) for number in written]
    order = types(tree)
    unit_at = min(order.index(kind) for kind in ("TIME", "UNIT") if kind in order)
    clean = re.sub(r"[\s~]+", " ", prep.casefold()).strip()
    return Moment(
        kind=str(tree.data),
        prep=re.sub(r"\bthe ", "", clean),
        unit=read_unit(_first(tree, "TIME", "UNIT")) or "step",
        low=numbers[0],
        high=numbers[-1],
        counted=order.index("NUM") < unit_at,
        about="~" in prep,
    )
