"""Numbers as people write them, and back to text."""

import math
import operator
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

PERCENT = "%"
FRACTIONS = frozenset({PERCENT, "pp"})  # units whose numbers are kept as fractions: 5% → 0.05
ABOUT = 0.05  # relative tolerance of `~=` unless declared otherwise

_SCALES = {"k": 3, "K": 3, "M": 6, "B": 9}
_LARGEST_EXPONENT = 400  # beyond any float; keeps 1e999999999 from becoming a billion digits

_OPERATORS: dict[str, str | None] = {
    "≤": "<=",
    "≦": "<=",
    "≧": ">=",
    "≠": "!=",
    "=<": "<=",
    "≥": ">=",
    "=>": ">=",
    "=": "==",
    "below": "<",
    "under": "<",
    "above": ">",
    "over": ">",
    "exceed": ">",
    "exceeds": ">",
    "exceeded": ">",
    "exceeding": ">",
    "surpass": ">",
    "surpasses": ">",
    "surpassing": ">",
    "beyond": ">",
    "at minimum": ">=",
    "at maximum": "<=",
    "within": "<=",
    "in": "<=",
    "no worse than": None,
    "not worse than": None,
    "at least": ">=",
    "a minimum of": ">=",
    "at most": "<=",
    "up to": "<=",
    "a maximum of": "<=",
}
_SIMPLE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
}
_SMALLER = ("less", "fewer", "lower", "smaller")

_UNITS = {
    "step": "step",
    "epoch": "epoch",
    "episode": "episode",
    "iteration": "iteration",
    "round": "round",
    "generation": "generation",
    "iterations": "iteration",
    "iters": "iteration",
    "iter": "iteration",
    "steps": "step",
    "epochs": "epoch",
    "episodes": "episode",
    "eps": "episode",
    "ep": "episode",
    "updates": "step",
    "update": "step",
    "rounds": "round",
    "generations": "generation",
    "sec": "s",
    "secs": "s",
    "hr": "h",
    "hrs": "h",
    "second": "s",
    "seconds": "s",
    "mins": "min",
    "minute": "min",
    "minutes": "min",
    "hour": "h",
    "hours": "h",
    "µs": "us",
    "day": "days",
    "iterations/s": "it/s",
    "its/s": "it/s",
    "\u00d7": "x",
    "fps": "FPS",
}


def read_number(text: str, *, percent: bool = False, negative: bool = False) -> float:
    """Read `52,000`, `0.62`, `45k`, `100M`, `1e-4`; a percentage becomes a fraction.

    Raises ValueError for what is no finite float.
    """
    digits = text.replace(",", "")
    shift = _SCALES.get(digits[-1:], 0)
    try:
        number = Decimal(digits[:-1] if shift else digits)
    except InvalidOperation:
        raise ValueError(f"{text!r} is no number") from None
    if not number.is_finite() or abs(number.adjusted()) > _LARGEST_EXPONENT:
        raise ValueError(f"{text!r} is beyond every float")
    value = float(number.scaleb(shift - (2 if percent else 0)))
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is beyond every float")
    return -value if negative else value


def read_log(text: str) -> float:
    """Read `ln4`, `ln(4)` or `log 2048` as the natural logarithm, as training code means it."""
    digits = text.strip().rstrip(")").split("(")[-1].lstrip("lognLOGN ")
    value = float(digits)
    if value <= 0:
        raise ValueError(f"{text!r} is no number")
    return math.log(value)


def write_number(value: float, unit: str | None) -> str:
    """The shortest text that `read_number` reads back to the same value: 0.05, % → `5%`."""
    exact = Decimal(repr(value))
    if unit == PERCENT:
        return _plain(exact.scaleb(2)) + PERCENT
    return _plain(exact) + (f" {unit}" if unit else "")


def write_quantity(value: float, unit: str | None) -> str:
    """As `write_number`, for every unit of the predicate language: 0.02, pp → `2 pp`; `-$2`."""
    if unit == "$":
        return f"{'-' if value < 0 else ''}${write_number(abs(value), None)}"
    if unit in FRACTIONS and unit != PERCENT:
        return write_number(value, PERCENT).removesuffix(PERCENT) + f" {unit}"
    return write_number(value, unit)


def _plain(number: Decimal) -> str:
    number = number.normalize()
    return f"{number:f}" if -5 <= number.adjusted() <= 15 else f"{number:e}"


def read_operator(text: str) -> str | None:
    """One of `> >= < <= == !=` for a symbol or words such as `at least` and `no more than`.

    None where the words leave the direction open ("no worse than").
    """
    words = " ".join(text.casefold().rstrip(":").split())
    if words in _OPERATORS:
        return _OPERATORS[words]
    if words.startswith(("max", "min")):
        return "<=" if words.startswith("max") else ">="
    smaller = any(word in words for word in _SMALLER)
    if words.endswith(" or equal to"):
        return "<=" if smaller else ">="
    if not words.endswith(" than"):
        return words
    if words.startswith(("no ", "not ")):
        return ">=" if smaller else "<="
    return "<" if smaller else ">"


def read_unit(text: str | None) -> str | None:
    """One spelling for a unit: `seconds` → `s`."""
    if text is None:
        return None
    word = text.casefold().split()[-1]  # "optimizer steps" are steps
    return _UNITS.get(word, text)


def comparison(
    op: str, bound: float, other: float | None, tolerance: float
) -> Callable[[float], bool]:
    """The test `value op bound`; `between` includes both ends; NaN meets nothing.

    Raises ValueError for an operator that is none.
    """
    if op in _SIMPLE:
        compare = _SIMPLE[op]
        return lambda value: compare(value, bound)
    if op == "!=":
        return lambda value: value != bound and not math.isnan(value)
    if op == "~=":
        slack = abs(bound) * tolerance
        return lambda value: abs(value - bound) <= slack
    if op == "between" and other is not None:
        low, high = min(bound, other), max(bound, other)
        return lambda value: low <= value <= high
    raise ValueError(f"unknown operator {op!r}")


def margin_of(op: str, value: float, bound: float, other: float | None, tolerance: float) -> float:
    """Signed distance to the (nearer) bound, positive on the side that meets it.

    `tolerance` is relative, for `~=` only.
    """
    if op in {">", ">="}:
        return value - bound
    if op in {"<", "<="}:
        return bound - value
    if op == "between" and other is not None:
        return min(value - min(bound, other), max(bound, other) - value)
    if op == "~=":
        return abs(bound) * tolerance - abs(value - bound)
    distance = abs(value - bound)
    return distance if op == "!=" else -distance


def shown(value: float, unit: str | None = None) -> str:
    """A value for people: 0.1125, % → `11.25%`; 41444 → `41,444`."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    if unit == PERCENT:
        return f"{_short(value * 100)}%"
    return _short(value) + (f" {unit}" if unit and unit != "steps" else "")


def shown_margin(margin: float, unit: str | None) -> str:
    """A signed distance for people: 0.0625, % → `+6.25 pp`."""
    sign = "+" if margin >= 0 else "-"
    if unit == PERCENT:
        return f"{sign}{_short(abs(margin) * 100)} pp"
    return f"{sign}{shown(abs(margin), unit)}"


def _short(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.6g}"
