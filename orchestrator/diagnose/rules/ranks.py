"""The ranks of a run: which one waits for which, and the error before it."""

import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from orchestrator.clock import format_duration
from orchestrator.diagnose.case import Case, Curve, Hit
from orchestrator.diagnose.rules.pace import hits_of, programs
from orchestrator.domain.finding import Finding, Quote, Severity

_SHOWN = 3  # lines of evidence of one kind
_STALE = 30.0  # seconds behind the leader, below which a live rank is only read later
_FILE = re.compile(r"attempt-(\d+)/events-.*-(\d+)-\d+\.jsonl", re.DOTALL)
_WATCHDOG = re.compile(
    r"\[Rank (?P<rank>\d+)\].*?Watchdog caught collective operation timeout.*?"
    r"OpType=(?P<op>\w+).*?Timeout\(ms\)=(?P<limit>\d+)",
    re.DOTALL,
)
_COLLECTIVE = re.compile(
    r"nccl|ProcessGroup|DistBackendError|collective|c10d|gloo|Broken ?pipe"
    r"|Connection (?:reset|closed)|ChildFailedError|SignalException",
    re.IGNORECASE,
)
_RAISED = re.compile(r"^(?:\[\w+\]: ?)?[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lag:
    """Two ranks that log the same series: where each of them was last."""

    late: int
    first: int
    late_step: int
    first_step: int
    seconds: float
    evidence: tuple[Quote, ...]


def nccl_timeout(case: Case) -> Iterator[Finding]:
    """A collective failed; the error before it, or the rank that was elsewhere."""
    hits = hits_of(case, "nccl")
    if not hits:
        return
    root, lag = _root_error(case, hits[0]), _worst(case)
    waited = [found for hit in hits if (found := _WATCHDOG.search(hit.text))]
    told = lag.evidence if root is None and lag is not None else ()
    yield Finding(
        id="nccl-timeout",
        severity=Severity.ERROR,
        title=f"{_collective(waited)}{_because(root, lag)}",
        evidence=(
            *([root.quote] if root is not None else []),
            *told,
            *(hit.quote for hit in hits[:_SHOWN]),
        ),
        arithmetic=_waiting(waited, case.hits["nccl"].total),
        meaning="The ranks that report this waited for another one: theirs is not the root error.",
        action=(
            "Mend the earlier error; the collective failed because of it"
            if root is not None
            else "Compare the ranks (forensics/attempt-N/ranks.json); run again with "
            "TORCH_NCCL_DUMP_ON_TIMEOUT=1 and TORCH_NCCL_TRACE_BUFFER_SIZE=2000"
        ),
        retry=False if root is not None else None,
    )


def _root_error(case: Case, collective: Hit) -> Hit | None:
    """The first traceback before a collective's failure that speaks of something else."""
    for hit in hits_of(case, "traceback"):
        if hit.source == collective.source and hit.line > collective.line:
            return None
        if not _COLLECTIVE.search(hit.text):
            return hit
    return None


def _because(root: Hit | None, lag: _Lag | None) -> str:
    """What lies behind a collective's failure, as far as anything tells."""
    if root is not None:
        return f" after {_raised(root.text)}"
    if lag is None or lag.late_step == lag.first_step:
        return "; no earlier error is known"
    return (
        f": rank {lag.late} was at step {lag.late_step:,}, rank {lag.first} at {lag.first_step:,}"
    )


def _raised(text: str) -> str:
    """The line of a traceback that names the exception, else its last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if _RAISED.match(line)]
    said = (named or lines or ["an error"])[-1]
    return said if len(said) <= 100 else f"{said[:100]}…"


def _collective(waited: list[re.Match[str]]) -> str:
    if not waited:
        return "A collective failed"
    limit = format_duration(int(waited[0]["limit"]) / 1000)
    return f"{waited[0]['op']} timed out after {limit}"


def _waiting(waited: list[re.Match[str]], total: int) -> str:
    lines = f"{total} line{'s' * (total != 1)} of it"
    if not waited:
        return lines
    ranks = sorted({int(found["rank"]) for found in waited})
    return f"waited: rank {', '.join(map(str, ranks))}; {lines}"


def rank_behind(case: Case) -> Iterator[Finding]:
    """One rank logs older steps than another: it hangs, died, or has more to do."""
    lag = _worst(case)
    if lag is None or (not case.ended and lag.seconds < _STALE):
        return
    yield Finding(
        id="rank-behind",
        subject=f"rank {lag.late}",
        severity=Severity.WARN,
        title=f"Rank {lag.late} is at step {lag.late_step:,}, rank {lag.first} at step "
        f"{lag.first_step:,}",
        evidence=lag.evidence,
        arithmetic=f"{lag.first_step:,} − {lag.late_step:,} = {lag.first_step - lag.late_step:,} "
        f"steps > {case.thresholds.ranks}, its last point {format_duration(lag.seconds)} older",
        meaning="Ranks of one training step together: this one hangs, has died, or takes part in "
        "no collective.",
        action="py-spy dump on that rank's process; look for a branch that only some ranks take",
    )


def _worst(case: Case) -> _Lag | None:
    """The largest lag of a rank behind another one that is beyond the threshold."""
    lags = (lag for curve in programs(case) if (lag := _lag(curve, case)) is not None)
    return max(lags, key=lambda lag: lag.first_step - lag.late_step, default=None)


def _lag(curve: Curve, case: Case) -> _Lag | None:
    ranks: dict[int, list[int]] = {}
    files = {source: _FILE.fullmatch(source) for source in set(curve.sources)}
    own = {s: int(f[2]) for s, f in files.items() if f and int(f[1]) == case.attempt}
    if len(set(own.values())) < 2:
        return None
    for at, source in enumerate(curve.sources):
        if source in own:
            ranks.setdefault(own[source], []).append(at)
    newest = {rank: max(at, key=curve.times.__getitem__) for rank, at in ranks.items()}
    late = min(newest, key=lambda rank: (curve.steps[newest[rank]], rank))
    first = max(newest, key=lambda rank: (curve.steps[newest[rank]], -rank))
    behind, ahead = newest[late], newest[first]
    # A rank that logs every tenth step is not behind by nine.
    begin = min(curve.steps[at] for places in ranks.values() for at in places) - 1
    gaps = [b - a for a, b in pairwise([begin, *sorted({curve.steps[at] for at in ranks[late]})])]
    allowed = case.thresholds.ranks * max(1.0, statistics.median(gaps))
    if curve.steps[ahead] - curve.steps[behind] <= allowed:
        return None
    return _Lag(
        late=late,
        first=first,
        late_step=curve.steps[behind],
        first_step=curve.steps[ahead],
        seconds=max(0.0, curve.times[ahead] - curve.times[behind]),
        evidence=(curve.quote(behind), curve.quote(ahead)),
    )
