"""Cases by hand: what a run logged, in a line."""

from orchestrator.diagnose.case import Case, Curve, Hit, Hits
from orchestrator.domain.finding import Thresholds
from orchestrator.domain.point import Event, Position
from orchestrator.domain.run import RunRecord

EVENTS = "attempt-1/events-host-0-1.jsonl"
LOG = "attempt-1/out.log"


def curve(name, values, *, steps=None, every=1, times=None, source=EVENTS):
    """A series: a point at each of `steps`, else at the multiples of `every`; a second a step."""
    values = [float(value) for value in values]
    steps = list(steps) if steps is not None else [every * (n + 1) for n in range(len(values))]
    return Curve(
        name=name,
        steps=steps,
        values=values,
        times=list(times) if times is not None else [float(step) for step in steps],
        sources=[source] * len(values),
        lines=list(range(1, len(values) + 1)),
        total=len(values),
    )


def event(name, data, *, step=0, time=0.0, attempt=1, line=1):
    """An event as a program writes it."""
    at = Position(attempt=attempt, segment=0, step=step, time=time, source=EVENTS, line=line)
    return Event(name=name, data=data, at=at)


def phases(*spans):
    """Begin and end of phases, from `(name, begin, end, step)`; an end of None is still to come."""
    made = []
    for name, begin, end, step in spans:
        at = {"step": step, "line": len(made) + 1}
        made.append(event("phase", {"phase": name, "state": "begin"}, time=begin, **at))
        if end is not None:
            data = {"phase": name, "state": "end", "seconds": end - begin}
            made.append(event("phase", data, time=end, **at))
    return made


def hits(*texts, attempt=1, source=LOG, first=1):
    """Lines of a log that were found, one below the other."""
    made = [
        Hit(attempt=attempt, source=source, line=first + n, text=text)
        for n, text in enumerate(texts)
    ]
    return Hits(total=len(made), first=tuple(made))


def record(*, params=None, metrics=None, thresholds=None, planned=None, **fields):
    """What was fixed at launch."""
    return RunRecord(
        id="R-000001",
        created=0.0,
        host="host",
        cwd="/repo",
        commands=(),
        params=params or {},
        metrics=metrics or {},
        findings=Thresholds(**(thresholds or {})),
        planned_steps=planned,
        **fields,
    )


def case(*, curves=(), params=None, metrics=None, thresholds=None, planned=None, **fields):
    """A run as the rules see it; other fields as in `Case`, `record` instead of the first four."""
    fields.setdefault(
        "record", record(params=params, metrics=metrics, thresholds=thresholds, planned=planned)
    )
    last = max((c.times[-1] for c in curves if len(c)), default=0.0)
    fields.setdefault("now", last)
    return Case(curves={c.name: c for c in curves}, **fields)


def found(findings):
    """The keys of findings, sorted."""
    return sorted(finding.key for finding in findings)
