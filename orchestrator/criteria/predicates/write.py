"""The canonical text of a predicate: what the machine shows back and `parse_predicate` reads."""

from orchestrator.criteria.predicates.expression import (
    WHOLE,
    Amount,
    Arithmetic,
    Baseline,
    Both,
    CommandResult,
    Comparison,
    Either,
    Family,
    FileExists,
    Free,
    Happened,
    Logged,
    Name,
    Not,
    Number,
    Output,
    Pointwise,
    Predicate,
    Reduced,
    Released,
    Scalar,
    Trend,
    Window,
    scalars,
)
from orchestrator.criteria.predicates.syntax import is_plain
from orchestrator.criteria.values import ABOUT, write_number, write_quantity

_SPANS = {"s": "seconds", "min": "minutes", "h": "hours", "days": "days"}


def predicate_text(predicate: Predicate) -> str:
    """The canonical text; `parse_predicate` gives the same tree back."""
    match predicate:
        case Both():
            return " and ".join(_joined(part, loose=True) for part in predicate.parts)
        case Either():
            return " or ".join(_joined(part, loose=False) for part in predicate.parts)
        case Not():
            return f"not {_joined(predicate.part, loose=True)}"
        case Comparison() | Pointwise():
            return _test_text(predicate)
        case Family():
            return _family_text(predicate)
        case Trend():
            return _spaced(
                f"{series_text(predicate.name)} {predicate.direction}",
                trend_window_text(predicate.window),
                _ranks(predicate.name),
            )
        case Logged():
            return _spaced(f"{series_text(predicate.name)} exists", _ranks(predicate.name))
        case Free():
            return _free_text(predicate)
    return _run_text(predicate)


def scalar_text(scalar: Scalar) -> str:
    """The text of an operand, with a call around each series whose value is not its latest."""
    match scalar:
        case Number():
            return _number(scalar)
        case Baseline():
            return f"{scalar.run}:{_quoted(scalar.series)}"
        case Reduced():
            if (scalar.how, scalar.window) == ("latest", WHOLE):
                return series_text(scalar.name)
            inside = [series_text(scalar.name), window_text(scalar.window)]
            return f"{scalar.how}({', '.join(part for part in inside if part)})"
        case Arithmetic():
            return _arithmetic(scalar)


def series_text(name: Name) -> str:
    """`eval/acc on validation`; the ranks stand elsewhere."""
    return _quoted(name.text) + (f" on {_quoted(name.scope)}" if name.scope is not None else "")


def window_text(window: Window) -> str:
    """`by step 2000`, `steps 500..1000`, `last 100 points`; empty for the whole run."""
    match window.kind:
        case "whole":
            return ""
        case "between":
            low, high = _point(window.low), _point(window.high)
            return f"{_SPANS.get(window.unit, window.unit + 's')} {low}..{high}"
        case "last":
            unit = window.unit if window.unit in _SPANS else f"{window.unit}s"
            return f"last {_point(window.high)} {unit}"
    point = _point(window.low if window.kind == "after" else window.high)
    if window.unit in _SPANS:
        return f"{window.kind} {point} {window.unit}"
    return f"{window.kind} {window.unit} {point}"


def trend_window_text(window: Window) -> str:
    """As `window_text`, in the words of a trend: `over last 1000 steps`."""
    text = window_text(window)
    return f"over {text}" if window.kind == "last" else text


def _joined(predicate: Predicate, *, loose: bool) -> str:
    """A part of `and`, `or` or `not`; `loose` asks for parentheses around `and` as well."""
    text = predicate_text(predicate)
    wrap = isinstance(predicate, Either) or (loose and isinstance(predicate, Both))
    return f"({text})" if wrap else text


def _test_text(test: Comparison | Pointwise) -> str:
    if isinstance(test, Pointwise):
        bound = _bound(test.op, test.value, test.value2, test.tolerance)
        return _spaced(series_text(test.name), bound, _mode(test), _ranks(test.name))
    bound = _bound(test.op, test.right, test.right2, test.tolerance)
    if test.total is not None:
        bound += f" of {write_number(test.total, None)}"
    left, suffix = scalar_text(test.left), ""
    if isinstance(test.left, Reduced) and _takes_suffix(test, test.left):
        left, suffix = series_text(test.left.name), _suffix(test.left)
    return _spaced(left, bound, suffix, _ranks(_named(test)))


def _takes_suffix(test: Comparison, left: Reduced) -> bool:
    """Whether `loss < 2 best` may stand for `best(loss) < 2`: nothing else could be meant."""
    ends = (test.right,) if test.right2 is None else (test.right, test.right2)
    constant = all(isinstance(operand, Number) for end in ends for operand in scalars(end))
    return constant and left.how != "min"  # `2 min` is two minutes


def _suffix(reduced: Reduced) -> str:
    window = window_text(reduced.window)
    if reduced.how == "latest" and reduced.window.kind in {"whole", "at", "after"}:
        return window
    return _spaced(reduced.how, window)


def _mode(test: Pointwise) -> str:
    window = window_text(test.window)
    match test.mode:
        case "all":
            return _spaced("all", window)
        case "any":
            return window if test.window.kind == "by" else _spaced("any", window)
        case "hold":
            return _spaced(f"for {test.hold} consecutive", window)


def _bound(op: str, right: Scalar, right2: Scalar | None, tolerance: float | None) -> str:
    if right2 is not None:
        return f"in {scalar_text(right)}..{scalar_text(right2)}"
    text = f"{op} {scalar_text(right)}"
    if op == "~=" and tolerance is not None and tolerance != ABOUT:
        text += f" within {write_quantity(tolerance, '%')}"
    return text


def _named(test: Comparison) -> Name | None:
    sides = (test.left, test.right, *(() if test.right2 is None else (test.right2,)))
    operands = (operand for side in sides for operand in scalars(side))
    return next((operand.name for operand in operands if isinstance(operand, Reduced)), None)


def _family_text(family: Family) -> str:
    test = _test_text(family.test)
    if family.bound is None:
        return f"{family.quantifier} {test}"
    return f"share({test}) {family.op} {_number(family.bound)}"


def _free_text(free: Free) -> str:
    if free.series is None:
        return f"no {free.hazard}"
    return _spaced(f"no {free.hazard} in {_quoted(free.series.text)}", _ranks(free.series))


def _run_text(
    predicate: Amount | Output | Happened | FileExists | CommandResult | Released,
) -> str:
    match predicate:
        case Amount():
            return _amount_text(predicate)
        case Output():
            return f"log {'lacks' if predicate.absent else 'contains'} {_string(predicate.text)}"
        case Happened():
            state = "absent" if predicate.absent else "exists"
            return f"event {_quoted(predicate.event)} {state}"
        case FileExists():
            return f"file `{_escaped(predicate.path)}` exists"
        case CommandResult():
            prints = predicate.prints
            result = "passes" if prints is None else f"prints {_string(prints)}"
            return f"command {_string(predicate.command)} {result}"
        case Released():
            return "resources released"


def _amount_text(amount: Amount) -> str:
    if amount.of == "checkpoints" and (amount.op, amount.value.value) == (">=", 1.0):
        return "checkpoints exist"
    name = "exit code" if amount.of == "exit" else amount.of
    return f"{name} {_bound(amount.op, amount.value, amount.value2, amount.tolerance)}"


def _arithmetic(scalar: Arithmetic) -> str:
    """Parentheses stand only where the order of operations asks for them."""
    left, right = scalar_text(scalar.left), scalar_text(scalar.right)
    binds = _binds(scalar)
    if _binds(scalar.left) < binds:
        left = f"({left})"
    if _binds(scalar.right) <= binds:
        right = f"({right})"
    return f"{left} {scalar.op} {right}"


def _binds(scalar: Scalar) -> int:
    if not isinstance(scalar, Arithmetic):
        return 3
    return 1 if scalar.op in {"+", "-"} else 2


def _ranks(name: Name | None) -> str:
    if name is None or name.ranks == "0":
        return ""
    return "on all ranks" if name.ranks == "all" else f"on rank {name.ranks}"


def _number(number: Number) -> str:
    unit, value = number.unit, number.value + 0.0  # + 0.0 drops the sign of -0
    if unit in {None, "%", "$"} or is_plain(unit, "UNIT"):
        return write_quantity(value, unit)
    return f"{write_quantity(value, None)} `{_escaped(unit)}`"


def _point(value: float | None) -> str:
    return write_number(0.0 if value is None else value, None)


def _quoted(name: str) -> str:
    return name if is_plain(name) else f"`{_escaped(name)}`"


def _escaped(text: str) -> str:
    return text.replace("`", "``")


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _spaced(*parts: str) -> str:
    return " ".join(part for part in parts if part)
