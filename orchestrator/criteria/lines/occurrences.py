"""Claims without a number: that something happened, did not happen, or lies there."""

import re
from collections.abc import Callable, Sequence

from orchestrator.criteria.lines.absence import absence, hazard_alone
from orchestrator.criteria.lines.artifacts import checkpoints, files, unnamed_artifact
from orchestrator.criteria.lines.asking import ask, declare, person
from orchestrator.criteria.lines.commands import command, output
from orchestrator.criteria.lines.moments import anchor_of
from orchestrator.criteria.lines.phrase import Phrase, phrase_of
from orchestrator.criteria.lines.pieces import Piece
from orchestrator.criteria.lines.progress import arrival_clause
from orchestrator.criteria.lines.vocabulary import (
    ARTICLES,
    AUTHENTIC,
    COMPLETES,
    CONDITIONS,
    EVALUATING,
    FALLING,
    FILLERS,
    LAUNCHED,
    MODALS,
    OPEN,
    PREPOSITIONS,
    RELEASED,
    REPORTS,
    RESOURCES,
    RISING,
    RUNS,
    SUCCESSFULLY,
    TRAINING,
    TRENDS,
    UNNAMED,
    VAGUE,
    is_metric_like,
    is_turned,
    words_of,
)
from orchestrator.domain.criterion import Clause, Kind, Subject

_NOT_REPORTED = (
    REPORTS
    | FILLERS
    | EVALUATING
    | TRAINING
    | RUNS
    | words_of(
        "metric metrics and , to by in the wandb tensorboard mlflow w&b at with console log logs "
        "file csv each every step epoch"
    )
)
_ENDS = TRAINING | EVALUATING | COMPLETES | SUCCESSFULLY | RUNS
_ARRIVES = RUNS | TRAINING | COMPLETES
_RELEASES = (
    RESOURCES
    | RELEASED
    | ARTICLES
    | MODALS
    | words_of(
        "all after at once when completion run runs training end ends evaluation teardown job of "
        "no nothing left running behind remains memory save costs cost automatically money and "
        "finish finishes it completes"
    )
)
_NO_EVENT = LAUNCHED | FILLERS
_NO_METRIC = VAGUE | PREPOSITIONS
_KINDS = {
    Subject.COMMAND: Kind.COMMAND_PASSES,
    Subject.OUTPUT: Kind.COMMAND_PASSES,
    Subject.FILE: Kind.ARTIFACT_EXISTS,
    Subject.CHECKPOINT: Kind.ARTIFACT_EXISTS,
    Subject.LOG: Kind.EVENT_ABSENCE,
}
_CHANGES = TRENDS | {"stable", "stabilizing"}


def occurrence_clauses(pieces: Sequence[Piece]) -> tuple[Clause, ...]:
    """Read a claim that holds no comparison.

    Raises Question where it is no claim about the run, or leaves something open.
    """
    phrase = phrase_of(pieces)
    if phrase.known & AUTHENTIC:
        raise person("a claim about where something came from: a file or a number proves nothing")
    if "until" in phrase.known:
        raise person("until when? A test states a bound")
    for reader in _READERS:
        if clauses := reader(phrase):
            _refuse_rest(phrase, reader, clauses)
            return clauses
    if vague := next((word for word in phrase.words if word in VAGUE), None):
        raise person(f"{vague!r} has no measure; name a metric and a bound")
    raise person("nothing measurable is named; a person decides")


def _refuse_rest(
    phrase: Phrase, reader: Callable[[Phrase], tuple[Clause, ...]], clauses: tuple[Clause, ...]
) -> None:
    """Ask about a time, a number, an `or` or a negation that no clause carries."""
    for piece in phrase.pieces:
        timed = piece.moment is not None and reader not in {_trend, _finished}
        odd = piece.kind in {"hold", "every", "amount", "much"} and reader is not output
        odd = odd or (piece.kind == "time" and reader is _reported)
        choice = piece.kind == "or" and reader is not absence
        turned = is_turned(piece.word) and reader not in {absence, output, _released}
        if timed or odd or choice or turned:
            why = f"does {piece.text!r} belong to the test? Write it as a predicate"
            raise ask(why, _KINDS.get(clauses[0].subject, Kind.EVENT_PRESENCE), clauses)


# ------------------------------------------------------------------ events
def _released(phrase: Phrase) -> tuple[Clause, ...]:
    """`Pod deleted after completion`, `all processes ended`, `nothing left running`."""
    words = phrase.plain
    nothing = words & {"left", "running", "remains"} and (
        "nothing" in words or ("no" in words and words & RESOURCES)
    )
    if not nothing and not (words & RELEASED and words & RESOURCES):
        return ()
    if words - _RELEASES:
        return ()
    return (Clause(subject=Subject.RESOURCES, metric="resources", op="released"),)


def _reported(phrase: Phrase) -> tuple[Clause, ...]:
    """`Evaluation runs and reports pass@1 metric`, `pass@1 and pass@2 are logged`."""
    kinds = {piece.kind for piece in phrase.pieces}
    if not phrase.known & REPORTS or "quoted" in kinds or phrase.known & OPEN:
        return ()
    names = [
        piece.text.strip("`")
        for piece in phrase.pieces
        if piece.kind in {"word", "code"} and piece.word.strip("`") not in _NOT_REPORTED
    ]
    if not names:
        return ()
    listed = bool(kinds & {"and", "comma"}) and all(map(is_metric_like, names))
    metrics = names if listed else [" ".join(names)]
    if not all(map(is_metric_like, metrics)):
        if any(piece.text == "+" for piece in phrase.pieces) or phrase.known & {
            "artifacts",
            "model",
        }:
            raise declare("which files or metrics are these? Name them", Kind.ARTIFACT_EXISTS)
        why = f"is {metrics[0]!r} a metric? Write its key in backticks with 'metric'"
        raise ask(why, Kind.EVENT_PRESENCE)
    scope = "evaluation" if phrase.words[0] in EVALUATING else None
    return tuple(
        Clause(subject=Subject.METRIC, metric=name, op="exists", qualifier=scope)
        for name in metrics
    )


def _finished(phrase: Phrase) -> tuple[Clause, ...]:
    """`Training completes`, `evaluation runs`, `Epoch 300: training complete`."""
    words = phrase.plain - FILLERS - {"and"}
    places = [piece for piece in phrase.pieces if piece.moment is not None]
    if places:
        moment = places[0].moment
        times = {word for piece in places for word in piece.text.casefold().split()}
        rest = words - times - _ARRIVES - SUCCESSFULLY - {"all", "of"}
        if moment is None or moment.low != moment.high or rest or not words & _ARRIVES:
            return ()
        return (arrival_clause(moment),)
    if not words & COMPLETES or not words <= _ENDS:
        return ()
    if words & EVALUATING:
        return (Clause(subject=Subject.EVENT, metric="eval", op="exists"),)
    if words & {"training", "train", "run", "job"}:
        return (Clause(subject=Subject.EVENT, metric="train", op="exists"),)
    return ()


def _event(phrase: Phrase) -> tuple[Clause, ...]:
    """`early stopping triggered`, `pod launched`: an event by its words."""
    if not phrase.known & LAUNCHED:
        return ()
    words = [word for word in phrase.words if re.fullmatch(r"[\w&-]+", word)]
    names = [word for word in words if word not in _NO_EVENT]
    if len(names) > 3 or set(names) & (OPEN | PREPOSITIONS):
        return ()
    name = "_".join(names).replace("-", "_")
    if name in {"early_stopping", "early_stop"}:
        return (Clause(subject=Subject.EVENT, metric="early_stopping", op="exists"),)
    if name and set(names) <= TRAINING | UNNAMED:
        return (Clause(subject=Subject.EVENT, metric="process", op="exists"),)
    clause = Clause(subject=Subject.EVENT, metric=name or None, op="exists")
    why = f"which event says that {' '.join(words)!r}? Write `event NAME exists`"
    raise declare(why, Kind.EVENT_PRESENCE, (clause,))


# ------------------------------------------------------------------ trends
def _trend(phrase: Phrase) -> tuple[Clause, ...]:
    """`Loss decreasing over the last 1000 steps`; without a window a declaration is missing."""
    start = next((i for i, word in enumerate(phrase.words) if word in _CHANGES), None)
    if start is None:
        return ()
    word, metric = phrase.words[start], _metric_before(phrase, start)
    moment = next((piece.moment for piece in phrase.pieces if piece.moment is not None), None)
    anchor = None if moment is None else anchor_of(moment)
    op = "decreasing" if word in FALLING else "increasing" if word in RISING else word
    clause = Clause(
        subject=Subject.METRIC, metric=metric or None, op=op, aggregate="trend", anchor=anchor
    )
    vague = phrase.known & VAGUE
    named = set(metric.casefold().split()) - TRAINING
    if vague and not (named and is_metric_like(metric)):
        raise person(f"{min(vague)!r} has no measure; name a metric and a bound")
    if not named:
        raise ask(f"{word!r} of which metric, over which window?", Kind.TREND)
    if phrase.known & CONDITIONS:
        raise ask(f"{word!r} with a negation: write what must hold", Kind.TREND, (clause,))
    straight = op in {"decreasing", "increasing"}
    if straight and not vague and anchor is not None and ("last" in anchor or ".." in anchor):
        return (clause,)
    if not straight and (vague or anchor is None):
        raise ask(f"what counts as {word!r}? Name a bound and a window", Kind.TREND, (clause,))
    why = (
        f"{word!r} is a trend: over which window, and how much? Write "
        "`loss decreasing over last 1000 steps`, or a bound"
    )
    raise declare(why, Kind.TREND, (clause,))


def _metric_before(phrase: Phrase, end: int) -> str:
    names = [
        piece.text.strip("`")
        for piece in phrase.pieces[:end]
        if piece.kind in {"word", "code"} and piece.word not in FILLERS
    ]
    return " ".join(name for name in names if name.casefold() not in _NO_METRIC)


# The first one that knows what to do with a claim reads it; each gives () for what is not its own.
_READERS: tuple[Callable[[Phrase], tuple[Clause, ...]], ...] = (
    output,
    command,
    _released,
    absence,
    files,
    checkpoints,
    hazard_alone,
    _trend,
    _reported,
    _finished,
    _event,
    unnamed_artifact,
)
