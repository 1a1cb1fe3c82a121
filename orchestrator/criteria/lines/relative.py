"""Claims about a change against something else: improved by, of baseline, faster than."""

import re
from collections.abc import Sequence
from dataclasses import replace

from orchestrator.criteria.lines.asking import ask, declare
from orchestrator.criteria.lines.measured import Measured
from orchestrator.criteria.lines.vocabulary import (
    EXCEEDS,
    FASTER,
    FILLERS,
    IMPROVES,
    OVERHEADS,
    PERCENTAGES,
    REDUCES,
    RELATIVE,
    UNNAMED,
    direction_of,
    words_of,
)
from orchestrator.criteria.values import PERCENT
from orchestrator.domain.criterion import Clause, Kind

_RUN = re.compile(r"R-\d+|previous(?: run)?", re.IGNORECASE)
_NOUNS = ("ment", "ments", "gain", "gains", "uplift", "lift", "tion", "tions", "savings", "loss-of")
_AGAINST = words_of(
    "vs versus than over compared relative against from baseline baselines reference"
)
_RISES = words_of("higher increase increases increased boost boosts more")
_AGAINST_ONE = words_of("degradation worse drop drops dropped decrease loss-of less fewer")
_WRITE_IT = (
    "a bound on how far it may be from another run has two sides: write it as a predicate, such as "
    "`<!-- exp: {metric} <= 1.05 * R-000012:{metric} -->`"
)
_SIDE = FILLERS | words_of("by of to with relative compared than vs versus over against from on")
_CHANGE = IMPROVES | REDUCES | FASTER | EXCEEDS | RELATIVE | {"by"}


def change_in(words: Sequence[str], scope: Sequence[str]) -> str | None:
    """Which change a phrase speaks of: `improves_by`, `reduced_by`, `faster_by`; None without."""
    every = [word.casefold() for word in (*words, *scope)]
    tables = ((FASTER, "faster_by"), (EXCEEDS, "exceeds_by"), (OVERHEADS, "overhead"))
    for table, change in tables:
        if table & set(every):
            return change
    # "Accuracy improves to > 50%" is a level; a change says by how much, or stands as a noun.
    amount = "by" in every or bool(_AGAINST & set(every) - {"from"})
    for table, change in ((IMPROVES | {"better"}, "improves_by"), (REDUCES, "reduced_by")):
        nouns = {word for word in table if word.endswith(_NOUNS)}
        if nouns & set(every) or (amount and table & set(every)):
            return change
    return None


def relative_clause(claim: Measured, change: str) -> Clause:
    """The clause on a change against a run.

    Raises Question, with what is clear, unless the baseline is a run and the change has one
    meaning.
    """
    baseline, metric, kind = _baseline(claim), _metric(claim), Kind.RELATIVE_TO_BASELINE
    clause = replace(
        claim.clause(),
        metric=metric,
        baseline=baseline,
        change=None if change == "overhead" else change,
        qualifier=None,
        aggregate="latest",
    )
    if claim.test.doubt:
        raise ask(claim.test.doubt, kind, (clause,))
    if not _is_least(claim, change):
        raise ask(
            _WRITE_IT.format(metric=metric or "metric"), kind, (replace(clause, change=None),)
        )
    if not metric or set(metric.casefold().split()) <= UNNAMED:
        raise ask("which metric is compared? Name it", kind, (clause,))
    percent = claim.test.unit == PERCENT and change not in {"times", "overhead"}
    if percent and set(re.split(r"[\s_]+", metric.casefold())) & PERCENTAGES:
        why = (
            f"is a change of {metric!r} in points or in percent of it? Write pp, or a "
            "predicate such as `eval/acc >= R-000012:eval/acc + 0.02`"
        )
        raise ask(why, kind, (clause,))
    run = run_named(baseline or "")
    if run is not None and _has_direction(clause):
        return replace(clause, baseline=run)
    why = f"compared with which run? Name it, such as `{metric} … R-000012:{metric}`"
    raise declare(why, kind, (clause,))


def _is_least(claim: Measured, change: str) -> bool:
    """Whether the number is the least by which it must be better, lower or higher.

    "At most 5% higher" allows a loss instead of asking for a gain: what that leaves to the other
    side is not said by these words, and they are asked about.
    """
    words = {*claim.words, *claim.scope}
    if change == "times":
        return "of" in claim.scope and claim.test.unit in {PERCENT, "x"}
    if change == "overhead":
        return not any(run_named(word) for word in words)
    if claim.test.op == "between":
        return not any(run_named(word) for word in words)
    if claim.test.op not in {">", ">="} or words & _AGAINST_ONE:
        return False
    rises = bool(words & _RISES)
    slower = "slower" in words or "slowdown" in words
    by_percent = change == "faster_by" and claim.test.unit != "x"
    return not (slower or by_percent or (rises and direction_of(_metric(claim) or "") == "min"))


def run_named(phrase: str) -> str | None:
    """The run that a phrase names: `R-000012`, `previous` for "the previous run"; None if none."""
    if not _RUN.fullmatch(phrase):
        return None
    return "previous" if phrase.casefold().startswith("previous") else phrase.upper()


def _has_direction(clause: Clause) -> bool:
    """Whether it is known which way a change goes."""
    if clause.change in {"improves_by", "faster_by", "exceeds_by"}:
        return direction_of(clause.metric or "") is not None
    return clause.op != "between"


def _baseline(claim: Measured) -> str | None:
    """The run that is named, else what stands after vs, than, over, compared to."""
    words = [*claim.subject, *claim.qualifier]
    for position, word in enumerate(words):
        if match := _RUN.fullmatch(word):
            return match[0]
        if word.casefold() in _AGAINST:
            rest = [w for w in words[position:] if w.casefold() not in _SIDE]
            return " ".join(rest) or None
    return None


def _metric(claim: Measured) -> str | None:
    """The phrase without the words of change and without the baseline."""
    subject = {word.casefold() for word in claim.subject}
    chosen = claim.subject if subject - _CHANGE - _SIDE else claim.qualifier
    kept: list[str] = []
    for word in chosen:
        if word.casefold() in _AGAINST and kept:
            break
        if word.casefold() not in _CHANGE | _SIDE:
            kept.append(word)
    return " ".join(kept) or None
