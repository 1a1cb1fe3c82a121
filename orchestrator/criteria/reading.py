"""A line as a person wrote it → what the machine understood, or the question it has."""

from dataclasses import replace

from orchestrator.criteria.asking import ask
from orchestrator.criteria.canonical import tree_of, window_of
from orchestrator.criteria.claims import Claim, read_claim
from orchestrator.criteria.flat import flat
from orchestrator.criteria.headings import Heading, read_heading
from orchestrator.criteria.line import Line, compares, take_apart
from orchestrator.criteria.occurrences import hazards_in
from orchestrator.criteria.predicate import parse_predicate, predicate_text
from orchestrator.criteria.syntax import NotReadError
from orchestrator.criteria.vocabulary import (
    DERIVED,
    direction_of,
    is_metric_like,
    is_vague,
    words_of,
)
from orchestrator.domain.criterion import Clause, Decidable, Kind, Reading, Subject
from orchestrator.errors import InvalidFileError

_LONGEST = 1000  # characters; a criterion is a line, not a document

_KINDS = {
    Subject.STEP: Kind.COUNT_OR_PROGRESS,
    Subject.LOG: Kind.EVENT_ABSENCE,
    Subject.CHECKPOINT: Kind.ARTIFACT_EXISTS,
    Subject.FILE: Kind.ARTIFACT_EXISTS,
    Subject.RESOURCES: Kind.EVENT_PRESENCE,
    Subject.DURATION: Kind.DURATION,
    Subject.OUTPUT: Kind.COMMAND_PASSES,
    Subject.EXIT: Kind.COMMAND_PASSES,
    Subject.COMMAND: Kind.COMMAND_PASSES,
}
_LONG = words_of("min h days")
_COUNTERS = words_of("epoch iteration episode round generation")
# Words that only introduce the test in the parenthesis after them.
_GLOSS = words_of(
    "verify ensure confirm check convergence criteria met model is learning the detects no"
)


def read(line: str, heading: str | None = None) -> Reading:
    """Read one criterion; `heading` is the nearest heading above it.

    Never raises. A reading is definite (`decidable` yes) only if every word of the line has its
    place; otherwise `why` asks the person for what is missing, and `clauses` holds what is clear.
    """
    place = read_heading(heading)
    if len(line) > _LONGEST:
        why = f"a line of {len(line):,} characters is no single criterion"
        return Reading(kind=Kind.MANUAL, why=why, tier=place.tier)
    parts = take_apart(line)
    if parts.predicates:
        return _explicit(parts, place)
    try:
        claim = _claim_of(parts)
    except NotReadError as error:
        return Reading(kind=Kind.MANUAL, polarity=place.polarity, tier=place.tier,
                       note=parts.note, why=str(error))  # fmt: skip
    return _reading(_placed(claim, place), parts, place)


def _reading(claim: Claim, parts: Line, place: Heading) -> Reading:
    tree = tree_of(claim.clauses)
    question = claim.question
    doubt = _doubt(parts) if question is None else None
    kind = question.kind if question is not None else kind_of(claim.clauses[0])
    if claim.clauses and question is not None and question.kind is Kind.MANUAL:
        kind = kind_of(claim.clauses[0])
    if question is None and any(clause.op == "absent" for clause in claim.clauses):
        kind = (
            kind_of(claim.clauses[0]) if claim.clauses[0].value is not None else Kind.EVENT_ABSENCE
        )
    decidable = question.decidable if question is not None else Decidable.YES
    if doubt is not None:
        decidable = Decidable.ASK
    return Reading(
        kind=kind,
        clauses=claim.clauses,
        polarity="inverted" if parts.alarm or place.inverted else claim.polarity,
        tier=place.tier,
        note=parts.note,
        decidable=decidable,
        why=question.why if question is not None else doubt,
        predicate=None if tree is None else predicate_text(tree),
    )


def kind_of(clause: Clause) -> Kind:
    """The kind of claim that a clause makes."""
    if clause.subject in _KINDS:
        return _KINDS[clause.subject]
    if clause.op == "absent":
        return Kind.EVENT_ABSENCE
    if clause.op in {"exists", "released"}:
        return Kind.EVENT_PRESENCE
    if clause.hold or clause.aggregate == "trend":
        return Kind.TREND
    if clause.quantifier:
        return Kind.PER_CLASS
    if clause.baseline or clause.change:
        return Kind.RELATIVE_TO_BASELINE
    if clause.other is not None:
        words = f"{clause.metric} {clause.other}".casefold().split()
        return Kind.RELATIVE_TO_BASELINE if "baseline" in words else Kind.COMPARISON
    if (clause.metric in _COUNTERS and clause.unit == f"{clause.metric}s") or clause.total:
        return Kind.COUNT_OR_PROGRESS
    if _is_count(clause):
        return Kind.COUNT_OR_PROGRESS
    if clause.unit in _LONG:
        return Kind.DURATION
    return Kind.RANGE if clause.op == "between" else Kind.THRESHOLD


def _is_count(clause: Clause) -> bool:
    """`Perfect grids > 85`: whole things, by their name."""
    metric, value = clause.metric or "", clause.value
    whole = value is not None and value == int(value) and value > 1 and clause.unit is None
    return whole and clause.op != "between" and metric.endswith("s") and not is_metric_like(metric)


def _placed(claim: Claim, place: Heading) -> Claim:
    """A heading such as `Epoch 25` says when the lines below it must hold."""
    if place.anchor is None:
        return claim
    return replace(
        claim, clauses=tuple(_anchored(clause, place.anchor) for clause in claim.clauses)
    )


def _anchored(clause: Clause, anchor: str) -> Clause:
    measured = clause.subject is Subject.METRIC and clause.op != "absent" and not clause.hold
    if not measured or clause.anchor is not None or clause.aggregate in {"best", "final", "max"}:
        return clause
    by = window_of(anchor).kind == "by"
    aggregate = "any" if by and clause.aggregate == "latest" else clause.aggregate
    return replace(clause, anchor=anchor, aggregate=aggregate)


def _explicit(parts: Line, place: Heading) -> Reading:
    """`<!-- exp: … -->` wins over the words around it."""
    try:
        tree = parse_predicate(" and ".join(f"({text})" for text in parts.predicates)
                               if len(parts.predicates) > 1 else parts.predicates[0])  # fmt: skip
    except InvalidFileError as error:
        return Reading(kind=Kind.MANUAL, tier=place.tier, note=parts.note,
                       decidable=Decidable.ASK, why=str(error))  # fmt: skip
    clauses = flat(tree)
    return Reading(
        kind=kind_of(clauses[0]),
        clauses=clauses,
        polarity=place.polarity,
        tier=place.tier,
        note=parts.note,
        decidable=Decidable.YES,
        predicate=predicate_text(tree),
    )


def _claim_of(parts: Line) -> Claim:
    """Read the claim with the remarks that narrow it."""
    claim = _bare_claim(parts, "")
    if claim.question is None and parts.narrowing:
        return _bare_claim(parts, " " + " ".join(parts.narrowing))
    if claim.question is None or parts.inner is not None or claim.clauses:
        return claim
    # "Model learning (loss decreasing)", "Memory is good - no OOM": the words only introduce.
    others = dict.fromkeys([*parts.remarks, *([parts.tail] if parts.tail else [])])
    found = [other for other in map(_quiet, others) if other is not None]
    return found[0] if len(found) == 1 else claim


def _quiet(text: str) -> Claim | None:
    """A remark as a claim of its own, if it is one without numbers."""
    if compares(text):
        return None
    try:
        claim = read_claim(text)
    except NotReadError:
        return None
    asked = claim.question is not None and claim.question.decidable is not Decidable.DECLARE
    return claim if claim.clauses and not asked else None


def _bare_claim(parts: Line, remark: str) -> Claim:
    """Read the claim; where only the parenthesis compares, that is the test."""
    if parts.inner is None:
        return read_claim(parts.claim + remark)
    alone = read_claim(parts.claim)
    if alone.question is None and alone.clauses:
        return _beside(alone, parts.inner)
    if alone.question is not None and (
        alone.question.kind is Kind.EVENT_ABSENCE or hazards_in(parts.claim)
    ):
        inner = read_claim(parts.inner)
        if inner.clauses and all(_is_good(clause) for clause in inner.clauses):
            return inner
        why = f"is {parts.inner!r} what must not be, or what must hold? Write the test alone"
        return Claim(clauses=inner.clauses, question=ask(why))
    outside = [word for word in parts.claim.split() if not is_vague(word)]
    if {word.casefold() for word in outside} <= _GLOSS:
        return read_claim(parts.inner + remark)
    inner = read_claim(parts.inner + remark)
    if _speaks_for_itself(inner):
        return inner
    return read_claim(f"{' '.join(outside)} {parts.inner}{remark}")


def _is_good(clause: Clause) -> bool:
    """`No overfitting (gap < 0.3)`: a small gap is what must hold."""
    words = set((clause.metric or "").casefold().split())
    small = direction_of(clause.metric or "") == "min" or bool(words & DERIVED)
    return clause.op in {"<", "<="} and small


def _beside(claim: Claim, inner: str) -> Claim:
    """`Model saved (~200 MB)`: the claim stands, and what is only about so is a remark."""
    test = read_claim(inner)
    if any(clause.metric is None for clause in test.clauses):
        return claim
    joined = (*claim.clauses, *test.clauses)
    return Claim(clauses=joined, polarity=claim.polarity, question=test.question)


def _speaks_for_itself(claim: Claim) -> bool:
    return claim.question is None and all(clause.metric for clause in claim.clauses)


def _doubt(parts: Line) -> str | None:
    """Why a line that was read must still be asked about."""
    if parts.scoped is not None:
        return f"does {parts.scoped!r} belong to the test? Write the whole test in one clause"
    return None
