"""A predicate as a tree: what a criterion says once words are gone.

Leaves look at one thing (a series, the logs, a file); `Both`, `Either` and `Not` join them. A
number in a comparison is a constant, one value of a series (`Reduced`), a value that another run
had measured, or arithmetic over these. Tests that look at each point of a series
(`Pointwise`) compare with constants only, so that every leaf needs bounded memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Hazard: TypeAlias = Literal["nan", "inf", "oom", "crash", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A series by its key or by the words for it; `ranks` is `0`, another rank, or `all`.

    `scope` is what follows `on`: part of the name that is looked up.
    """

    text: str
    scope: str | None = None
    ranks: str = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which points count: those after `low` up to and including `high`; None is open.

    `at` takes one value: the last at or before `high`. `last` counts `high` back from the newest
    point. `unit` is `step`, `point` (with `last` only), a unit of time since the run's first
    record (`s min h days`), or one that `steps_per` converts (`epoch`, `iteration`, `episode`).
    """

    kind: Literal["whole", "by", "at", "after", "between", "last"] = "whole"
    low: float | None = None
    high: float | None = None
    unit: str = "step"


WHOLE = Window()


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A constant; a percentage is a fraction with unit `%`."""

    value: float
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """One value from the points of a series.

    `how` is `latest final first best mean median min max count` or a percentile such as `p95`.
    """

    name: Name
    how: str = "latest"
    window: Window = WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What another run measured: `run` is an id such as `R-000012`, or `previous`.

    Its number is looked up when a run starts, and frozen with the criteria.
    """

    run: str
    series: str

    @property
    def key(self) -> str:
        """How it stands in a predicate, and in the baselines of run.json."""
        return f"{self.run}:{self.series}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """`left op right`, op one of `+ - * /`; a division by zero has no value."""

    op: Literal["+", "-", "*", "/"]
    left: "Scalar"
    right: "Scalar"


Scalar: TypeAlias = Number | Reduced | Baseline | Arithmetic


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`left op right`; `right2` is the upper end for `between`, `tolerance` relative for `~=`.

    op is one of `> >= < <= == != ~= between`. `total` is the denominator that must hold as well
    (`> 85 of 172`).
    """

    left: Scalar
    op: str
    right: Scalar
    right2: Scalar | None = None
    tolerance: float | None = None
    total: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointwise:
    """A test of single points: every one (`all`), some one (`any`), or `hold` in a row."""

    name: Name
    op: str
    value: Number
    value2: Number | None = None
    tolerance: float | None = None
    mode: Literal["all", "any", "hold"] = "all"
    hold: int | None = None
    window: Window = WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A test of each series whose name matches the glob of its `Name`.

    With `share`, the share of members that meet the test is compared with `bound` by `op`.
    """

    quantifier: Literal["each", "any", "share"]
    test: Comparison | Pointwise
    op: str = ">="
    bound: Number | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Whether a series rises or falls over a window: the sign of the least-squares slope."""

    name: Name
    direction: Literal["increasing", "decreasing"]
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """That a series has a finite point."""

    name: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """That a hazard left no trace; `series` is the glob of the series searched for nan and inf."""

    hazard: Hazard
    series: Name | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """That out.log holds a text, or with `absent` that it does not."""

    text: str
    absent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """That an event by this name exists, or with `absent` that none does.

    `train` and `eval` stand for the good end of that phase.
    """

    event: str
    absent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A count or measure of the run itself.

    `of` is `step` (largest step), `checkpoints` (valid ones), `duration` (seconds of wall time)
    or `exit` (exit code of the last command).
    """

    of: Literal["step", "checkpoints", "duration", "exit"]
    op: str
    value: Number
    value2: Number | None = None
    tolerance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileExists:
    """That a path or glob matches in the run folder or the workspace."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """That a command line that a person had run ended with 0, and printed `prints` if given."""

    command: str
    prints: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """That no process of the run is left at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """Every part holds."""

    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Either:
    """Some part holds."""

    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """The part does not hold."""

    part: "Predicate"


Leaf: TypeAlias = (
    Comparison
    | Pointwise
    | Family
    | Trend
    | Logged
    | Free
    | Output
    | Happened
    | Amount
    | FileExists
    | CommandResult
    | Released
)
Predicate: TypeAlias = Leaf | Both | Either | Not


def leaves(predicate: Predicate) -> Iterator[Leaf]:
    """Every leaf, from left to right."""
    if isinstance(predicate, Both | Either):
        for part in predicate.parts:
            yield from leaves(part)
    elif isinstance(predicate, Not):
        yield from leaves(predicate.part)
    else:
        yield predicate


def scalars(scalar: Scalar) -> Iterator[Number | Reduced | Baseline]:
    """Every operand of an arithmetic expression, from left to right."""
    if isinstance(scalar, Arithmetic):
        yield from scalars(scalar.left)
        yield from scalars(scalar.right)
    else:
        yield scalar
