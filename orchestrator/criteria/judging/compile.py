"""From a predicate to the parts that watch for it."""

from collections.abc import Callable
from dataclasses import replace

from orchestrator.criteria.judging.balance import Balance
from orchestrator.criteria.judging.binding import names_of, spec_of, target_of
from orchestrator.criteria.judging.bound import Bound
from orchestrator.criteria.judging.companions import Accompanied, LossCheck, SeriesCheck
from orchestrator.criteria.judging.family import FamilyTest
from orchestrator.criteria.judging.logic import Gate, conjunction, disjunction, negation
from orchestrator.criteria.judging.pointwise import PointTest
from orchestrator.criteria.judging.presence import CleanTest, LoggedTest, TrendTest
from orchestrator.criteria.judging.run_verdict import (
    AmountTest,
    CommandTest,
    EventTest,
    FileTest,
    HazardTest,
    OutputTest,
    ReleasedTest,
)
from orchestrator.criteria.judging.threshold import Threshold
from orchestrator.criteria.judging.total import TotalTest
from orchestrator.criteria.judging.watching import Asked, QuestionError, Setting, Watch
from orchestrator.criteria.predicates.expression import (
    WHOLE,
    Amount,
    Arithmetic,
    Both,
    CommandResult,
    Comparison,
    Either,
    Family,
    FileExists,
    Free,
    Happened,
    Leaf,
    Logged,
    Name,
    Not,
    Number,
    Output,
    Pointwise,
    Predicate,
    Reduced,
    Released,
    Scalar,
    Trend,
    scalars,
)
from orchestrator.criteria.predicates.parse import parse_predicate
from orchestrator.errors import InvalidFileError

_DEEPEST = 8  # derived metrics within derived metrics


def watch_of(predicate: Predicate, setting: Setting) -> Watch:
    """What watches for a predicate; a part with an open question is one that asks it."""
    match predicate:
        case Both():
            return Gate(tuple(watch_of(part, setting) for part in predicate.parts), conjunction)
        case Either():
            return Gate(tuple(watch_of(part, setting) for part in predicate.parts), disjunction)
        case Not():
            return Gate((watch_of(predicate.part, setting),), negation)
    try:
        return _leaf(predicate, setting)
    except QuestionError as question:
        return Asked(str(question))


def _leaf(leaf: Leaf, setting: Setting) -> Watch:
    """Raises QuestionError."""
    _refuse_globs(leaf)
    match leaf:
        case Comparison():
            return _comparison(leaf, setting)
        case Pointwise():
            _refuse_derived(leaf.name, setting)
            return Accompanied(PointTest(leaf, setting), [SeriesCheck(leaf.name, leaf.op, setting)])
        case Family():
            return FamilyTest(leaf, setting, watch_of)
        case Trend():
            _refuse_derived(leaf.name, setting)
            return TrendTest(leaf, setting)
        case Logged():
            _refuse_derived(leaf.name, setting)
            return LoggedTest(leaf, setting)
        case Free(hazard="nan" | "inf"):
            return CleanTest(leaf, setting)
        case Amount(of="step"):
            return Accompanied(AmountTest(leaf, setting), [LossCheck(setting)])
    make: Callable[..., Watch] = _OF_THE_RUN[type(leaf)]
    return make(leaf, setting)


_OF_THE_RUN: dict[type, Callable[..., Watch]] = {
    Amount: AmountTest,
    CommandResult: CommandTest,
    FileExists: FileTest,
    Free: HazardTest,
    Happened: EventTest,
    Output: OutputTest,
    Released: ReleasedTest,
}


def _comparison(leaf: Comparison, setting: Setting) -> Watch:
    left, right = _expanded(leaf.left, setting), _expanded(leaf.right, setting)
    right2 = None if leaf.right2 is None else _expanded(leaf.right2, setting)
    watch: Watch
    if (
        isinstance(left, Reduced)
        and isinstance(right, Number)
        and isinstance(right2, Number | None)
    ):
        other = None if right2 is None else right2.value
        bound = Bound.of(leaf.op, right.value, other, leaf.tolerance)
        plain = Threshold(left, bound, right.unit, setting)
        watch = plain if leaf.total is None else TotalTest(plain, leaf.total, setting)
    else:
        watch = Balance(replace(leaf, left=left, right=right, right2=right2), setting)
    names = dict.fromkeys(operand.name for operand in scalars(left) if isinstance(operand, Reduced))
    return Accompanied(watch, [SeriesCheck(name, leaf.op, setting) for name in names])


def _expanded(scalar: Scalar, setting: Setting, depth: int = 0) -> Scalar:
    """The scalar with every derived metric replaced by its expression. Raises QuestionError."""
    if isinstance(scalar, Arithmetic):
        left, right = (_expanded(side, setting, depth) for side in (scalar.left, scalar.right))
        return replace(scalar, left=left, right=right)
    if not isinstance(scalar, Reduced):
        return scalar
    text = _expression_of(scalar.name, setting)
    if text is None:
        return scalar
    name = scalar.name.text
    if scalar.how != "latest" or scalar.window != WHOLE:
        raise QuestionError(_own_series(name))
    if depth == _DEEPEST:
        raise QuestionError(f"{name} is derived from itself; see [metrics] in the spec")
    try:
        tree = parse_predicate(f"{text} > 0")
    except InvalidFileError as error:
        raise QuestionError(f'expr of [metrics."{name}"] cannot be read: {error}') from error
    if not isinstance(tree, Comparison):
        raise QuestionError(f'expr of [metrics."{name}"] is no arithmetic over series: {text}')
    return _expanded(tree.left, setting, depth + 1)


def _expression_of(name: Name, setting: Setting) -> str | None:
    declared = target_of(name, setting.metrics).declared
    spec = None if declared is None else spec_of(declared, setting.metrics)
    return None if spec is None else spec.expr


def _refuse_globs(leaf: Leaf) -> None:
    """A name for several series needs a word that says of how many the test must hold."""
    found = () if isinstance(leaf, Family | Free) else names_of(leaf)
    glob = next((name.text for name in found if "*" in name.text), None)
    if glob is not None:
        raise QuestionError(f"{glob} names several series: write each, any or share before it")


def _refuse_derived(name: Name, setting: Setting) -> None:
    if _expression_of(name, setting) is not None:
        raise QuestionError(_own_series(name.text))


def _own_series(name: str) -> str:
    return (
        f"{name} is derived from other series, so only its latest value is known: "
        "log it as a series of its own"
    )
