"""Claims on how far a run came: `runs for ~52,000 steps`, `reaches epoch 3`."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from orchestrator.criteria.lines.asking import ask
from orchestrator.criteria.lines.pieces import Moment, Piece, Test, is_dotted
from orchestrator.criteria.lines.vocabulary import FILLERS, OPEN, REACHES, RUNS, TRAINING, words_of
from orchestrator.criteria.values import ABOUT, read_unit
from orchestrator.domain.criterion import Clause, Kind, Subject

_DRIVES = words_of("trains runs trained completes completed")
_MOVES = RUNS | TRAINING | REACHES
_KNOWN = _MOVES | FILLERS | words_of("for successfully without full least all of to at")
_DEVICES = words_of("on gpu cpu gpus")
# "Training runs for 3 epochs", "Epoch 3": the place is the length of the run.
_UP_TO = frozenset({"for", "", "to", "until", "past", "through"})


def progress_clause(unit: str, test: Test) -> Clause:
    """A clause on how far the run came: the largest step, or the metric `epoch` and the like.

    Raises Question for an exact number and for a part of a unit.
    """
    if test.op in {"==", "!="}:
        raise ask("at least, at most or about so many?", Kind.COUNT_OR_PROGRESS)
    if test.value != int(test.value):
        why = f"is {test.value:g} a fraction of a {unit}, or thousands?"
        raise ask(why, Kind.COUNT_OR_PROGRESS)
    step = unit == "step"
    return Clause(
        subject=Subject.STEP if step else Subject.METRIC,
        metric=unit,
        op=test.op,
        value=test.value,
        value2=test.value2,
        unit=f"{unit}s",
        aggregate=None if step else "max",
        tolerance=test.tolerance,
    )


def arrival_clause(moment: Moment) -> Clause:
    """The clause that the run came to a place in training time."""
    test = Test(op=">=", value=moment.high)
    if moment.about:
        test = replace(test, op="~=", tolerance=ABOUT)
    return progress_clause(moment.unit, test)


def progress_in(pieces: Sequence[Piece], head: Sequence[Piece]) -> Clause | None:
    """The progress that a claim speaks of; `head` is what stands before `without errors`."""
    amounts = [
        (number, unit.text)
        for number, unit in pairwise(pieces)
        if number.kind == "amount" and number.test is not None and unit.kind == "time"
    ]
    places = [piece for piece in pieces if piece.moment is not None]
    words = {piece.word for piece in head if piece.kind == "word"}
    if words & OPEN or not (_is_progress(words) or (len(amounts) == 1 and words <= _DEVICES)):
        return None
    if len(places) == 1 and not amounts:
        return _at_place(places[0])
    if len(amounts) == 1 and not places:
        number, unit = amounts[0]
        if number.test is None or is_dotted(number.text):
            raise ask(f"is {number.text!r} a fraction, or thousands?", Kind.COUNT_OR_PROGRESS)
        return progress_clause(read_unit(unit) or unit, replace(number.test, op=">="))
    return None


def _is_progress(words: set[str]) -> bool:
    return bool(words & _MOVES) and (words <= _KNOWN or bool(words & _DRIVES))


def _at_place(place: Piece) -> Clause | None:
    moment = place.moment
    if moment is None or place.kind not in {"anchor", "moment"} or moment.low != moment.high:
        return None
    return arrival_clause(moment) if moment.prep.split(" ")[0] in _UP_TO else None
