"""Two metrics compared with each other: `Validation loss < training loss`."""

import re
from collections.abc import Sequence

from orchestrator.criteria.lines.asking import ask, declare
from orchestrator.criteria.lines.phrase import name_of
from orchestrator.criteria.lines.pieces import Piece, operator_of
from orchestrator.criteria.lines.relative import run_named
from orchestrator.criteria.lines.vocabulary import (
    OPEN,
    direction_of,
    is_metric_like,
    is_turned,
    words_of,
)
from orchestrator.domain.criterion import Clause, Kind, Subject

_LARGER = words_of("exceed exceeds surpass surpasses above higher greater larger")
_SMALLER = words_of("below under lower less smaller")
_BETTER = words_of("beat beats outperforms outperform better")
_PLAIN = frozenset({"word", "code", "time", "op", "slash"})
_LEADING = words_of("best final latest last always stays consistently mean average")
_WORDS = _LARGER | _SMALLER | _BETTER | {"worse"}


def compares_in_words(pieces: Sequence[Piece]) -> bool:
    """Whether exactly one word says which of two things is larger or better."""
    return sum(piece.kind == "word" and piece.word in _WORDS for piece in pieces) == 1


def _refuse_more(pieces: Sequence[Piece]) -> None:
    """Nothing but words and one sign may stand in a comparison of two metrics."""
    more = [piece for piece in pieces if piece.kind not in _PLAIN]
    signs = sum(piece.kind == "op" for piece in pieces)
    if more or signs > 1:
        said = more[0].text if more else "two comparisons"
        why = f"what does {said!r} add to the comparison? Write it as a predicate"
        raise ask(why, Kind.COMPARISON)
    if turned := [piece.text for piece in pieces if is_turned(piece.word)]:
        raise ask(
            f"{turned[0]!r} turns the comparison around: write what must hold", Kind.COMPARISON
        )


def by_sign(pieces: Sequence[Piece]) -> tuple[Clause, ...]:
    """`Validation loss < training loss`. Raises Question where a side is no metric."""
    _refuse_more(pieces)
    place = next(i for i, piece in enumerate(pieces) if piece.kind == "op")
    left, right = name_of(pieces[:place]), name_of(pieces[place + 1 :])
    op = operator_of(pieces[place].text)
    if op is None:
        raise ask("no worse in which direction? Write it with <= or >=", _kind(left, right))
    return _two(left, op, right)


def by_word(pieces: Sequence[Piece]) -> tuple[Clause, ...]:
    """`advanced model PR-AUC should exceed baseline PR-AUC`, `eval/acc beats R-000012`."""
    _refuse_more(pieces)
    place = next(i for i, piece in enumerate(pieces) if piece.word in _WORDS)
    verb = pieces[place].word
    left, right = name_of(pieces[:place]), name_of(pieces[place + 1 :])
    op = _direction(verb, left)
    run = run_named(right)
    if run is not None and op is not None and is_metric_like(left):
        clause = Clause(
            subject=Subject.METRIC,
            metric=left,
            op=op,
            value=0.0,
            baseline=run,
            change="exceeds_by",
            aggregate="latest",
        )
        return (clause,)
    if op is None or not is_metric_like(left) or not is_metric_like(right):
        relative = verb in {"better", "worse"}
        kind = Kind.RELATIVE_TO_BASELINE if relative else Kind.COMPARISON
        raise ask("better in which metric, and than what? Name a metric and a run or a bound", kind)
    return _two(left, op, right)


def _direction(verb: str, metric: str) -> str | None:
    """The operator of a verb; "better" goes the way in which the metric improves, if known."""
    if verb in _LARGER:
        return ">"
    if verb in _SMALLER:
        return "<"
    direction = direction_of(metric)
    if direction is None:
        return None
    return ">" if (direction == "max") == (verb in _BETTER) else "<"


def _kind(left: str, right: str) -> Kind:
    words = f"{left} {right}".casefold().split()
    return Kind.RELATIVE_TO_BASELINE if "baseline" in words else Kind.COMPARISON


def _two(left: str, op: str, right: str) -> tuple[Clause, ...]:
    words = {word.casefold() for word in (*left.split(), *right.split())}
    clause = Clause(
        subject=Subject.METRIC,
        metric=left or None,
        op=op,
        other=right or None,
        aggregate="latest",
    )
    kind = _kind(left, right)
    if not left or not right:
        raise ask("one side of the comparison is missing", kind)
    if words & _LEADING or not re.search(r"[^\W\d_]", right):
        raise ask("which value of the two series counts? Write it as a predicate", kind, (clause,))
    named, other_named = is_metric_like(left), is_metric_like(right)
    if named and not other_named:
        why = f"which series holds {right!r}? Declare both under [metrics]"
        raise declare(why, kind, (clause,))
    if doubtful := words & OPEN:
        raise ask(f"{min(doubtful)!r} has no measure", kind, (clause,))
    if not named:
        raise ask("which metric of the two is compared?", kind, (clause,))
    if len(right.split()) > 4 or len(left.split()) > 6:
        raise declare("which two series are these? Declare them under [metrics]", kind, (clause,))
    return (clause,)
