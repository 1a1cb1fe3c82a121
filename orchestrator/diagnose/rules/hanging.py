"""A run that makes no progress, against the pauses that it has shown before."""

from collections.abc import Iterator

from orchestrator.clock import format_duration
from orchestrator.diagnose.case import Case, Curve
from orchestrator.diagnose.hang import arithmetic, claim, limit_of, pulse_of, silence_of
from orchestrator.diagnose.rules.pace import programs
from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.point import Event

_DENSE = 2000  # newest points of a curve, of which none is left out


def hang(case: Case) -> Iterator[Finding]:
    """Silence for much longer than any pause that this phase has shown before."""
    if case.ended or case.started is None:
        return
    curve, times = _densest(case, case.started)
    events = [event for event in case.events if event.at.attempt == case.attempt]
    last = max([*times, *(event.at.time for event in events)], default=None)
    if last is None:
        return
    pulse = pulse_of(times, events)
    silence = silence_of(pulse, quiet=max(0.0, case.now - last), idle=case.idle)
    if silence <= limit_of(pulse, case.thresholds.hang):
        return
    limit = arithmetic(pulse, case.thresholds.hang)
    yield Finding(
        id="hang",
        severity=Severity.ERROR,
        title=f"hangs in {pulse.phase}: {claim(pulse, silence)}",
        evidence=_last_words(curve, events),
        arithmetic=f"{format_duration(silence)} of silence; {limit}",
        meaning="The program waits for something that does not come: another rank, a loader's"
        " worker, a file system, a lock.",
        action=f"py-spy dump --pid PID of each of its processes (exp run show {case.record.id}),"
        f" exp run logs {case.record.id}; then exp run stop {case.record.id}",
    )


def _densest(case: Case, started: float) -> tuple[Curve | None, list[float]]:
    """The series of the newest attempt with the most points, and their times."""
    found = [
        (curve, [t for t in curve.times[-_DENSE:] if t >= started]) for curve in programs(case)
    ]
    dense = max(found, key=lambda each: (len(each[1]), each[0].name), default=None)
    return (None, []) if dense is None or not dense[1] else dense


def _last_words(curve: Curve | None, events: list[Event]) -> tuple[Quote, ...]:
    """The newest point, and the newest event."""
    quotes = [] if curve is None else [curve.quote(len(curve) - 1)]
    if events:
        event = max(events, key=lambda each: each.at.time)
        about = " ".join(str(event.data[key]) for key in ("phase", "state") if key in event.data)
        text = f"{event.name} {about}".strip()
        quotes.append(Quote(source=event.at.source, line=event.at.line, text=text))
    return tuple(quotes)
