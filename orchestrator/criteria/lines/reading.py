"""A line as a person wrote it → what the machine understood, or the question it has.

The way of a line: `line` splits off markup, notes and remarks (`table` for a row of a table), and
`headings` reads what stands above it. `pieces` cuts the claim into tests, numbers, times and words
by grammar.lark. `claims` takes conditions and labels off, `lists` cuts at commas and `and`, and
`segment` says for each part which sort of test it holds:

- a number: `measured` gives each word around it a place, `meaning` says what they mean together
  (with `relative` for changes against a run, `progress` for how far a run came);
- two of them: `two_numbers`, `two_metrics`;
- none: `occurrences` (with `absence`, `artifacts`, `commands`).

What comes out are clauses, and a question (`asking`) where the words leave something open.
`canonical` joins the clauses into the tree that is judged, whose text is the predicate.
"""

from dataclasses import replace

from orchestrator.criteria.lines.absence import hazards_in, is_alarm
from orchestrator.criteria.lines.asking import ask
from orchestrator.criteria.lines.canonical import tree_of
from orchestrator.criteria.lines.claims import Claim, read_claim
from orchestrator.criteria.lines.headings import Heading, read_heading
from orchestrator.criteria.lines.line import Line, compares, take_apart
from orchestrator.criteria.lines.moments import anchored
from orchestrator.criteria.lines.syntax import NotReadError
from orchestrator.criteria.lines.vocabulary import (
    COUNTERS,
    DERIVED,
    VAGUE,
    direction_of,
    is_metric_like,
    words_of,
)
from orchestrator.criteria.predicates.expression import Predicate
from orchestrator.criteria.predicates.flat import flat
from orchestrator.criteria.predicates.parse import parse_predicate, predicate_text
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
        return Reading(
            kind=Kind.MANUAL,
            polarity=place.polarity,
            tier=place.tier,
            note=parts.note,
            why=str(error),
        )
    return _reading(_placed(claim, place), parts, place)


def _reading(claim: Claim, parts: Line, place: Heading) -> Reading:
    polarity = "inverted" if parts.alarm or place.inverted else claim.polarity
    if polarity == "inverted":
        claim = replace(claim, clauses=tuple(map(_rings, claim.clauses)))
    tree = tree_of(claim.clauses)
    decidable, why = Decidable.YES, None
    if polarity == "inverted" and claim.clauses and all(map(is_alarm, claim.clauses)):
        pass  # `Loss is NaN` below Warning signs says all that it needs to say
    elif claim.question is not None:
        decidable, why = claim.question.decidable, claim.question.why
    elif place.aside:
        decidable, why = Decidable.ASK, "does this heading hold criteria at all?"
    elif parts.scoped is not None:
        decidable = Decidable.ASK
        why = f"does {parts.scoped!r} belong to the test? Write the whole test in one clause"
    predicate = None if tree is None else _written(tree)
    if predicate is None and decidable is Decidable.YES:
        decidable, why = Decidable.ASK, "its parts do not go together: write it as a predicate"
    return Reading(
        kind=_kind_of_claim(claim),
        clauses=claim.clauses,
        polarity=polarity,
        tier=place.tier,
        note=parts.note,
        decidable=decidable,
        why=why,
        predicate=predicate,
    )


def _written(tree: Predicate) -> str | None:
    """The text of a tree; None for one that the language of predicates cannot say."""
    text = predicate_text(tree)
    try:
        parse_predicate(text)
    except InvalidFileError:
        return None
    return text


def _rings(clause: Clause) -> Clause:
    """An alarm rings as soon as one point meets it, not only by the latest."""
    plain = clause.subject is Subject.METRIC and clause.value is not None
    single = clause.baseline is None and clause.quantifier is None
    placed = clause.anchor is not None and clause.anchor.startswith("at ")
    if plain and single and not placed and clause.aggregate == "latest" and not clause.total:
        return replace(clause, aggregate="any")
    return clause


def _explicit(parts: Line, place: Heading) -> Reading:
    """`<!-- exp: … -->` wins over the words around it."""
    first, *more = parts.predicates
    text = " and ".join(f"({part})" for part in parts.predicates) if more else first
    try:
        tree = parse_predicate(text)
    except InvalidFileError as error:
        return Reading(
            kind=Kind.MANUAL,
            tier=place.tier,
            note=parts.note,
            decidable=Decidable.ASK,
            why=str(error),
        )
    clauses = flat(tree)
    return Reading(
        kind=_kind_of(clauses[0]),
        clauses=clauses,
        polarity=place.polarity,
        tier=place.tier,
        note=parts.note,
        decidable=Decidable.YES,
        predicate=predicate_text(tree),
    )


# ------------------------------------------------------------------ the kind of a line
def _kind_of_claim(claim: Claim) -> Kind:
    clauses, question = claim.clauses, claim.question
    if question is not None and (question.kind is not Kind.MANUAL or not clauses):
        return question.kind
    absent = any(clause.op == "absent" for clause in clauses)
    if question is None and absent and clauses[0].value is None:
        return Kind.EVENT_ABSENCE
    return _kind_of(clauses[0])


def _kind_of(clause: Clause) -> Kind:
    if clause.subject in _KINDS:
        return _KINDS[clause.subject]
    if clause.op == "absent":
        return Kind.EVENT_ABSENCE
    if clause.op == "exists":
        return Kind.EVENT_PRESENCE
    if clause.hold or clause.aggregate == "trend":
        return Kind.TREND
    if clause.quantifier:
        return Kind.PER_CLASS
    if clause.baseline or clause.change or clause.other is not None:
        return _kind_of_comparison(clause)
    if _is_count(clause):
        return Kind.COUNT_OR_PROGRESS
    if clause.unit in _LONG:
        return Kind.DURATION
    return Kind.RANGE if clause.op == "between" else Kind.THRESHOLD


def _kind_of_comparison(clause: Clause) -> Kind:
    words = f"{clause.metric} {clause.other}".casefold().split()
    relative = clause.baseline or clause.change or "baseline" in words
    return Kind.RELATIVE_TO_BASELINE if relative else Kind.COMPARISON


def _is_count(clause: Clause) -> bool:
    """`85/172`, `epoch ≥ 20`, `Perfect grids > 85`: whole things, by their name."""
    metric, value = clause.metric or "", clause.value
    if clause.total or (metric in COUNTERS and clause.unit == f"{metric}s"):
        return True
    whole = value is not None and value == int(value) and value > 1 and clause.unit is None
    return whole and clause.op != "between" and metric.endswith("s") and not is_metric_like(metric)


# ------------------------------------------------------------------ the time in a heading
def _placed(claim: Claim, place: Heading) -> Claim:
    """A heading such as `Epoch 25` says when the lines below it must hold."""
    if place.anchor is None:
        return claim
    clauses = tuple(anchored(clause, place.anchor) or clause for clause in claim.clauses)
    left = [clause for clause in clauses if clause.value is not None and clause.anchor is None]
    if claim.question is None and any(clause.subject is Subject.METRIC for clause in left):
        why = "does the time in the heading bound this test too? Write it into the line"
        return replace(claim, clauses=clauses, question=ask(why))
    return replace(claim, clauses=clauses)


# ------------------------------------------------------------------ which part is the claim
def _claim_of(parts: Line) -> Claim:
    """Read the claim with the remarks that narrow it."""
    claim = _bare_claim(parts, "")
    if claim.question is None and parts.narrowing:
        return _bare_claim(parts, " " + " ".join(parts.narrowing))
    if claim.question is None or parts.inner is not None or claim.clauses:
        return claim
    # "Model learning (loss decreasing)", "Memory is good - no OOM": the words only introduce.
    found = [other for other in map(_quiet, dict.fromkeys(parts.remarks)) if other is not None]
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
    hazard = alone.question is not None and alone.question.kind is Kind.EVENT_ABSENCE
    if hazard or hazards_in(parts.claim):
        return _instead_of_hazard(parts.inner)
    outside = [word for word in parts.claim.split() if word.casefold() not in VAGUE]
    inner = read_claim(parts.inner + remark)
    if {word.casefold() for word in outside} <= _GLOSS or _speaks_for_itself(inner):
        return inner
    return read_claim(f"{' '.join(outside)} {parts.inner}{remark}")


def _beside(claim: Claim, inner: str) -> Claim:
    """`Model saved (~200 MB)`: the claim stands, and what is only about so is a remark."""
    test = read_claim(inner)
    if any(clause.metric is None for clause in test.clauses):
        return claim
    joined = (*claim.clauses, *test.clauses)
    return Claim(clauses=joined, polarity=claim.polarity, question=test.question)


def _instead_of_hazard(inner: str) -> Claim:
    """`No overfitting (gap < 0.3)`: the test says what must hold, if its direction is good."""
    claim = read_claim(inner)
    if claim.clauses and all(_is_good(clause) for clause in claim.clauses):
        return claim
    why = f"is {inner!r} what must not be, or what must hold? Write the test alone"
    return Claim(clauses=claim.clauses, question=ask(why))


def _is_good(clause: Clause) -> bool:
    """A small gap, a low error."""
    words = set((clause.metric or "").casefold().split())
    small = direction_of(clause.metric or "") == "min" or bool(words & DERIVED)
    return clause.op in {"<", "<="} and small


def _speaks_for_itself(claim: Claim) -> bool:
    return claim.question is None and all(clause.metric for clause in claim.clauses)
