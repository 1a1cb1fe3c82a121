"""Two numbers in one test: `0.3 < f1 < 0.95` is a range, `from 3.2 to 2.0` a trend."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from orchestrator.criteria.lines.asking import Question, declare
from orchestrator.criteria.lines.pieces import Piece, Test
from orchestrator.criteria.lines.vocabulary import FALLING, FILLERS, IMPROVES, REDUCES, RISING
from orchestrator.domain.criterion import Clause, Kind, Subject

_NO_NAME = FALLING | RISING | FILLERS | REDUCES | IMPROVES | {"from", "of", "smoothly"}


def chained(before: Sequence[Piece], test: Test) -> tuple[list[Piece], Test] | None:
    """The words and the range of `0.3 < f1 < 0.95`; None for what is no chain."""
    places = [
        place
        for place, (number, sign) in enumerate(pairwise(before))
        if number.kind == "amount" and sign.kind == "op"
    ]
    if len(before) < 3 or len(places) != 1 or test.op not in {"<", "<="}:
        return None
    place = places[0]
    low = before[place].test
    if low is None or low.unit != test.unit or before[place + 1].text not in {"<", "<=", "≤"}:
        return None
    between = replace(test, op="between", value=low.value, value2=test.value)
    head = [piece for piece in before[:place] if piece.word != "assert"]
    return [*head, *before[place + 2 :]], between


def change(before: Sequence[Piece], start: float, end: float, unit: str | None) -> Question:
    """What to declare for `Loss decreases from ~3.2 to < 2.0`: a trend between two values."""
    names = [
        piece.text.strip("`")
        for piece in before
        if piece.kind in {"word", "code"} and piece.word not in _NO_NAME
    ]
    clause = Clause(
        subject=Subject.METRIC,
        metric=" ".join(names) or None,
        op="decreasing" if end < start else "increasing",
        value=start,
        value2=end,
        unit=unit,
        aggregate="trend",
    )
    why = (
        "from one value to another: by when? Write the bound to be reached, such as "
        "`loss < 2 by step 2000`"
    )
    return declare(why, Kind.TREND, (clause,))
