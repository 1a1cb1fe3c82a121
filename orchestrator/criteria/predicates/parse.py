"""The language of explicit predicates: text → tree. The grammar is predicate.lark."""

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from orchestrator.criteria.predicates.comparison import (
    read_bounds,
    read_ends,
    read_suffix_words,
    read_test,
)
from orchestrator.criteria.predicates.expression import (
    WHOLE,
    Amount,
    Both,
    CommandResult,
    Either,
    Family,
    FileExists,
    Free,
    Happened,
    Hazard,
    Logged,
    Name,
    Not,
    Number,
    Output,
    Predicate,
    Released,
    Trend,
    leaves,
)
from orchestrator.criteria.predicates.scalars import (
    TIMES,
    read_constant,
    read_name,
    read_ranks,
    read_series,
    unquoted,
)
from orchestrator.criteria.predicates.syntax import (
    PredicateError,
    predicate_tree,
    rules,
    where,
    words,
)
from orchestrator.criteria.predicates.write import predicate_text
from orchestrator.criteria.values import read_operator
from orchestrator.errors import InvalidFileError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lark import Token, Tree

    Node: TypeAlias = Tree[Token]

__all__ = ["parse_predicate", "predicate_text"]

Measure: TypeAlias = Literal["step", "checkpoints", "duration", "exit"]

_LONGEST = 1000  # characters
_MOST_TESTS = 50

_MEASURES: dict[str, Measure] = {
    "STEP": "step",
    "CHECKPOINTS": "checkpoints",
    "DURATION": "duration",
    "EXIT": "exit",
}
_HAZARDS: dict[str, Hazard] = {
    "NAN": "nan",
    "INF": "inf",
    "OOM": "oom",
    "CRASH": "crash",
    "ERROR": "error",
}


def parse_predicate(text: str) -> Predicate:
    """Read an explicit predicate such as `eval/acc > 0.5 best and no oom`.

    Raises InvalidFileError for what the language does not hold; the message says where.
    """
    try:
        return _within_limits(text)
    except (PredicateError, ValueError) as error:
        shown = text if len(text) <= 200 else f"{text[:200]}…"
        raise InvalidFileError(
            f"the predicate {shown!r} cannot be read: {error}",
            hint="see docs/criteria.md, section Explicit predicates",
        ) from error


def _within_limits(text: str) -> Predicate:
    if len(text) > _LONGEST:
        raise PredicateError(f"its {len(text):,} characters are more than {_LONGEST:,}")
    predicate = _predicate(predicate_tree(text))
    count = sum(1 for _ in leaves(predicate))
    if count > _MOST_TESTS:
        raise PredicateError(f"its {count} tests are more than {_MOST_TESTS}")
    length = len(predicate_text(predicate))
    if length > _LONGEST:
        raise PredicateError(f"written out in full it has {length:,} characters")
    return predicate


def _predicate(tree: "Node") -> Predicate:
    return _PREDICATES[str(tree.data)](tree)


def _group(tree: "Node") -> Predicate:
    return _predicate(rules(tree)[0])


def _both(tree: "Node") -> Predicate:
    return Both(parts=tuple(_predicate(part) for part in rules(tree)))


def _either(tree: "Node") -> Predicate:
    return Either(parts=tuple(_predicate(part) for part in rules(tree)))


def _negated(tree: "Node") -> Predicate:
    return Not(part=_group(tree))


# ---------------------------------------------------------------- tests of series
def _family(tree: "Node") -> Family:
    each = words(tree)[0].type == "EACH"
    return Family(quantifier="each" if each else "any", test=read_test(rules(tree)[0]))


def _share(tree: "Node") -> Family:
    test, number = rules(tree)
    op, bound = read_operator(words(tree)[0]), read_constant(number)
    return Family(quantifier="share", test=read_test(test), op=op, bound=bound)


def _trend(tree: "Node") -> Trend:
    series, direction, *rest = cast("list[Any]", tree.children)
    found = read_suffix_words(rest)
    window = found.get("window", WHOLE)
    if window.kind == "at":
        raise PredicateError(f"a trend needs more than the one point of 'at' ({where(rest[0])})")
    rising = direction.casefold() == "increasing"
    return Trend(
        name=read_series(series, found.get("ranks", "0")),
        direction="increasing" if rising else "decreasing",
        window=window,
    )


def _logged(tree: "Node") -> Logged:
    return Logged(name=read_series(rules(tree)[0], _ranks(tree)))


def _free(tree: "Node") -> Free:
    names = [Name(text=read_name(name), ranks=_ranks(tree)) for name in rules(tree)]
    return Free(hazard=_HAZARDS[words(tree)[0].type], series=names[0] if names else None)


def _ranks(tree: "Node") -> str:
    return next((read_ranks(word) for word in words(tree) if word.type == "RANKS"), "0")


# ---------------------------------------------------------------- the run itself
def _amount(tree: "Node") -> Amount:
    of = _MEASURES[words(tree)[0].type]
    if not rules(tree):
        return Amount(of=of, op=">=", value=Number(value=1.0))
    bounds = read_bounds(rules(tree)[0])
    numbers = [end for end in read_ends(bounds, "0") if isinstance(end, Number)]
    if len(numbers) < len(bounds.ends) or bounds.total is not None:
        raise PredicateError(f"at {where(bounds.ends[0])} only a number may stand")
    for number, end in zip(numbers, bounds.ends, strict=True):
        _check_measure(of, number, where(end))
    return Amount(
        of=of,
        op=bounds.op,
        value=numbers[0],
        value2=numbers[1] if len(numbers) > 1 else None,
        tolerance=bounds.tolerance,
    )


def _check_measure(of: Measure, number: Number, place: str) -> None:
    if of == "duration" and number.unit not in TIMES:
        raise PredicateError(f"a duration is compared with a time in s, min, h or days ({place})")
    if of != "duration" and number.unit is not None:
        raise PredicateError(f"{of} is compared with a plain number, without a unit ({place})")


def _output(tree: "Node") -> Output:
    kind, text = words(tree)
    return Output(text=_not_empty(text), absent=kind.type == "LACKS")


def _happened(tree: "Node") -> Happened:
    return Happened(event=read_name(rules(tree)[0]), absent=bool(words(tree)))


def _file(tree: "Node") -> FileExists:
    names = rules(tree)
    return FileExists(path=read_name(names[0]) if names else _not_empty(words(tree)[0]))


def _command(tree: "Node") -> CommandResult:
    command, *prints = (_not_empty(word) for word in words(tree))
    return CommandResult(command=command, prints=prints[0] if prints else None)


def _not_empty(token: "Token") -> str:
    text = unquoted(token)
    if not text:
        raise PredicateError(f"the text at column {token.column} is empty")
    return text


def _released(_: "Node") -> Released:
    return Released()


_PREDICATES: "dict[str, Callable[[Node], Predicate]]" = {
    "group": _group,
    "both": _both,
    "either": _either,
    "negated": _negated,
    "test": read_test,
    "family": _family,
    "share": _share,
    "trend": _trend,
    "logged": _logged,
    "free": _free,
    "amount": _amount,
    "output": _output,
    "happened": _happened,
    "file": _file,
    "command": _command,
    "released": _released,
}
