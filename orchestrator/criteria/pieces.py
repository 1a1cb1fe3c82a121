"""A line as a row of pieces: comparisons, times and numbers read, everything else words."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from orchestrator.criteria.syntax import NotReadError, syntax_tree, tokens, trees, types
from orchestrator.criteria.values import (
    ABOUT,
    PERCENT,
    read_log,
    read_number,
    read_operator,
    read_unit,
)

if TYPE_CHECKING:
    from lark import Token, Tree

    Node: TypeAlias = Tree[Token]


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
    """A place in training time: `prep` as written, from `low` to `high` (one number: both)."""

    prep: str
    unit: str
    low: float
    high: float
    counted: bool  # "after 3 epochs", not "after epoch 3"
    about: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One piece. `kind` is a terminal's name in lower case, or `test`, `amount`, `moment`."""

    kind: str
    text: str
    test: Test | None = None
    moment: Moment | None = None
    count: int | None = None  # of `hold`

    @property
    def word(self) -> str:
        """The text as words are looked up."""
        return self.text.casefold().strip("*_\"'“”.")


@lru_cache(maxsize=2048)
def pieces_of(text: str) -> tuple[Piece, ...]:
    """Cut a line into pieces. Raises NoRuleError, and NotReadError for a number that is none."""
    tree = syntax_tree(text, "start")
    try:
        return tuple(_piece(child) for child in tree.children)
    except ValueError as error:
        raise NotReadError(str(error)) from error


def _piece(child: "Node | Token") -> Piece:
    if not hasattr(child, "data"):
        return _token(child)
    tree: Node = child
    name = str(tree.data)
    words = _words(tree)
    if name in {"anchor", "window", "moment", "every"}:
        return Piece(kind=name, text=words, moment=_moment(tree))
    if name == "amount":
        value = _value(trees(tree, "value")[0])
        return Piece(kind="amount", text=words, test=value)
    return Piece(kind="test", text=words, test=_TESTS[name](tree))


def _token(token: "Token") -> Piece:
    kind = str(token.type).casefold().replace("cjk", "word")
    if kind == "hold":
        digits = re.search(r"\d+", token)
        return Piece(kind=kind, text=str(token), count=int(digits[0]) if digits else None)
    return Piece(kind=kind, text=str(token))


def _words(tree: "Node") -> str:
    return " ".join(str(token).strip() for token in tree.scan_values(lambda _: True))


def _value(tree: "Node") -> Test:
    """A number alone, as a test for equality; a percentage is a fraction."""
    logarithm = tokens(tree, "LN")
    if logarithm:
        return Test(op="==", value=read_log(logarithm[0]))
    number = tokens(tree, "NUM")[0]
    negative = number[0] in "-−–"
    digits = number.lstrip("+-−–")
    unit = read_unit(next(iter(tokens(tree, "UNIT")), None))
    currency = next(iter(tokens(tree, "CURRENCY")), None)
    percent = next(iter(tokens(tree, "PERCENT")), None)
    total = next((read_number(text.strip("/ ")) for text in tokens(tree, "TOTAL")), None)
    points = percent is not None and percent.casefold() not in {"%", "percent", "％"}
    doubt = None
    if percent and unit:
        doubt = "a percentage with a unit has two meanings"
    if re.search(r"\d,\d{1,2}(?!\d)", digits):
        doubt = f"is {digits!r} a decimal comma?"
    value = read_number(digits, percent=percent is not None, negative=negative)
    unit = ("pp" if points else PERCENT) if percent else currency or unit
    return Test(op="==", value=value, unit=unit, total=total, doubt=doubt)


def _compare(tree: "Node") -> Test:
    value = _value(trees(tree, "value")[0])
    op = read_operator(tokens(tree, "OP")[0])
    doubt = value.doubt
    if op is None:
        op, doubt = ">=", "no worse in which direction? Write it with <= or >="
    about = "APPROX" in types(tree)
    if about and op == "==":
        return _about(value)
    return Test(
        op=op, value=value.value, unit=value.unit, total=value.total, doubt=doubt
    )  # fmt: skip


def _about(value: Test) -> Test:
    return Test(op="~=", value=value.value, unit=value.unit, total=value.total, tolerance=ABOUT,
                doubt=value.doubt)  # fmt: skip


def _approx(tree: "Node") -> Test:
    return _about(_value(trees(tree, "value")[0]))


def _between(tree: "Node") -> Test:
    low, high = (_value(value) for value in trees(tree, "value")[:2])
    test = _range(low, high)
    if "ARROW_NUM" in types(tree):
        doubt = "from one value to another: by when, and may it come back? Write two tests"
        return Test(op=test.op, value=test.value, value2=test.value2, unit=test.unit, doubt=doubt)
    return test


def _range(low: Test, high: Test) -> Test:
    unit, first, doubt = high.unit or low.unit, low.value, low.doubt or high.doubt
    if low.unit is None and high.unit in {PERCENT, "pp"}:
        first = float(read_number(repr(abs(low.value)), percent=True, negative=low.value < 0))
    elif low.unit not in {None, unit}:
        doubt = "the ends of the range have different units"
    if first >= high.value:
        doubt = doubt or "the range runs from high to low"
    if low.total is not None or high.total is not None:
        doubt = "a range of fractions"
    return Test(op="between", value=first, value2=high.value, unit=unit, doubt=doubt)


def _compare_range(tree: "Node") -> Test:
    """`= 1-2 days` is a range; `≥ 5-10x` says two things."""
    low, high = (_value(value) for value in trees(tree, "value"))
    test = _range(low, high)
    op = read_operator(tokens(tree, "OP")[0])
    if op == "==":
        return test
    return Test(
        op=op or ">=",
        value=test.value,
        value2=test.value2,
        unit=test.unit,
        doubt=f"an operator and a range: is it {op} of the low end or of the high end?",
    )


def _plus(tree: "Node") -> Test:
    value = _value(trees(tree, "value")[0])
    kinds = types(tree)
    op = ">="
    if "OR_LESS" in kinds:
        op = "<="
    for suffix in tokens(tree, "SUFFIX"):
        op = {"以上": ">=", "以下": "<=", "未満": "<"}.get(suffix, ">")
    return Test(op=op, value=value.value, unit=value.unit, total=value.total, doubt=value.doubt)


def _spread(tree: "Node") -> Test:
    values = [_value(value) for value in trees(tree, "value")]
    width = values[-1]
    if len(values) == 1:
        doubt = f"± {width.value:g} of what?"
        return Test(op="between", value=-width.value, value2=width.value, doubt=doubt)
    middle, doubt = values[0], None
    if any(read_operator(word) != "==" for word in tokens(tree, "OP")):
        doubt = "an inequality with ± has two meanings"
    elif PERCENT in {middle.unit, width.unit}:
        doubt = "are these percentage points or percent of the value?"
    elif width.value <= 0:
        doubt = "the width after ± must be positive"
    return Test(
        op="between",
        value=middle.value - width.value,
        value2=middle.value + width.value,
        unit=middle.unit or width.unit,
        doubt=doubt,
    )


_TESTS = {
    "compare": _compare,
    "compare_range": _compare_range,
    "approx": _approx,
    "between": _between,
    "plus": _plus,
    "spread": _spread,
}


def _moment(tree: "Node") -> Moment:
    prep = next(iter(tokens(tree, "AT", "SPAN", "EVERY")), "")
    numbers = [read_number(number.lstrip("+-−–")) for number in tokens(tree, "NUM")]
    time = next(iter(tokens(tree, "TIME", "UNIT")), "step")
    order = types(tree)
    counted = order.index("NUM") < min(order.index(t) for t in ("TIME", "UNIT") if t in order)
    clean = re.sub(r"[\s~]+", " ", prep.casefold()).strip()
    return Moment(
        prep=re.sub(r"\bthe ", "", clean),
        unit=read_unit(time) or "step",
        low=numbers[0],
        high=numbers[-1],
        counted=counted,
        about="~" in prep,
    )
