"""What a number is made of: classes of an accuracy, terms of a loss, training beside evaluation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """A metric for one class; `count` is how many examples of it there are, if that is logged."""

    name: str
    value: float
    count: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTable:
    """A family of series that differ in the class alone, at their newest common step.

    `overall` is the metric over all classes; `constant` what answering with the most frequent class
    would score, where counts are known. Shares where `percent`, from 0 to 1. `run` is that before
    if the table is of it.
    """

    family: str
    step: int
    rows: tuple[ClassRow, ...]
    overall: float | None = None
    constant: float | None = None
    percent: bool = False
    run: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentRow:
    """A term of a loss as it counts in the total; shares from 0 to 1.

    `declared` is the share that its configured weight asks for; `before` its value before.
    """

    name: str
    value: float
    share: float
    declared: float | None = None
    before: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The terms of one loss at one step, and what of the total no named term explains."""

    loss: str
    step: int
    total: float
    rows: tuple[ComponentRow, ...]
    unnamed: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The same metric in training and in evaluation, at their newest steps."""

    metric: str
    train: float
    evaluation: float
    train_step: int
    step: int
