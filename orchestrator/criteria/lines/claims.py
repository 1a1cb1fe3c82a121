"""A claim as a whole: conditions, labels and lists around the single tests in it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.criteria.lines.asking import Question, ask, person
from orchestrator.criteria.lines.lists import is_setting, segments_of
from orchestrator.criteria.lines.moments import anchor_of, anchored
from orchestrator.criteria.lines.phrase import name_of
from orchestrator.criteria.lines.pieces import Piece, pieces_of, tests_in
from orchestrator.criteria.lines.segment import segment_clauses
from orchestrator.criteria.lines.vocabulary import (
    ANNOUNCERS,
    FILLERS,
    LABELS,
    LEADS,
    RESULT_LABELS,
    is_metric_like,
    words_of,
)
from orchestrator.domain.criterion import Clause, Decidable, Kind, Subject

_POSITIVE, _CONDITIONAL = "positive", "conditional"
_IF = words_of("if once when whenever wenn si falls 若 如果 если")
_THEN = frozenset({"arrow", "colon", "comma"})
_ACTIONS = words_of(
    "reduce stop abort kill restart lower raise increase decrease tune switch halt pause alert "
    "rollback early check investigate use try deploy proceed continue go ship move scale accept "
    "reject adopt promote iterate"
)
_ANNOUNCING = LABELS | FILLERS
_TIMED = LABELS | LEADS | words_of("final training complete")
_BEFORE_NUMBER = FILLERS | words_of("stay stays remain")
_MARKS = frozenset({"#", "!", "…", "¹", "²"})  # of footnotes and emphasis
_NUMBERED = frozenset({"amount", "every", "moment", "anchor", "window", "hold"})
_WHICH_TIME = "does the time before the colon bound the test?"
_LEAST_CERTAIN = (Decidable.MANUAL, Decidable.ASK, Decidable.DECLARE, Decidable.YES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What was understood of a line, whole or in part; `question` is what is still open."""

    clauses: tuple[Clause, ...]
    polarity: str = _POSITIVE
    question: Question | None = None


def read_claim(text: str) -> Claim:
    """Read a claim without its notes. Raises NotReadError for what holds no pieces at all."""
    pieces = [piece for piece in pieces_of(text) if piece.text not in _MARKS]
    polarity = _POSITIVE
    try:
        pieces, polarity = _condition(pieces)
        return replace(_labelled(pieces), polarity=polarity)
    except Question as question:
        return Claim(clauses=question.clauses, polarity=polarity, question=question)


# ------------------------------------------------------------------ if … then
def _condition(pieces: list[Piece]) -> tuple[list[Piece], str]:
    """The test of a rule: `if KL > 0.3 → stop`, `reduce LR if perplexity > 15`."""
    start = next((i for i, piece in enumerate(pieces) if piece.word in _IF), None)
    if start is not None and (start == 0 or _leads_to_action(pieces[:start])):
        rest = pieces[start + 1 :]
        end = next((i for i, piece in enumerate(rest) if _ends_condition(piece)), None)
        return rest[:end], _CONDITIONAL
    arrow = next((i for i, piece in enumerate(pieces) if piece.kind == "arrow"), None)
    if arrow is None:
        return pieces, _POSITIVE
    left, right = pieces[:arrow], pieces[arrow + 1 :]
    if any(piece.kind == "arrow" for piece in right) and tests_in(right):
        raise ask("several rules in one line: write one line for each", Kind.THRESHOLD)
    if not tests_in(right) or (tests_in(left) and right[0].word in _ACTIONS):
        return left, _CONDITIONAL
    if tests_in(left):
        raise ask("from one value to another: by when? Write two tests", Kind.TREND)
    return right, _POSITIVE  # "retrain the teacher → expect loss < 3.2"


def _ends_condition(piece: Piece) -> bool:
    return piece.kind in _THEN or piece.word in {"then", "dann", "entonces"}


def _leads_to_action(pieces: Sequence[Piece]) -> bool:
    first = next((piece.word for piece in pieces if piece.kind == "word"), "")
    return pieces[-1].kind == "colon" or first in _ACTIONS


# ------------------------------------------------------------------ label: claim
def _labelled(pieces: list[Piece]) -> Claim:
    """A label says when, names the metric (`Rate: < 10%`), or what it is on (`CIFAR: FID < 5`)."""
    place = next((i for i, piece in enumerate(pieces) if piece.kind == "colon"), None)
    if place is None:
        return _joined(pieces)
    label, colon, body = pieces[:place], pieces[place], pieces[place + 1 :]
    if not body:
        return _joined(label)
    if not label:
        return _joined(body)
    if tests_in(label):
        return _joined([*label, replace(colon, kind="comma"), *body])
    if tests_in(body) and all(piece.word in RESULT_LABELS for piece in label):
        raise ask(f"{label[0].text!r} announces a result or a plan, not a condition")
    if claim := _timed(label, body):
        return claim
    if any(piece.kind == "code" for piece in body) and not tests_in(body):
        return _joined([*label, replace(colon, kind="sign"), *body])  # saved: `best.pt`
    announces = all(piece.kind == "sign" or piece.word in _ANNOUNCING for piece in label)
    if announces and (_speaks(body) or not tests_in(body)):
        return _labelled(body)
    first = next((i for i, piece in enumerate(body) if piece.kind == "test"), None)
    if first is not None and _is_bare(body[:first]):
        return _named(label, body, follows=name_of(body[first + 1 :]))
    return _narrowed(label, _labelled(body), body)


def _timed(label: list[Piece], body: list[Piece]) -> Claim | None:
    """`Epoch 3: loss < 2`; None for a time that does not bound the test."""
    places = [piece for piece in label if piece.moment is not None]
    others = {piece.word for piece in label if piece.moment is None}
    if len(places) == 1 and places[0].kind != "every" and others <= _TIMED:
        return _at_moment(places[0], body)
    if places and tests_in(body):
        raise ask(_WHICH_TIME)
    return None


def _at_moment(place: Piece, body: list[Piece]) -> Claim:
    if place.moment is None or not tests_in(body):
        return _joined([place, *body])
    anchor, claim = anchor_of(place.moment), _labelled(body)
    bounded = [anchored(clause, anchor) for clause in claim.clauses]
    clauses = tuple(clause for clause in bounded if clause is not None)
    if len(clauses) < len(bounded):
        raise ask(_WHICH_TIME, clauses=claim.clauses)
    return replace(claim, clauses=clauses)


def _speaks(body: Sequence[Piece]) -> bool:
    """Whether a claim names something by itself, so that a generic label adds nothing."""
    return any(piece.kind in {"word", "code", "quoted"} for piece in body)


def _is_bare(before: Sequence[Piece]) -> bool:
    """Whether nothing but verbs stands between label and number: the label names the metric."""
    return all(
        piece.kind == "sign" or (piece.kind == "word" and piece.word in _BEFORE_NUMBER)
        for piece in before
    )


def _named(label: Sequence[Piece], body: list[Piece], *, follows: str) -> Claim:
    """`Collision rate: < 10%` names its metric, unless what `follows` the number does."""
    name = list(label[1:] if label[0].word in ANNOUNCERS else label)
    if {piece.word for piece in name} <= LABELS:
        name = []
    if is_metric_like(name_of(name)) or not is_metric_like(follows):
        return _joined([*name, *body])
    return _joined(body)


def _narrowed(label: list[Piece], claim: Claim, body: list[Piece]) -> Claim:
    """`CIFAR-10: FID < 5` is measured on it; `Model saved: as agreed` is said by the label."""
    question = claim.question
    if question is None and claim.clauses and not any(piece.moment for piece in label):
        scope = " ".join(piece.text.strip("*") for piece in label)
        return replace(claim, clauses=tuple(_on(clause, scope) for clause in claim.clauses))
    if question is not None and question.kind is Kind.MANUAL and not tests_in(body):
        if any(piece.kind in _NUMBERED for piece in body):
            return _joined([*label, *body])
        alone = _joined(label)
        return alone if alone.question is None else _joined([*label, *body])
    return claim


def _on(clause: Clause, scope: str) -> Clause:
    if clause.subject is not Subject.METRIC or clause.value is None:
        return clause
    return replace(clause, qualifier=f"{scope} {clause.qualifier}" if clause.qualifier else scope)


# ------------------------------------------------------------------ lists of tests
def _joined(pieces: list[Piece]) -> Claim:
    """Every test of a list; one that stays open leaves the whole line open."""
    clauses: list[Clause] = []
    questions: list[Question] = []
    shared: list[Piece] = []  # "on 1,000 sentences, accuracy > 85%": belongs to what follows
    inherited: str | None = None
    segments = segments_of(pieces)
    if not segments:
        raise person("there is nothing to test")
    for position, segment in enumerate(segments, start=1):
        if position < len(segments) and is_setting(segment):
            shared = segment
            continue
        try:
            found = segment_clauses([*segment, *shared], inherited)
        except Question as question:
            questions.append(question)
            found = question.clauses
        clauses += found
        inherited = next((c.metric for c in reversed(found) if c.value is not None), inherited)
    if not questions and _shares_tail(clauses):
        why = "does the end of the line belong to every test in it? Write one criterion for each"
        raise ask(why, clauses=tuple(clauses))
    worst = _worst(questions, tuple(clauses)) if questions else None
    return Claim(clauses=tuple(clauses), question=worst)


def _shares_tail(clauses: Sequence[Clause]) -> bool:
    """`a > 1 and b > 2 on test by step 9`: whether the tail belongs to both is not written."""
    tests = [clause for clause in clauses if clause.subject is Subject.METRIC and clause.value]
    narrowed = [bool(clause.qualifier or clause.anchor) for clause in tests]
    return len(tests) > 1 and narrowed[-1] and not any(narrowed[:-1])


def _worst(questions: Sequence[Question], clauses: tuple[Clause, ...]) -> Question:
    """The question that needs a person most; a line of which a part was understood is no prose."""
    worst = min(questions, key=lambda question: _LEAST_CERTAIN.index(question.decidable))
    if worst.decidable is Decidable.MANUAL and clauses:
        return ask(f"a part of the line is not understood: {worst.why}", questions[0].kind)
    return worst
