"""Places in training time: from the words of an anchor to its canonical text."""

from dataclasses import replace

from orchestrator.criteria.lines.asking import ask
from orchestrator.criteria.lines.pieces import Moment
from orchestrator.criteria.values import CLOCK, write_number
from orchestrator.domain.criterion import Clause, Subject

_BY = frozenset({"by", "before", "within", "in"})


def is_span(moment: Moment) -> bool:
    """Whether a moment is a length (`for 10 epochs`) and no place."""
    return moment.prep in {"for", "over"} and moment.counted


def anchor_of(moment: Moment) -> str:
    """The canonical text, such as `by step 2000`, `steps 500..1000`, `over last 10000 steps`.

    Raises Question for a time that bounds nothing that can be judged.
    """
    if moment.kind == "window":
        return _window(moment)
    if moment.low != moment.high:
        return f"{moment.unit}s {_number(moment.low)}..{_number(moment.high)}"
    place = _place(moment)
    if moment.kind == "moment":
        return f"at {place}"
    return _bounded(moment, place)


def anchored(clause: Clause, anchor: str) -> Clause | None:
    """The clause bounded by a time beside it; None where it has one, or is no test of points."""
    measured = clause.subject is Subject.METRIC and clause.op != "absent" and not clause.hold
    if not measured or clause.anchor is not None or clause.aggregate in {"best", "final", "max"}:
        return None
    by = anchor.startswith("by ") and clause.aggregate == "latest"
    return replace(clause, anchor=anchor, aggregate="any" if by else clause.aggregate)


def _bounded(moment: Moment, place: str) -> str:
    """A place after its preposition; the start or the end of an epoch is the same place."""
    prep, counted = moment.prep, moment.counted
    word = prep.removesuffix(" end of").removesuffix(" start of").removesuffix(" beginning of")
    if word in {"after", "past", "starting at", "as of"}:
        # "after 3 epochs": when that much is done; "after epoch 3": from there on.
        return f"at {place}" if counted and moment.unit not in CLOCK else f"after {place}"
    if word in {"at", "around", "at around"}:
        return f"at {place}"
    if word in {"in", "during"} and not counted:
        return f"at {place}"
    if word in _BY:
        return f"by {place}"
    if word == "through" and not counted:
        return f"{moment.unit}s 0..{_number(moment.high)}"
    raise ask(f"does {prep!r} {place} bound the test in time? Write `by`, `at` or `after`")


def _window(moment: Moment) -> str:
    """`over last …`; "within the first 500 steps" is `by step 500`."""
    if "first" in moment.prep:
        return f"by {_place(moment)}"
    plural = "" if moment.unit in CLOCK else "s"
    return f"over last {_number(moment.high)} {moment.unit}{plural}"


def _place(moment: Moment) -> str:
    number = _number(moment.high)
    return f"{number} {moment.unit}" if moment.unit in CLOCK else f"{moment.unit} {number}"


def _number(value: float) -> str:
    return write_number(value, None)
