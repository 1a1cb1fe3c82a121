"""Places in training time: from the words of an anchor to its canonical text."""

from orchestrator.criteria.asking import ask
from orchestrator.criteria.pieces import Moment
from orchestrator.criteria.values import write_number
from orchestrator.domain.criterion import Kind

_BY = frozenset({"by", "before", "until", "within", "in", "by end of", "before end of"})
_DURING = frozenset({"through", "during", "in", "over", "for", "throughout", "from", "across"})
_CLOCK = frozenset({"s", "min", "h", "days"})


def is_span(moment: Moment) -> bool:
    """Whether a moment is a length (`for 10 epochs`) and no place."""
    return moment.prep in {"for", "over"} and moment.counted


def anchor_of(kind: str, moment: Moment) -> str:
    """The canonical text, such as `by step 2000`, `steps 500..1000`, `over last 10000 steps`.

    Raises Question for a time that bounds nothing that can be judged.
    """
    prep, unit = moment.prep, moment.unit
    if kind == "window":
        return _window(moment)
    if moment.low != moment.high:
        return f"{unit}s {_number(moment.low)}..{_number(moment.high)}"
    place = f"{unit} {_number(moment.high)}"
    if unit in _CLOCK:
        place = f"{_number(moment.high)} {unit}"
    if kind == "moment":
        return f"at {place}"
    last = prep.removesuffix(" end of").removesuffix(" start of").removesuffix(" beginning of")
    if last in {"after", "past", "starting at", "as of"}:
        # "after 3 epochs": when that much is done; "after epoch 3": from there on.
        return f"at {place}" if moment.counted and unit not in _CLOCK else f"after {place}"
    if last in {"at", "around", "at around"}:
        return f"at {place}"
    if last == "in" and not moment.counted:
        return f"at {place}"
    if last in _BY:
        return f"by {place}"
    if last in {"through", "during", "throughout"} and not moment.counted:
        return f"{unit}s 0..{_number(moment.high)}" if last != "during" else f"at {place}"
    raise ask(f"does {prep!r} {place} bound the test in time? Write `by`, `at` or `after`",
              Kind.THRESHOLD)  # fmt: skip


def _window(moment: Moment) -> str:
    first = "first" in moment.prep
    length = f"{_number(moment.high)} {moment.unit}"
    if moment.unit not in _CLOCK:
        length += "s"
    if not first:
        return f"over last {length}"
    if moment.unit in _CLOCK:
        return f"by {_number(moment.high)} {moment.unit}"
    return f"by {moment.unit} {_number(moment.high)}"


def _number(value: float) -> str:
    return write_number(value, None)
