"""Claims about a change against something else: improved by, of baseline, faster than."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.criteria.asking import Question, ask, declare
from orchestrator.criteria.values import PERCENT
from orchestrator.criteria.vocabulary import (
    ARTICLES,
    EXCEEDS,
    FASTER,
    IMPROVES,
    LEADS,
    MODALS,
    OVERHEADS,
    PERCENTAGES,
    REDUCES,
    RELATIVE,
    UNNAMED,
    direction_of,
)
from orchestrator.domain.criterion import Clause, Kind

if TYPE_CHECKING:
    from orchestrator.criteria.measured import Measured

_RUN = re.compile(r"R-\d+|previous(?: run)?", re.IGNORECASE)
_NOUNS = ("ment", "ments", "gain", "gains", "uplift", "lift", "tion", "tions", "savings", "loss-of")
_AGAINST = frozenset(
    ["vs", "versus", "than", "over", "compared", "relative", "against", "from", "baseline", "baselines", "reference"]
)
_SIDE = ARTICLES | MODALS | LEADS | frozenset(["by", "of", "to", "with", "relative", "compared", "than", "vs", "versus", "over", "against", "from", "on"])  # fmt: skip


def change_in(words: Sequence[str], scope: Sequence[str]) -> str | None:
    """Which change a phrase speaks of: `improves_by`, `reduced_by`, `faster_by`; None without."""
    every = [word.casefold() for word in (*words, *scope)]
    tables = ((FASTER, "faster_by"), (EXCEEDS, "exceeds_by"), (OVERHEADS, "overhead"))
    for table, change in tables:
        if table & set(every):
            return change
    # "Accuracy improves to > 50%" is a level; a change says by how much, or stands as a noun.
    amount = "by" in every or bool(_AGAINST & set(every) - {"from"})
    for table, change in ((IMPROVES, "improves_by"), (REDUCES, "reduced_by")):
        nouns = {word for word in table if word.endswith(_NOUNS)}
        if nouns & set(every) or (amount and table & set(every)):
            return change
    return None


def relative_clause(claim: "Measured", change: str) -> Question | Clause:
    """The clause where the baseline is a run, else what must be declared, with what is clear."""
    words = [*claim.subject, *claim.qualifier]
    baseline = _baseline(words)
    metric = _metric(claim)
    clause = claim.clause(
        metric=metric, baseline=baseline, change=None if change == "overhead" else change,
        qualifier=None, aggregate="latest",
    )  # fmt: skip
    kind = Kind.RELATIVE_TO_BASELINE
    if claim.test.doubt:
        return ask(claim.test.doubt, kind, (clause,))
    if not metric or set(metric.casefold().split()) <= UNNAMED:
        return ask("which metric is compared? Name it", kind, (clause,))
    percent = claim.test.unit == PERCENT and change != "times"
    itself = set(re.split(r"[\s_]+", metric.casefold())) & PERCENTAGES
    if percent and itself and change != "overhead":
        return ask(f"is a change of {metric!r} in points or in percent of it? Write pp, or a "
                   "predicate such as `eval/acc >= R-000012:eval/acc + 0.02`", kind, (clause,))  # fmt: skip
    if baseline is not None and _RUN.fullmatch(baseline) and settled(clause):
        return replace(clause, baseline=_run_id(baseline))
    return declare(
        f"compared with which run? Name it, such as `{metric} … R-000012:{metric}`", kind,
        (clause,),
    )  # fmt: skip


def _run_id(text: str) -> str:
    return "previous" if text.casefold().startswith("previous") else text.upper()


def settled(clause: Clause) -> bool:
    """Whether the direction of a change is known."""
    if clause.change in {"improves_by", "faster_by", "exceeds_by"}:
        return direction_of(clause.metric or "") is not None
    return clause.op != "between"


def _baseline(words: Sequence[str]) -> str | None:
    """What stands after vs, than, over, compared to; `baseline` where nothing does."""
    for position, word in enumerate(words):
        if match := _RUN.fullmatch(word):
            return match[0]
        if word.casefold() in _AGAINST:
            rest = [w for w in words[position:] if w.casefold() not in _SIDE]
            return " ".join(rest) or None
    return None


def _metric(claim: "Measured") -> str | None:
    """The phrase without the words of change and without the baseline."""
    dropped = IMPROVES | REDUCES | FASTER | EXCEEDS | RELATIVE | frozenset({"by"})
    chosen = claim.subject
    if not {w.casefold() for w in chosen} - dropped - _SIDE:
        chosen = claim.qualifier
    kept: list[str] = []
    for word in chosen:
        if word.casefold() in _AGAINST and kept:
            break
        if word.casefold() not in dropped | _SIDE:
            kept.append(word)
    return " ".join(kept) or None


def relative_words(phrase: str) -> str | None:
    """The run that a phrase names: `R-000012`, `previous` for "the previous run"; None if none."""
    found = _RUN.fullmatch(phrase.strip())
    return _run_id(found[0]) if found else None
