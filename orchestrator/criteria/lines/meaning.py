"""What the words of a claim with a number mean together: one clause, or the question they leave."""

import re
from collections.abc import Callable
from dataclasses import replace

from orchestrator.criteria.lines.asking import ask, declare
from orchestrator.criteria.lines.measured import RATE, Measured
from orchestrator.criteria.lines.progress import progress_clause
from orchestrator.criteria.lines.relative import change_in, relative_clause, run_named
from orchestrator.criteria.lines.vocabulary import (
    ARTICLES,
    AUTHENTIC,
    AVERAGED,
    COMPLETES,
    COUNTERS,
    DERIVED,
    MEMORY,
    OTHER_TRENDS,
    RELATIVE,
    RUNS,
    SHARED,
    STATISTICS,
    TIMED,
    TRAINING,
    TRENDS,
    UNNAMED,
    UNSCOPED,
    VAGUE,
    direction_of,
    is_metric_like,
    is_turned,
    words_of,
)
from orchestrator.criteria.values import CLOCK, FRACTIONS, PERCENT, TIME_UNITS
from orchestrator.domain.criterion import Clause, Kind, Subject

# A bound on the largest point is one on every point: "max KL < 0.1".
_ALL_OF = {"max": frozenset({"<", "<="}), "min": frozenset({">", ">="})}
_SIGN = re.compile(r"[<>=≤≥≠≦≧!]+")
_PERCENTILE = re.compile(r"[pP]\d\d(\.\d)?")
_COUNTED = {form: unit for unit in ("step", *COUNTERS) for form in (unit, f"{unit}s")} | {
    "iters": "iteration",
    "updates": "step",
}
_AROUND_PROGRESS = TRAINING | RUNS | UNNAMED | ARTICLES | {"of", "for", "successfully"}
_NOT_OF_THE_RUN = words_of("inference latency step gpu")
# Words that a number beside them does not explain.
_UNEXPLAINED = words_of("slightly slight significantly much nearly almost comparable similar")
_MEANS = words_of("mean average avg")
_NAMELESS = UNNAMED | ARTICLES


def meaning_of(claim: Measured) -> tuple[Clause, ...]:
    """The clause that a claim makes. Raises Question where its words leave something open."""
    _settle(claim)
    kind = _kind(claim)
    if change := change_in(claim.words, claim.qualifier):
        return (relative_clause(claim, change),)
    if claim.test.doubt:
        raise ask(claim.test.doubt, kind, (claim.clause(),))
    words = [*claim.words, *claim.scope]
    _refuse_turned(words, kind)
    _drop_vague(claim, words, kind)
    if any(word in RELATIVE or run_named(word) for word in words):
        return (relative_clause(claim, "times"),)
    _declare_share(claim)
    if clause := _progress(claim):
        return (clause,)
    if clause := _duration(claim):
        return (*_completion(claim), clause)
    for check in _CHECKS:
        check(claim, kind)
    return (claim.clause(),)


def _settle(claim: Measured) -> None:
    """Statistics at the head of the name become aggregates; what counts becomes a unit."""
    subject = claim.subject
    percentile = next((word for word in subject[1:] if _PERCENTILE.fullmatch(word)), None)
    first = percentile or (subject[0] if len(subject) > 1 else "")
    if head := STATISTICS.get(first.casefold()):
        if claim.aggregate not in {None, head}:
            raise ask(f"{first!r} and {claim.aggregate!r} contradict each other")
        claim.aggregate = head
        claim.subject = [word for word in subject if word != first]
    if claim.anchor is not None:
        _settle_place(claim, claim.anchor)
    # "≤ 10 diffusion steps": what is counted is part of the name that is looked up.
    claim.counted = claim.counted or bool(claim.loose and _counted(claim.loose[-1]))
    claim.qualifier += claim.loose
    claim.loose = []
    if claim.test.op in _ALL_OF.get(claim.aggregate or "", ()):
        claim.aggregate = "all"


def _settle_place(claim: Measured, anchor: str) -> None:
    """Which value counts at a place or in a window of training time."""
    if claim.aggregate == "best" and anchor.startswith("by ") and _is_upward(claim):
        claim.aggregate = None  # the best up to then meets it if any point does
    if claim.aggregate == "latest":
        claim.aggregate = None
    if anchor.startswith("over last"):
        if len(claim.subject) > 1 and claim.words[0] in _MEANS:
            claim.aggregate, claim.subject = "mean", claim.subject[1:]
        if claim.aggregate is None and claim.hold is None:
            why = f"which value counts {anchor}: the mean, or every point?"
            raise ask(why, _kind(claim), (replace(claim.clause(), aggregate="all"),))
    elif claim.aggregate not in {None, "all"}:
        raise ask(f"{claim.aggregate!r} together with {anchor!r}: over which points?")


def _is_upward(claim: Measured) -> bool:
    """Whether the bound lies on the side to which the metric improves."""
    signs = {"max": {">", ">="}, "min": {"<", "<="}}
    return claim.test.op in signs.get(direction_of(claim.metric) or "", ())


def _kind(claim: Measured) -> Kind:
    if claim.hold:
        return Kind.TREND
    if claim.quantifier:
        return Kind.PER_CLASS
    if "/" in claim.subject or any(word in DERIVED for word in claim.words):
        return Kind.COMPARISON
    return Kind.RANGE if claim.test.op == "between" else Kind.THRESHOLD


# ------------------------------------------------------------------ words that turn the claim
def _refuse_turned(words: list[str], kind: Kind) -> None:
    for word in words:
        if is_turned(word) or word == "without":
            raise ask(f"{word!r} turns the test around or makes it conditional", kind)
        if word in AUTHENTIC and "from" in words:
            raise ask(f"{word!r} claims where something came from; a number proves nothing", kind)


def _drop_vague(claim: Measured, words: list[str], kind: Kind) -> None:
    """An adjective that the number explains may go; one that the number does not, may not."""
    vague = [word for word in words if word in VAGUE]
    if not vague:
        return
    first, subject = vague[0], claim.words
    inside = set(vague) <= set(subject)
    kept = [word for word in claim.subject if word.casefold() not in VAGUE]
    if inside and kept and first in {subject[0], subject[-1]} and first not in _UNEXPLAINED:
        claim.subject = kept
    elif not inside or not {"in", "range"} <= set(words):
        raise ask(f"{first!r} has no measure", kind)


# ------------------------------------------------------------------ claims that are no threshold
def _declare_share(claim: Measured) -> None:
    """`≥ 80% of seeds`: the number is a share of things, which must be a family of series."""
    scope = claim.scope
    things = scope[scope.index("of") + 1 :] if "of" in scope else []
    if claim.test.unit != PERCENT or not set(things) & SHARED or things[0][:1].isdigit():
        return
    clause = claim.clause()
    metric = claim.metric or f"share {clause.qualifier}"
    shared = replace(clause, metric=metric, qualifier=None, quantifier="share")
    why = f"a share of {' '.join(things)}: log it as a metric, or name the family: "
    raise declare(why + "share(GLOB > bound)", Kind.PER_CLASS, (shared,))


def _progress(claim: Measured) -> Clause | None:
    """`training runs > 500 steps`, `step ≥ 500`, `at least 1,500 steps completed`."""
    words, test = claim.words, claim.test
    said = next((word for word in (*claim.qualifier, *words) if _counted(word)), None)
    if said is None or test.unit is not None or test.total is not None:
        return None
    named = len(words) == 1 and _counted(words[0]) is not None and not claim.qualifier
    rest = {*words, *claim.scope} - {said}
    around = rest <= _AROUND_PROGRESS and not (words == ["steps"] and rest)
    return progress_clause(_counted(said) or "step", test) if named or around else None


def _counted(word: str) -> str | None:
    """The unit of progress that a word or the last of several names."""
    return _COUNTED.get(word.casefold().split(" ")[-1])


def _duration(claim: Measured) -> Clause | None:
    """`Total time < 2 h`, `completes in under 30 min`: the wall time of the run."""
    test, words = claim.test, set(claim.words)
    if test.unit not in CLOCK or claim.anchor or "per" in claim.scope:
        return None
    if not words or not words <= TIMED or words & _NOT_OF_THE_RUN:
        return None
    if {"eval", "evaluation", "seeds", "runs", "without"} & set(claim.scope):
        return None
    return Clause(
        subject=Subject.DURATION,
        metric="duration",
        op=test.op,
        value=test.value,
        value2=test.value2,
        unit=test.unit,
        tolerance=test.tolerance,
    )


def _completion(claim: Measured) -> tuple[Clause, ...]:
    """`Training finishes within 2 hours`: that it finishes is claimed too."""
    if not set(claim.words) & COMPLETES:
        return ()
    return (Clause(subject=Subject.EVENT, metric="train", op="exists"),)


# ------------------------------------------------------------------ thresholds that stay open
def _check_named(claim: Measured, kind: Kind) -> None:
    rate = claim.test.unit is not None and "/" in claim.test.unit
    unnamed = set(claim.words) <= _NAMELESS or not re.search(r"[^\W\d_]", claim.metric)
    if unnamed and not rate:
        why = "no metric is named; name one, such as `eval/loss < 2`"
        raise ask(why, kind, (claim.clause(),))


def _check_name(claim: Measured, kind: Kind) -> None:
    if len(claim.words) <= 2 or claim.counted or claim.test.unit in TIME_UNITS:
        return
    if not is_metric_like(claim.metric) and not RATE.search(claim.metric):
        why = f"is {claim.metric!r} a metric? Write its key in backticks"
        raise ask(why, kind, (claim.clause(),))


def _check_measure(claim: Measured, kind: Kind) -> None:
    """Memory in percent, a latency without a statistic."""
    if len(claim.subject) == 1 and re.search(r"[/_@]", claim.subject[0]):
        return  # a key says exactly what is logged
    words, scope, unit = claim.words, claim.scope, claim.test.unit
    if MEMORY & set(words) and unit == PERCENT and "gpu" not in {*words, *scope}:
        why = "memory of the GPU or of the host, peak or current? Name the logged key"
        raise ask(why, kind, (claim.clause(),))
    timed = unit in TIME_UNITS and words and words[-1] == "latency"
    if timed and claim.aggregate is None and not AVERAGED & set(words) and "per" not in scope:
        why = "is it the mean, the median or a percentile of that time? Name the logged key"
        raise ask(why, kind, (claim.clause(),))


def _check_trend(claim: Measured, kind: Kind) -> None:
    trend = next((word for word in claim.words if word in TRENDS), None)
    if trend is None:
        return
    named = " ".join(word for word in claim.subject if word.casefold() not in TRENDS)
    clause = replace(claim.clause(), metric=named or None)
    if claim.words[-1] in {"drop", "fall", "rise"}:
        raise ask(f"a {claim.words[-1]} from what, in points or in percent?", kind, (clause,))
    kind = Kind.TREND if trend in OTHER_TRENDS else kind
    raise declare(f"{trend!r} is a trend: over which window?", kind, (clause,))


def _check_average(claim: Measured, kind: Kind) -> None:
    if AVERAGED & set(claim.scope):
        why = "an average over what? Log it, or write mean(series, window)"
        raise declare(why, kind, (claim.clause(),))


def _check_scope(claim: Measured, kind: Kind) -> None:
    """What narrows the test must name something: no time, number, unit or condition."""
    for word in (*claim.scope, *(word for word in claim.words if word[:1] == "@")):
        odd = word in UNSCOPED or "=" in word or word[:1] == "@"
        if odd and not (word in _COUNTED and claim.counted):
            why = f"does {word!r} say when, how much or on what? Write the test as a predicate"
            raise ask(why, kind, (claim.clause(),))


def _check_family(claim: Measured, _: Kind) -> None:
    if claim.quantifier is not None and "*" not in claim.metric:
        why = "which series belong to the family? Name it by a glob, or declare it under [metrics]"
        raise declare(why, Kind.PER_CLASS, (claim.clause(),))


def _check_quotient(claim: Measured, kind: Kind) -> None:
    """`eval/loss / train/loss < 1.5`: both sides must be names of metrics."""
    if "/" not in claim.subject:
        return
    sides = " ".join(claim.subject).split(" / ")
    if len(sides) != 2 or not all(map(is_metric_like, sides)) or claim.aggregate == "all":
        raise ask(
            "which two series are divided? Write their keys in backticks", kind, (claim.clause(),)
        )


def _check_derived(claim: Measured, kind: Kind) -> None:
    derived = next((word for word in claim.words if word in DERIVED), None)
    if derived is None:
        return
    if claim.test.unit in FRACTIONS:
        why = f"{derived!r} in points or in percent, and of what?"
        raise ask(why, kind, (claim.clause(),))
    why = f'{derived!r} is derived: declare [metrics."{claim.metric}"] expr = "…"'
    raise declare(why, kind, (claim.clause(),))


def _check_operator(claim: Measured, kind: Kind) -> None:
    """`accuracy > 0.8 < eval/accuracy`: a sign among the words compares with something else."""
    if any(_SIGN.fullmatch(word) for word in (*claim.subject, *claim.qualifier)):
        raise ask("two comparisons in one test: which one counts?", kind, (claim.clause(),))


# In this order: the first that finds something open asks about it.
_CHECKS: tuple[Callable[[Measured, Kind], None], ...] = (
    _check_named,
    _check_name,
    _check_measure,
    _check_trend,
    _check_average,
    _check_scope,
    _check_family,
    _check_quotient,
    _check_derived,
    _check_operator,
)
