"""A criterion from the line a person wrote to the verdict with its evidence."""

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What sort of claim a line makes."""

    THRESHOLD = "threshold"
    RANGE = "range"
    COUNT_OR_PROGRESS = "count_or_progress"
    EVENT_PRESENCE = "event_presence"
    EVENT_ABSENCE = "event_absence"
    ARTIFACT_EXISTS = "artifact_exists"
    TREND = "trend"
    RELATIVE_TO_BASELINE = "relative_to_baseline"
    COMPARISON = "comparison_between_metrics"
    PER_CLASS = "per_class_quantifier"
    DURATION = "duration_or_time"
    COMMAND_PASSES = "command_passes"
    MANUAL = "manual"


class Subject(StrEnum):
    """What a clause looks at."""

    METRIC = "metric"  # a named series
    STEP = "step"  # the largest step of the run's attempts, in optimizer updates
    EVENT = "event"  # events by name
    LOG = "log"  # patterns in out.log and the cause of the exit
    CHECKPOINT = "checkpoint"  # valid manifests
    FILE = "file"  # a path or glob in the workspace or the run folder
    RESOURCES = "resources"  # that teardown left no process behind
    DURATION = "duration"  # wall time of the run, in seconds
    OUTPUT = "output"  # a text that the programs print into out.log
    EXIT = "exit"  # the exit code of the last command
    COMMAND = "command"  # a command line that a person has run by `exp ticket check --run-commands`


class Decidable(StrEnum):
    """Whether the machine may judge a line, and what is missing if not."""

    YES = "yes"
    DECLARE = "declare"
    ASK = "ask"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One test: `metric op value`. A percentage is a fraction with unit `%` (5% → 0.05).

    `op` is one of `> >= < <= == != ~= between exists absent contains increasing decreasing`;
    `aggregate` one of `latest final first best mean median min max count pNN all any`; `anchor`
    bounds it in training time: `by step 2000`, `at epoch 3`, `after step 5000`, `steps 500..1000`,
    `over last 10000 steps`. `quantifier` is `each`, `any` or `share`, over the family of series
    that `metric` names; for `share` the bound is the share of members. `hold` is the number of
    consecutive points that must meet the test. `other` is a second metric that stands in the
    place of the number, `change` how `metric` differs from `baseline` (`improves_by`,
    `reduced_by`, `exceeds_by`, `faster_by`, `times`). `total` is the denominator that `85/172`
    claims. `qualifier` says on what it is measured ("validation", "held-out test set"); it is
    part of the name that is looked up, never dropped.
    """

    subject: Subject
    metric: str | None
    op: str
    value: float | None = None
    value2: float | None = None
    unit: str | None = None
    aggregate: str | None = None
    anchor: str | None = None
    quantifier: str | None = None
    baseline: str | None = None
    hold: int | None = None
    tolerance: float | None = None
    qualifier: str | None = None
    other: str | None = None
    change: str | None = None
    total: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the machine understood of a line, always shown back to the person.

    `predicate` is the canonical text of the clauses; `why` says why a line is not decidable.
    `polarity` is `positive`, `inverted` for an alarm (a line under Warning signs that must not
    become true), or `conditional` for a rule (`if BLEU > 30: deploy`).
    """

    kind: Kind
    clauses: tuple[Clause, ...] = ()
    polarity: str = "positive"
    tier: str = "must"
    note: str | None = None
    decidable: Decidable = Decidable.MANUAL
    why: str | None = None
    predicate: str | None = None

    @property
    def is_goal(self) -> bool:
        """Whether it must become true; alarms and rules are never ticked and never gate."""
        return self.polarity == "positive"

    @property
    def is_alarm(self) -> bool:
        """Whether it must not become true."""
        return self.polarity == "inverted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One checkable line of a ticket, frozen with its reading when a run starts.

    `key` identifies the line over edits of its box and its notes: the text and its occurrence.
    `required` lines gate the ticket; the row of a table does so without a box (`tickable`).
    `bindings` holds, for each name in the predicate whose series
    was known when the run started, that series: a later name cannot take its place.
    """

    key: str
    text: str
    section: str
    required: bool
    reading: Reading
    bindings: dict[str, str] = field(default_factory=dict)
    tickable: bool = True


class State(StrEnum):
    """What the evidence says of a criterion."""

    PENDING = "pending"
    MET = "met"
    FAILED = "failed"
    NO_DATA = "no_data"
    MANUAL = "manual"
    WAIVED = "waived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The point, event, file, log line or exit that decided."""

    kind: str
    text: str
    source: str | None = None
    line: int | None = None
    step: int | None = None
    time: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """When, at the present trend, a pending bound would be crossed.

    `step` is None for "not at this trend"; `low` and `high` bound it with the confidence that
    `method` names, `high` is None where the interval is open.
    """

    method: str
    step: int | None = None
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The state of a criterion; `final` means no further record can change it.

    It holds as long as the run is not resumed from an earlier step, which takes points back.

    `margin` is the signed distance from the threshold in the threshold's unit, positive on the
    side that meets it. `companions` are the checks that ride along and did not hold, such as an
    evaluation that gives the same value every time; they warn and do not change the state.
    """

    state: State
    final: bool
    why: str
    value: float | None = None
    margin: float | None = None
    unit: str | None = None
    evidence: Evidence | None = None
    projection: Projection | None = None
    companions: tuple[str, ...] = ()
