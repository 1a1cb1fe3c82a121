"""When silence means a hang: measured against the longest gap that this phase has shown before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from orchestrator.clock import format_duration
from orchestrator.domain.point import Event

FACTOR = 5
STARTUP = "start-up"
TRAIN = "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """The pace of a run up to its last record.

    `phase` is what it was doing then: `start-up` from the begin of a program to its first point,
    then the program's phase, or the one that it marked inside. `longest` is the longest time in
    seconds between two records of such a phase so far, None before there were two. `records`
    counts them all: it tells one hang from the next.
    """

    phase: str
    longest: float | None
    records: int


@dataclass(slots=True)
class _Fold:
    program: str = TRAIN
    started: bool = False
    inner: list[tuple[str, str]] = field(default_factory=list)  # source and phase, open ones
    last: float | None = None
    gaps: dict[str, float] = field(default_factory=dict)

    @property
    def phase(self) -> str:
        if self.inner:
            return self.inner[-1][1]
        return self.program if self.started else STARTUP

    def beat(self, time: float) -> None:
        if self.last is not None:
            gap = max(0.0, time - self.last)
            self.gaps[self.phase] = max(self.gaps.get(self.phase, 0.0), gap)
        self.last = time

    def point(self, time: float) -> None:
        self.beat(time)
        self.started = True

    def event(self, event: Event) -> None:
        begins, name = event.data.get("state") == "begin", str(event.data.get("phase"))
        if event.name == "process" and begins:
            # The pause before a program is nobody's; what an earlier one left open is over.
            self.program, self.started, self.last = name, False, event.at.time
            self.inner.clear()
            return
        self.beat(event.at.time)
        if event.name != "phase":
            return
        entry = (event.at.source, name)
        if begins:
            self.inner.append(entry)
        elif entry in self.inner:
            self.inner.reverse()
            self.inner.remove(entry)
            self.inner.reverse()


def pulse_of(points: Sequence[float], events: Iterable[Event]) -> Pulse:
    """The pace of a run by the times of its points (of one series is enough) and its events."""
    beats: list[tuple[float, Event | None]] = [(time, None) for time in points]
    beats += [(event.at.time, event) for event in events]
    fold = _Fold()
    for time, event in sorted(beats, key=lambda beat: beat[0]):
        if event is None:
            fold.point(time)
        else:
            fold.event(event)
    return Pulse(phase=fold.phase, longest=fold.gaps.get(fold.phase), records=len(beats))


def limit_of(pulse: Pulse, floor: float) -> float:
    """Seconds of silence that are a hang, at least `floor`; five floors where nothing is known."""
    return FACTOR * floor if pulse.longest is None else max(floor, FACTOR * pulse.longest)


def silence_of(pulse: Pulse, *, quiet: float, idle: float) -> float:
    """Seconds without progress: in training without a record, elsewhere also without a log line."""
    trains = pulse.phase == TRAIN and pulse.longest is not None
    return quiet if trains else min(quiet, idle)


def claim(pulse: Pulse, silence: float) -> str:
    """`no progress for 5 min 10 s, the longest pause before was 12 s`."""
    said = f"no progress for {format_duration(silence)}"
    if pulse.longest is None:
        return f"{said}, and no earlier pause of {pulse.phase} to compare with"
    return f"{said}, the longest pause before was {_seconds(pulse.longest)}"


def arithmetic(pulse: Pulse, floor: float) -> str:
    """`limit: 5 times the longest pause in train, at least 2 min 00 s`."""
    if pulse.longest is None:
        return f"limit: {format_duration(FACTOR * floor)} where nothing is known"
    least = format_duration(floor)
    return f"limit: {FACTOR} times the longest pause of {pulse.phase}, at least {least}"


def _seconds(duration: float) -> str:
    return format_duration(duration) if duration >= 9.95 else f"{duration:.1f} s"
