"""What is known of a run when it is judged or reported, beside its points and events."""

from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.domain.run import ExitRecord, MetricSpec, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint with a manifest; `path` is relative to the run folder where it lies inside it.

    `valid` says that every file of the manifest is there with its recorded size.
    """

    step: int
    path: str
    bytes: int
    files: int
    time: float
    valid: bool
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """State of the run itself, as the judge needs it.

    `ended` means that no further record can come. `find_files` resolves a path or glob against
    the workspace and the run folder and returns the matches, relative; it never leaves them.
    `max_step` is the largest step of any point of any metric of the surest origin, None without
    points; `series` names
    every metric logged so far, for suggestions where a criterion finds no series. `elapsed` is the
    time in seconds that a running attempt has taken so far; `earlier` are the exit records of the
    attempts before it.
    """

    run: str
    ended: bool
    outcome: Outcome | None
    exit: ExitRecord | None
    attempts: int
    planned_steps: int | None
    checkpoints: tuple[Checkpoint, ...] = ()
    metrics: dict[str, MetricSpec] = field(default_factory=dict)
    max_step: int | None = None
    series: tuple[str, ...] = ()
    elapsed: float | None = None
    earlier: tuple[ExitRecord, ...] = ()
    find_files: Callable[[str], tuple[str, ...]] = lambda _pattern: ()
