"""Room on the file system of the run folders: used up, or not enough for what is still to come."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from orchestrator.diagnose.case import Case, Curve
from orchestrator.diagnose.rules.pace import hits_of, left
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.finding import Finding, Quote, Severity

_SCARCE = 1 << 30  # bytes, below which any program may fail to write
_SHOWN = 3  # lines of evidence
_TREND = 600.0  # seconds of samples that a trend rests on, at the least


@dataclass(frozen=True, slots=True, kw_only=True)
class _Demand:
    """What the planned rest will still write, and the sum in words."""

    bytes: float
    files: float
    words: str
    evidence: tuple[Quote, ...]


def disk_full(case: Case) -> Iterator[Finding]:
    """A write failed for want of room, or the forecast takes more than there is."""
    hits = hits_of(case, "no_space")
    free, inodes = _now(case, "disk_free"), _now(case, "inodes_free")
    if hits:
        yield _full(case, tuple(hit.quote for hit in hits[:_SHOWN]), free, inodes)
        return
    demand = None if case.ended else _demand(case)
    if demand is None:
        return
    share = case.thresholds.disk
    if free is not None and demand.bytes > share * free[0]:
        yield _forecast(
            demand, demand.bytes, free, f"{demand.words} > {share:.0%} of {_gib(free[0])}"
        )
    elif inodes is not None and demand.files > share * inodes[0]:
        said = f"{demand.files:,.0f} files > {share:.0%} of {inodes[0]:,.0f} inodes"
        yield _forecast(demand, demand.files, inodes, said)


def _full(
    case: Case,
    quotes: tuple[Quote, ...],
    free: tuple[float, Quote] | None,
    inodes: tuple[float, Quote] | None,
) -> Finding:
    known, total = (
        [each for each in (free, inodes) if each is not None],
        case.hits["no_space"].total,
    )
    there = f"{_gib(free[0])} free" if free is not None else "free room unknown"
    if inodes is not None and inodes[0] < 1:
        there += ", no inode free"
    return Finding(
        id="disk-full",
        severity=Severity.ERROR,
        title=f"A write failed: {_short(quotes[0].text)}",
        evidence=(*quotes, *(quote for _, quote in known)),
        arithmetic=f"{total} line{'s' * (total != 1)} of it; {there} now",
        meaning="What was being written then is missing or torn. It may have been another file "
        "system than that of the run folders: /tmp, /dev/shm, a quota.",
        action="df -h; df -i; remove old checkpoints, then exp run resume",
        retry=False if free is not None and free[0] < _SCARCE else None,
    )


def _forecast(
    demand: _Demand, needed: float, free: tuple[float, Quote], arithmetic: str
) -> Finding:
    room, quote = free
    return Finding(
        id="disk-full",
        severity=Severity.ERROR if needed > room else Severity.WARN,
        title=f"The disk will be full before the end: {arithmetic}",
        evidence=(quote, *demand.evidence),
        arithmetic=arithmetic,
        meaning="The run would end in the middle of a save.",
        action="Keep fewer checkpoints, save less often, or make room now",
    )


def disk_low(case: Case) -> Iterator[Finding]:
    """Little room, whoever takes it: for one save, for any program at all, or by the trend."""
    free = _now(case, "disk_free")
    if case.ended or free is None:
        return
    room, quote = free
    largest = max((saved.bytes for saved in case.checkpoints), default=0)
    if room < max(largest, _SCARCE):
        what = "one checkpoint" if largest > _SCARCE else "any program needs"
        yield _low(
            f"{_gib(room)} free: less than {what}",
            f"{_gib(room)} < {_gib(max(largest, _SCARCE))}",
            quote,
        )
        return
    trend, rest = _trend(case.curves.get("system/disk_free"), case), left(case)
    if trend is not None and rest is not None and trend * rest > room:
        yield _low(
            f"{_gib(room)} free, and going at {_gib(trend * 3600)} an hour",
            f"{_gib(trend * 3600)} × {rest / 3600:.1f} h = {_gib(trend * rest)} > {_gib(room)}",
            quote,
        )


def _low(title: str, arithmetic: str, quote: Quote) -> Finding:
    return Finding(
        id="disk-low",
        severity=Severity.WARN,
        title=f"Disk: {title}",
        evidence=(quote,),
        arithmetic=arithmetic,
        meaning="The next save or log line may fail, of this run or of any other.",
        action="df -h; du -xh --max-depth=3 .exp | sort -h | tail; remove what nobody needs",
    )


def _trend(curve: Curve | None, case: Case) -> float | None:
    """Bytes a second by which the room shrinks in the newest attempt; None if it does not."""
    if curve is None or case.started is None:
        return None
    own = [at for at, time in enumerate(curve.times) if time >= case.started]
    if not own or curve.times[own[-1]] - curve.times[own[0]] < _TREND:
        return None
    half = own[len(own) // 2]
    ends = (own[0], half, own[-1])
    rates = [
        (curve.values[a] - curve.values[b]) / (curve.times[b] - curve.times[a])
        for a, b in pairwise(ends)
        if curve.times[b] > curve.times[a]
    ]
    # A single large file is no trend: it must go on in both halves.
    return min(rates) if len(rates) == 2 and min(rates) > 0 else None


def _demand(case: Case) -> _Demand | None:
    """Checkpoints and logs of the planned rest; None where nothing tells.

    A program that removes old checkpoints needs room for one more than it keeps.
    """
    planned, done = case.record.planned_steps, case.max_step
    if planned is None or not done or done >= planned:
        return None
    logs = case.written * (planned - done) / done if case.written is not None else 0.0
    words = [f"{_gib(logs)} of logs"] if logs >= 1 << 20 else []
    saved = [each for each in case.checkpoints if each.valid]
    if not saved:
        return _Demand(bytes=logs, files=0, words=words[0], evidence=()) if words else None
    newest, count = saved[-1], _saves_left(case, saved, planned - done)
    words.insert(0, f"{count} × {_gib(newest.bytes)} of checkpoints")
    quote = Quote(
        source=f"{newest.path}", text=f"checkpoint of step {newest.step:,}: {_gib(newest.bytes)}"
    )
    return _Demand(
        bytes=count * newest.bytes + logs,
        files=count * newest.files,
        words=" + ".join(words) + f" = {_gib(count * newest.bytes + logs)}",
        evidence=(quote,),
    )


def _saves_left(case: Case, saved: list[Checkpoint], rest: int) -> int:
    """How many more checkpoints there will be at a time than now."""
    events = (event for event in case.events if event.name == "checkpoint")
    written = {event.at.step for event in events}
    if len(written) > len(case.checkpoints):
        return 1  # it removes old ones
    steps = sorted({0, *written, *(each.step for each in saved)})
    interval = (steps[-1] - steps[0]) / (len(steps) - 1) if len(steps) > 1 else 0
    return int(rest / interval) if interval else 1


def _now(case: Case, name: str) -> tuple[float, Quote] | None:
    """A value of the host with its evidence: as it was just read, else the newest sample."""
    host = case.machine.host
    value = None if host is None else getattr(host, name)
    if value is not None:
        shown = _gib(value) if name == "disk_free" else f"{value:,}"
        return value, Quote(source="host", text=f"{name} = {shown}")
    curve = case.curves.get(f"system/{name}")
    return None if curve is None or not len(curve) else (curve.values[-1], curve.quote(-1))


def _gib(size: float) -> str:
    return f"{size / (1 << 30):.2f} GiB"


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 100 else f"{words[:100]}…"
