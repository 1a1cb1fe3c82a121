"""A line as a person wrote it → what the machine understood, or the question it has."""

import re

from orchestrator.criteria.clauses import parse_claims
from orchestrator.criteria.flat import flat
from orchestrator.criteria.line import Line, compares, take_apart
from orchestrator.criteria.predicate import parse_predicate
from orchestrator.criteria.syntax import NoRuleError, NotReadError
from orchestrator.criteria.vocabulary import is_vague, unread, words_of
from orchestrator.domain.criterion import Clause, Decidable, Kind, Reading, Subject
from orchestrator.errors import InvalidFileError

_LONGEST = 1000  # characters; a criterion is a line, not a document

_KINDS = {
    Subject.STEP: Kind.COUNT_OR_PROGRESS,
    Subject.LOG: Kind.EVENT_ABSENCE,
    Subject.CHECKPOINT: Kind.ARTIFACT_EXISTS,
    Subject.FILE: Kind.ARTIFACT_EXISTS,
    Subject.RESOURCES: Kind.EVENT_PRESENCE,
}
# Words that only introduce the test in the parenthesis after them.
_GLOSS = words_of("verify ensure confirm check convergence criteria met model is learning")
_ALARMS = re.compile(
    r"warning signs?|red flags?|stop if|alarms?|failure (?:signs|modes)|bad signs|abort if|"
    r"should not|must not",
    re.IGNORECASE,
)
_TIERS = (
    (re.compile(r"\bstretch\b", re.IGNORECASE), "stretch"),
    (re.compile(r"nice[- ]to[- ]have|\boptional\b|\bbonus\b", re.IGNORECASE), "nice"),
)
_TIMED = re.compile(
    r"\b(?:epochs?|steps?|episodes?|iterations?|hours?|days?|weeks?)\b\W*\d|"
    r"\d\w*\W*(?:epochs?|steps?|episodes?|iterations?|hours?|days?)\b",
    re.IGNORECASE,
)


def read(line: str, heading: str | None = None) -> Reading:
    """Read one criterion; `heading` is the nearest heading above it.

    Never raises. A reading is definite (`decidable` yes) only if every word of the line has its
    place in the grammar; otherwise `why` asks the person for what is missing.
    """
    if len(line) > _LONGEST:
        return Reading(
            kind=Kind.MANUAL, why=f"a line of {len(line):,} characters is no single criterion"
        )
    parts = take_apart(line)
    if parts.predicates:
        return _explicit(parts, heading)
    tier = _tier(heading)
    inverted = heading is not None and _ALARMS.search(heading) is not None
    polarity = "inverted" if inverted else "positive"
    try:
        clauses = _clauses_of(parts)
    except NotReadError as error:
        guess = unread(parts.claim if parts.inner is None else f"{parts.claim} {parts.inner}")
        return Reading(
            kind=guess.kind,
            polarity=polarity,
            tier=tier,
            note=parts.note,
            decidable=guess.decidable,
            why=guess.why if isinstance(error, NoRuleError) else str(error),
        )
    doubt = _doubt(parts, heading, inverted=inverted)
    return Reading(
        kind=kind_of(clauses[0]),
        clauses=clauses,
        polarity=polarity,
        tier=tier,
        note=parts.note,
        decidable=Decidable.YES if doubt is None else Decidable.ASK,
        why=doubt,
    )


def kind_of(clause: Clause) -> Kind:
    """The kind of claim that a clause makes."""
    if clause.subject in _KINDS:
        return _KINDS[clause.subject]
    if clause.op == "absent":
        return Kind.EVENT_ABSENCE
    if clause.op in {"exists", "released"}:
        return Kind.EVENT_PRESENCE
    return Kind.RANGE if clause.op == "between" else Kind.THRESHOLD


def _explicit(parts: Line, heading: str | None) -> Reading:
    """`<!-- exp: … -->` wins over the words around it."""
    try:
        clauses = tuple(
            clause for predicate in parts.predicates for clause in flat(parse_predicate(predicate))
        )
    except InvalidFileError as error:
        return Reading(
            kind=Kind.MANUAL,
            tier=_tier(heading),
            note=parts.note,
            decidable=Decidable.ASK,
            why=str(error),
        )
    return Reading(
        kind=kind_of(clauses[0]),
        clauses=clauses,
        tier=_tier(heading),
        note=parts.note,
        decidable=Decidable.YES,
        predicate=" and ".join(parts.predicates),
    )


def _clauses_of(parts: Line) -> tuple[Clause, ...]:
    """Read the claim; where only the parenthesis compares, that is the test."""
    if parts.inner is None:
        return parse_claims(parts.claim)
    outside = [word for word in parts.claim.split() if not is_vague(word)]
    if {word.casefold() for word in outside} <= _GLOSS:
        return parse_claims(parts.inner)
    return parse_claims(f"{' '.join(outside)} {parts.inner}")


def _doubt(parts: Line, heading: str | None, *, inverted: bool) -> str | None:
    """Why a line that was read must still be asked about."""
    if inverted:
        return f"under {heading!r} the line is an alarm, not a condition of success"
    if heading is not None and _TIMED.search(heading):
        return f"does {heading!r} say when this must hold? Write `by step N` into the line"
    if parts.scoped is not None:
        return f"does {parts.scoped!r} belong to the test? Write the whole test in one clause"
    if any(compares(remark) for remark in parts.remarks):
        return "there is a second comparison in the remark; which one is the test?"
    return None


def _tier(heading: str | None) -> str:
    for pattern, tier in _TIERS:
        if heading is not None and pattern.search(heading):
            return tier
    return "must"
