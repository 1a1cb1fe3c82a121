"""Claims that something did not happen: no NaN, zero errors, training without a crash."""

import re
from collections.abc import Sequence
from dataclasses import replace

from orchestrator.criteria.lines.asking import ask, declare
from orchestrator.criteria.lines.phrase import Phrase
from orchestrator.criteria.lines.vocabulary import (
    ARTICLES,
    COMPLETES,
    EVALUATING,
    FILLERS,
    HAZARD_WORDS,
    HAZARDS,
    INCIDENTS,
    LEADS,
    MODALS,
    RUNS,
    SEARCHED,
    STEADY,
    TRAINING,
    TRENDS,
    UNNAMED,
    words_of,
)
from orchestrator.domain.criterion import Clause, Kind, Subject

_NO = words_of("no zero without 0 never free not none sin ohne sans sem senza без 无 kein keine")
_FREE = re.compile(r"\b(error|nan|crash|oom)-free\b", re.IGNORECASE)
_ONE_ERROR = re.compile(r"\b(?:nan|inf|oom|memory)\S* errors?\b", re.IGNORECASE)
_IN_SERIES = frozenset({"nan", "inf"})  # the other hazards leave their trace in logs
_RUNNING = TRAINING | EVALUATING | RUNS | COMPLETES | UNNAMED | SEARCHED
_SURROUNDING = HAZARD_WORDS | SEARCHED
# What may stand before: "loss never NaN", "all metrics stay finite".
_SEEN = FILLERS | STEADY | words_of("loss losses gradient gradients grads metrics values all every")
_OF_SERIES = words_of("metric metrics loss losses gradient gradients")
_BECOMING = words_of("becomes goes turns happens")


def hazards_in(text: str) -> list[str]:
    """The hazards that a text names; "OOM errors" are one thing."""
    found = [name for name, pattern in HAZARDS.items() if pattern.search(text)]
    if "error" in found and _ONE_ERROR.search(text):
        found.remove("error")
    return found


def absence(phrase: Phrase) -> tuple[Clause, ...]:
    """`No NaN in losses`, `zero errors`, `training runs without crash`."""
    if free := _FREE.search(phrase.text):
        return (_absent(free[1].casefold()),)
    if "finite" in phrase.known:
        return _finite(phrase)
    start = next((i for i, word in enumerate(phrase.words) if word in _NO), None)
    if start is None:
        return ()
    head, tail = phrase.words[:start], phrase.words[start + 1 :]
    found = hazards_in(" ".join(tail))
    if not found:
        return _without_name(head, tail)
    kind = Kind.EVENT_ABSENCE
    clauses = tuple(_absent(name, series=_series(phrase.known)) for name in found)
    if any(piece.moment is not None for piece in phrase.pieces):
        raise ask(
            "only the whole run is searched for it: is the time part of the test?", kind, clauses
        )
    strange = [word for word in tail if word.isalnum() and word not in _SURROUNDING]
    if set(found) - _IN_SERIES:
        strange += [word for word in tail if word in _OF_SERIES]  # "no OOM in any metric"
    if phrase.words[start] in {"not", "never"}:
        strange += [word for word in head if word not in _SEEN]
    if strange:
        why = f"where to look for it is unclear: {' '.join(strange)!r}"
        raise ask(why, kind, clauses)
    return (*_what_ran([word for word in head if word not in _SEEN]), *clauses)


def _series(words: frozenset[str]) -> str | None:
    """The glob of the series that are searched for NaN and Inf; None for all of them."""
    if words & {"loss", "losses"}:
        return "*loss*"
    return "*grad*" if words & {"gradient", "gradients", "grads"} else None


def _finite(phrase: Phrase) -> tuple[Clause, ...]:
    """`Loss stays finite`."""
    if phrase.plain - _SEEN - _SURROUNDING - {"finite", "are"} or phrase.known & {"not", "never"}:
        return ()
    return tuple(_absent(name, series=_series(phrase.known)) for name in ("nan", "inf"))


def hazard_alone(phrase: Phrase) -> tuple[Clause, ...]:
    """`OOM errors` or `Loss is NaN`: a hazard that is named, without saying that it must not be."""
    found = hazards_in(phrase.text)
    if not found or phrase.plain - _SURROUNDING - MODALS - ARTICLES - _BECOMING:
        return ()
    why = (
        "is this a condition or an alarm? Write `no …`, or put it under a heading such as "
        "Warning signs"
    )
    series = _series(phrase.known)
    there = tuple(replace(_absent(name, series=series), op="exists") for name in found)
    raise ask(why, Kind.EVENT_ABSENCE, there)


def _absent(hazard: str, *, series: str | None = None) -> Clause:
    """`no nan` over all series or those of a glob; `no oom`, `no crash`, `no error` over logs."""
    if hazard not in _IN_SERIES:
        return Clause(subject=Subject.LOG, metric=hazard, op="absent")
    return Clause(subject=Subject.METRIC, metric=series, op="absent", unit=hazard, aggregate="all")


def is_alarm(clause: Clause) -> bool:
    """Whether a clause says that a hazard is there; below Warning signs nothing is open in it."""
    log = clause.subject is Subject.LOG
    return clause.op == "exists" and (log or clause.unit in _IN_SERIES)


def _what_ran(head: Sequence[str]) -> tuple[Clause, ...]:
    """What stands before `without errors`: that the training ran, or another program's work."""
    words = {word for word in head if word not in FILLERS and word.isalnum()}
    if words & COMPLETES and words & (TRAINING | EVALUATING):
        phase = "eval" if words & EVALUATING and not words & {"training", "train"} else "train"
        return (Clause(subject=Subject.EVENT, metric=phase, op="exists"),)
    if {word for word in words if not word.isdigit()} <= _RUNNING:
        return ()
    why = f"{' '.join(head)!r} is the work of which command? Write it as `command`"
    clause = Clause(subject=Subject.EXIT, metric="exit_code", op="==", value=0.0)
    raise declare(why, Kind.COMMAND_PASSES, (clause,))


def _without_name(head: Sequence[str], tail: Sequence[str]) -> tuple[Clause, ...]:
    """`No overfitting`, `no divergence`, `no warnings`: what is absent has no known trace."""
    if not tail or not set(head) <= TRAINING | RUNS | LEADS | MODALS | UNNAMED:
        return ()
    named = " ".join(tail)
    trends = [word for word in tail if word in TRENDS]
    if "improvement" in trends:
        clause = Clause(subject=Subject.METRIC, metric=None, op="no improvement", aggregate="trend")
        why = "improvement of which metric, by how much, and over which window?"
        raise declare(why, Kind.TREND, (clause,))
    if trends:
        raise ask(f"what counts as {trends[0]!r}? Name a metric, a bound and a window", Kind.TREND)
    clause = Clause(subject=Subject.EVENT, metric=named, op="absent")
    if set(tail) & INCIDENTS:
        raise declare(f"which event or log line says {named!r}?", Kind.EVENT_ABSENCE, (clause,))
    why = f"what shows {named!r}? Name an event, a log line or a metric"
    raise ask(why, Kind.EVENT_ABSENCE, (clause,))
