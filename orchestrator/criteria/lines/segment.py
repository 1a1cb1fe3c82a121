"""One part of a claim: which sort of test it holds, and its clauses."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from orchestrator.criteria.lines.asking import Question, ask, declare
from orchestrator.criteria.lines.meaning import meaning_of
from orchestrator.criteria.lines.measured import measured
from orchestrator.criteria.lines.occurrences import occurrence_clauses
from orchestrator.criteria.lines.phrase import name_of
from orchestrator.criteria.lines.pieces import Piece, Test, tests_in
from orchestrator.criteria.lines.progress import progress_clause, progress_in
from orchestrator.criteria.lines.two_metrics import by_sign, by_word, compares_in_words
from orchestrator.criteria.lines.two_numbers import chained, change
from orchestrator.criteria.lines.vocabulary import (
    CHECKPOINTS,
    EXISTS,
    FILLERS,
    INCIDENTS,
    OPEN,
    REACHES,
    RUNS,
    SHARED,
    TRAINING,
    direction_of,
    words_of,
)
from orchestrator.criteria.values import CLOCK, read_unit
from orchestrator.domain.criterion import Clause, Kind, Subject

_DEVICE = re.compile(r"[ABHVLT]\d{1,3}0?s?|GPUs?|gpus?|RTX|TPUs?")
_GENERIC = TRAINING | RUNS
_COMPARATIVES = words_of("lower higher less more better faster slower worse fewer smaller larger")
# "learning rate warms up to 1e-3": a verb of motion, and no bound.
_MOTIONS = words_of(
    "warms goes climbs rises increases scales ramps grows gets moves anneals decays"
)
_JOINING = frozenset({"with", "and", "but", "while"})


def segment_clauses(pieces: list[Piece], inherited: str | None) -> tuple[Clause, ...]:
    """Read one part of a claim; `inherited` is the metric of the part before.

    Raises Question where it is no claim about the run, or leaves something open.
    """
    if any(piece.kind == "much" for piece in pieces):
        raise ask("how much is `<<` or `>>`?", Kind.COMPARISON)
    while len(pieces) > 1 and pieces[0].word in _JOINING:
        pieces = pieces[1:]
    pieces = _reached(pieces)
    if tests_in(pieces):
        return _tested(pieces, inherited)
    if any(piece.kind == "op" for piece in pieces):
        return by_sign(pieces)
    _ask_for_devices(pieces)
    if amount := _compared_amount(pieces):
        return _tested(amount, inherited)
    if progress := _progress(pieces):
        return progress
    if compares_in_words(pieces):
        return by_word(pieces)
    try:
        return occurrence_clauses(pieces)
    except Question as question:
        if question.kind is Kind.MANUAL:
            raise _guess(pieces, question) from None
        raise


def _reached(pieces: list[Piece]) -> list[Piece]:
    """`accuracy reaches 0.9`: the verb is an operator, its direction that of the metric."""
    result = list(pieces)
    for position, (verb, number) in enumerate(pairwise(pieces)):
        if verb.word not in REACHES or number.kind != "amount" or number.test is None:
            continue
        before = pieces[:position]
        if before and {piece.word for piece in before} <= _GENERIC and len(pieces) > position + 2:
            return result
        name = name_of(before) or name_of(pieces[position + 2 :])
        direction = direction_of(name)
        if direction is None:
            raise ask(f"reached from above or from below? Write {name!r} with < or >")
        test = replace(number.test, op="<=" if direction == "min" else ">=")
        result[position + 1] = replace(number, kind="test", test=test)
    return result


def _compared_amount(pieces: Sequence[Piece]) -> list[Piece] | None:
    """`10% lower than R-000012`: the amount is the least by which it must be."""
    for place, (number, word) in enumerate(pairwise(pieces)):
        follows = {piece.word for piece in pieces[place + 2 : place + 4]}
        if number.kind != "amount" or number.test is None or word.word not in _COMPARATIVES:
            continue
        if "than" in follows:
            test = replace(number, kind="test", test=replace(number.test, op=">="))
            return [*pieces[:place], test, *pieces[place + 1 :]]
    return None


# ------------------------------------------------------------------ with a test
@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    """A part around its first test.

    `written` is that test as it stands, `test` the range if it ends a chain (`0.3 < f1 < 0.95`);
    `others` are the tests that follow it.
    """

    pieces: Sequence[Piece]
    before: list[Piece]
    text: str
    written: Test
    test: Test
    after: list[Piece]
    others: list[Test]

    @property
    def words(self) -> set[str]:
        return {piece.word for piece in (*self.before, *self.after)}


def _sides(pieces: Sequence[Piece]) -> _Sides:
    (place, text, written), *others = [
        (place, piece.text, piece.test)
        for place, piece in enumerate(pieces)
        if piece.kind == "test" and piece.test is not None
    ]
    # "2-4 steps/sec = 1-2 days": the same, said in another way
    again = next((i for i, said, _ in others if said[0] in "=≈" and i == place + 1), None)
    before, after = list(pieces[:place]), list(pieces[place + 1 : again])
    before, test = chained(before, written) or (before, written)
    rest = [other for _, _, other in others] if again is None else []
    return _Sides(
        pieces=pieces,
        before=before,
        text=text,
        written=written,
        test=test,
        after=after,
        others=rest,
    )


def _tested(pieces: Sequence[Piece], inherited: str | None) -> tuple[Clause, ...]:
    sides = _sides(pieces)
    before, test = sides.before, sides.test
    if before and before[-1].word == "from" and test.op == "between":
        raise _from_to(sides)
    if incident := _incident(before):
        raise incident
    if _is_size(sides):
        return occurrence_clauses(before)
    if len(sides.others) == 1 and sides.words & {"from", "initial"}:
        end = sides.others[0]
        raise change(before, sides.written.value, end.value, end.unit)
    if (test.doubt and "→" in sides.text) or "->" in sides.text:
        raise _from_to(sides)
    if found := _length(sides) or _counted(sides):
        return found
    _declare_share(sides)
    if why := _doubt(sides):
        raise ask(why, Kind.THRESHOLD, _without_rest(sides, inherited))
    return meaning_of(measured(before, test, sides.after, inherited=inherited))


def _doubt(sides: _Sides) -> str | None:
    """Why the first number of a part is not surely its bound."""
    before = sides.before
    if any(piece.kind == "or" for piece in (*before, *sides.after)):
        return "one or the other: write it as a predicate with `or`"
    if sides.others:
        return "two numbers in one test: which one is the bound?"
    if sides.text.casefold().startswith("up to") and before and before[-1].word in _MOTIONS:
        return "does 'up to' bound it, or say where it goes?"
    return None


def _declare_share(sides: _Sides) -> None:
    """`accuracy > 0.8 on at least 80% of seeds`: the share bounds, the rest is what is shared."""
    for place, number in enumerate(sides.pieces):
        things = [piece.word for piece in sides.pieces[place + 1 : place + 4]]
        if number.test is None or number.kind != "test" or not sides.others:
            continue
        if things[:1] == ["of"] and set(things) & SHARED:
            clause = Clause(
                subject=Subject.METRIC,
                metric=" ".join(piece.text for piece in sides.pieces if piece is not number),
                op=number.test.op,
                value=number.test.value,
                unit=number.test.unit,
                aggregate="latest",
                quantifier="share",
            )
            why = "a share: log it as a metric, or name the family: share(GLOB > bound)"
            raise declare(why, Kind.PER_CLASS, (clause,))


def _from_to(sides: _Sides) -> Question:
    """One test that holds both values: `from 3.2 to 2.0`, `3.2 → 2.0`."""
    test = sides.written
    end = test.value if test.value2 is None else test.value2
    return change(sides.before, test.value, end, test.unit)


def _incident(before: list[Piece]) -> Question | None:
    """`Zero corruption events in 1000+ test runs`: the number counts the occasions."""
    words = [piece.word for piece in before]
    if not words or words[0] not in {"no", "zero"} or not set(words) & INCIDENTS:
        return None
    try:
        found = occurrence_clauses(before[:-1] if words[-1] in {"in", "over"} else before)
    except Question as question:
        return question
    return declare("over how many occasions? Log a count", Kind.EVENT_ABSENCE, found)


def _is_size(sides: _Sides) -> bool:
    """`adapter saved (~200 MB)`: the size is a remark."""
    size = sides.test.op in {"~=", "between"} and (sides.test.unit or "").endswith("B")
    return size and any(piece.word in EXISTS for piece in sides.before)


def _length(sides: _Sides) -> tuple[Clause, ...]:
    """`Training runs for about 8k steps`, `… for at least 20k steps`."""
    if not sides.before or sides.before[-1].word != "for" or not sides.after:
        return ()
    head = {piece.word for piece in sides.before[:-1]}
    unit = sides.after[0]
    if unit.kind != "time" or len(sides.after) > 1 or not head or not head <= _GENERIC | FILLERS:
        return ()
    return (progress_clause(read_unit(unit.text) or unit.text, sides.test),)


def _counted(sides: _Sides) -> tuple[Clause, ...]:
    """`At least 3 checkpoint files exist`, `exit code = 0`."""
    test, pieces = sides.test, (*sides.before, *sides.after)
    words = {piece.word for piece in pieces if piece.kind in {"word", "time"}}
    only = not sides.before and words <= CHECKPOINTS | {"file", "files"}
    if words & CHECKPOINTS and (words & EXISTS or only) and test.unit is None:
        clause = Clause(
            subject=Subject.CHECKPOINT,
            metric="checkpoints",
            op=test.op,
            value=test.value,
            value2=test.value2,
            tolerance=test.tolerance,
        )
        return (clause,)
    if "exit" in words and words & {"code", "status"} and test.unit is None:
        clause = Clause(
            subject=Subject.EXIT,
            metric="exit_code",
            op=test.op,
            value=test.value,
            value2=test.value2,
            tolerance=test.tolerance,
        )
        return (clause,)
    return ()


def _without_rest(sides: _Sides, inherited: str | None) -> tuple[Clause, ...]:
    """What the first test says if nothing follows it."""
    try:
        return meaning_of(measured(sides.before, sides.test, (), inherited=inherited))
    except Question as question:
        return question.clauses


# ------------------------------------------------------------------ without a test
def _ask_for_devices(pieces: Sequence[Piece]) -> None:
    """`launched with 8x H100`: how many devices the run has."""
    for number, device in pairwise(pieces):
        test = number.test if number.kind == "amount" else None
        if test is None or test.unit not in {None, "x"} or not _DEVICE.fullmatch(device.text):
            continue
        clause = Clause(
            subject=Subject.METRIC,
            metric="gpu_count",
            op="==",
            value=test.value,
            aggregate="latest",
        )
        why = (
            f"log the number of {device.text} as gpu_count, or leave it to [resources] of the spec"
        )
        raise declare(why, Kind.COUNT_OR_PROGRESS, (clause,))


def _progress(pieces: Sequence[Piece]) -> tuple[Clause, ...]:
    """`Training runs for ~52,000 steps`, and what must not happen: `… without errors`."""
    end = next((i for i, piece in enumerate(pieces) if piece.word in {"without", "no"}), None)
    progress = progress_in(pieces, pieces[:end])
    if progress is None:
        return ()
    if end is None:
        return (progress,)
    try:
        return (progress, *occurrence_clauses(pieces[end:]))
    except Question as question:
        clauses = (progress, *question.clauses)
        raise ask(question.why, Kind.COUNT_OR_PROGRESS, clauses) from None


def _guess(pieces: Sequence[Piece], question: Question) -> Question:
    """The likeliest kind of a claim that no rule reads, if it holds a number."""
    numbers = [
        (place, piece.test)
        for place, piece in enumerate(pieces)
        if piece.kind == "amount" and piece.test is not None
    ]
    if not numbers:
        return question
    place, test = numbers[0]
    follows = [p.text for p in pieces[place + 1 :] if p.kind in {"word", "time"}]
    clause = Clause(
        subject=Subject.METRIC,
        metric=" ".join(follows) or name_of(pieces[:place]) or None,
        op=">=",
        value=test.value,
        unit=test.unit,
        total=test.total,
        aggregate="latest",
    )
    why = "at least, at most or exactly so many? Write an operator"
    clear = not any(piece.word in OPEN or piece.kind == "quoted" for piece in pieces)
    if clear and place == 0 and len(numbers) == 1 and follows:
        return declare(why, _kind_of_number(test), (clause,))
    return ask(why, _kind_of_number(test), (clause,))


def _kind_of_number(test: Test) -> Kind:
    if test.unit in CLOCK:
        return Kind.DURATION
    return Kind.COUNT_OR_PROGRESS if test.unit is None else Kind.THRESHOLD
