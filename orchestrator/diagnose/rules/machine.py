"""What the GPUs do: lost, ill, slowed down, idle, spinning, held by somebody else.

Values of the hardware are those of the newest attempt: `gpu.0` of another one may have been
another GPU. What nobody measured is unknown, and nothing is said of it.
"""

import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.clock import format_duration
from orchestrator.diagnose.case import Case, Curve
from orchestrator.diagnose.rules.pace import gpu_hours, gpus_of, hits_of, silence
from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.hardware import SAMPLED, Gpu, GpuProcess

_FEWEST = 3  # samples that a statement about a time rests on
_RECENT = 360  # samples by which throttling is judged: half an hour at the usual interval
_BUSY = 0.5  # utilization of a GPU that is at work
_FULL = 0.95  # utilization that a kernel in an endless wait shows
_HOLDS = 0.05  # share of a GPU's memory; a desktop holds less
_SHOWN = 3  # lines of evidence of one kind
_XID = re.compile(r"\bXid\b(?: \([^)]*\))?:? *(\d+)")
# Errors that the driver books on the program: NVIDIA's catalogue of Xid errors.
_OF_PROGRAM = {13, 31, 43, 45, 68, 69}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Samples:
    """The newest samples of one series of a GPU, with the place of each in its curve."""

    curve: Curve
    places: Sequence[int]

    @property
    def values(self) -> list[float]:
        return [self.curve.values[at] for at in self.places]

    @property
    def span(self) -> float:
        """Seconds between the first and the last one."""
        times = [self.curve.times[at] for at in self.places]
        return max(times) - min(times) if times else 0.0

    @property
    def quotes(self) -> tuple[Quote, ...]:
        """The first and the last one."""
        return tuple(
            self.curve.quote(at) for at in dict.fromkeys((self.places[0], self.places[-1]))
        )


def gpu_lost(case: Case) -> Iterator[Finding]:
    """A GPU fell off the bus or reported a fault of its own."""
    lost: dict[str, Quote] = {}
    for event in case.events:
        if event.at.attempt != case.attempt:
            continue
        subject = f"GPU {event.data.get('ordinal')}"
        if event.name == "gpu_lost":
            said = f"gpu_lost {event.data.get('uuid')}: {event.data.get('why')}"
            lost[subject] = Quote(source=event.at.source, line=event.at.line, text=said)
        elif event.name == "gpu_recovered":
            lost.pop(subject, None)
    told = tuple(_of_hardware(case))
    for subject, quote in lost.items():
        yield _lost(subject, quote.text.partition(": ")[2], (quote, *told[:_SHOWN]))
    if told and not lost:
        yield _lost("", told[0].text.splitlines()[0], told[:_SHOWN])


def _lost(subject: str, why: str, evidence: tuple[Quote, ...]) -> Finding:
    return Finding(
        id="gpu-lost",
        subject=subject,
        severity=Severity.ERROR,
        title=f"{subject or 'A GPU'} is lost: {_short(why)}",
        evidence=evidence,
        arithmetic=f"{len(evidence)} record{'s' * (len(evidence) != 1)} of it",
        meaning="A fault of the GPU or its driver. Programs that used it cannot go on.",
        action="Resume on another GPU (exp run resume); reset this one (nvidia-smi -r) or reboot, "
        "and have it examined if it happens again",
        retry=True,
    )


def _of_hardware(case: Case) -> Iterator[Quote]:
    """Lines of log and kernel that blame the hardware, each once."""
    for quote in dict.fromkeys(_gpu_lines(case)):
        xid = _XID.search(quote.text)
        if xid is None or int(xid[1]) not in _OF_PROGRAM:
            yield quote


def _gpu_lines(case: Case) -> Iterator[Quote]:
    for kind in ("xid", "gpu_lost"):
        yield from (hit.quote for hit in hits_of(case, kind))
    for quote in case.machine.kernel:
        if _XID.search(quote.text) or "fallen off the bus" in quote.text:
            yield quote


def gpu_fault(case: Case) -> Iterator[Finding]:
    """An Xid that the driver books on the program: a bad address, an illegal instruction."""
    found: dict[int, list[Quote]] = {}
    for quote in dict.fromkeys(_gpu_lines(case)):
        xid = _XID.search(quote.text)
        if xid is not None and int(xid[1]) in _OF_PROGRAM:
            found.setdefault(int(xid[1]), []).append(quote)
    for code, quotes in found.items():
        yield Finding(
            id="gpu-fault",
            subject=f"Xid {code}",
            severity=Severity.WARN,
            title=f"Xid {code}: the GPU stopped a program that did what it must not",
            evidence=tuple(quotes[:_SHOWN]),
            arithmetic=f"{len(quotes)} × Xid {code}",
            meaning="Mostly an error of a kernel (an address out of bounds), not of the GPU.",
            action="Run once with CUDA_LAUNCH_BLOCKING=1, or under compute-sanitizer, "
            "and look for an index out of range",
            retry=False,
        )


def gpu_throttled(case: Case) -> Iterator[Finding]:
    """Heat or the power supply slowed a GPU down for a good part of the time."""
    for ordinal, gpu in _gpus(case).items():
        samples = gpu.get("throttled")
        places = samples.places[-_RECENT:] if samples is not None else ()
        if samples is None or len(places) < 4 * _FEWEST:
            continue
        slow = [at for at in places if samples.curve.values[at] > 0]
        share = len(slow) / len(places)
        if share <= case.thresholds.throttled:
            continue
        reasons = _throttle_reasons(case, ordinal)
        because = f" ({', '.join(dict.fromkeys(q.text for q in reasons))})" if reasons else ""
        yield Finding(
            id="gpu-throttled",
            subject=f"GPU {ordinal}",
            severity=Severity.WARN,
            title=f"GPU {ordinal} was slowed down in {share:.0%} of the samples{because}",
            evidence=(samples.curve.quote(slow[-1]), *reasons),
            arithmetic=f"{len(slow)} of {len(places)} samples = {share:.0%} > "
            f"{case.thresholds.throttled:.0%}{_clocks(gpu, set(slow))}",
            meaning="Heat or the power supply holds its clock down: every step takes longer.",
            action="Look at the temperature (exp gpu), the fans and the room, or lower the power "
            "limit: nvidia-smi -pl",
        )


def _clocks(gpu: dict[str, _Samples], slow: set[int]) -> str:
    """How far the clock is down, where both were sampled together."""
    clock, throttled = gpu.get("clock_sm"), gpu["throttled"]
    if clock is None or list(clock.curve.times) != list(throttled.curve.times):
        return ""
    low = [clock.curve.values[at] for at in clock.places if at in slow]
    high = [clock.curve.values[at] for at in clock.places if at not in slow]
    if not low or not high:
        return ""
    down, up = statistics.median(low) / 1e9, statistics.median(high) / 1e9
    return f"; clock {down:.2f} GHz, else {up:.2f} GHz"


def _throttle_reasons(case: Case, ordinal: int) -> tuple[Quote, ...]:
    return tuple(
        Quote(source=event.at.source, line=event.at.line, text=str(event.data.get("reason")))
        for event in case.events
        if event.name == "gpu_throttled"
        and event.at.attempt == case.attempt
        and event.data.get("ordinal") == ordinal
    )


def gpu_unhealthy(case: Case) -> Iterator[Finding]:
    """The driver asks for a reset, or memory errors were not corrected."""
    for ordinal, gpu in _present(case).items():
        if gpu.recovery not in {None, "none"}:
            yield _unhealthy(
                ordinal, f"its driver asks to {gpu.recovery}", (_nvml(gpu, "recovery"),), "", True
            )
    for ordinal, series in _gpus(case).items():
        errors = series.get("ecc_uncorrected")
        if errors is None:
            continue
        first, last = errors.values[0], errors.values[-1]
        if last > 0:
            since = (
                f"{last:.0f} since the driver was loaded, {max(0.0, last - first):.0f} of them now"
            )
            yield _unhealthy(
                ordinal,
                f"{last:.0f} memory errors not corrected",
                errors.quotes,
                since,
                last > first,
            )


def _unhealthy(
    ordinal: int, what: str, evidence: tuple[Quote, ...], arithmetic: str, now: bool
) -> Finding:
    return Finding(
        id="gpu-unhealthy",
        subject=f"GPU {ordinal}",
        severity=Severity.ERROR if now else Severity.WARN,
        title=f"GPU {ordinal}: {what}",
        evidence=evidence,
        arithmetic=arithmetic or what,
        meaning="What it computes, or whether it goes on, cannot be relied upon.",
        action="End its programs and reset it: nvidia-smi -r; exchange it if the errors come back",
    )


def gpu_idle(case: Case) -> Iterator[Finding]:
    """GPUs that are paid for and do nothing: all of them without a step, or one of several."""
    if gpus_of(case) == 0:
        return
    used = {k: _late(series.get("utilization"), case) for k, series in _gpus(case).items()}
    known = {k: samples for k, samples in used.items() if samples is not None}
    idle = {k: s for k, s in known.items() if max(s.values) < case.thresholds.idle_gpu}
    if idle and len(idle) == len(used):
        yield from _all_idle(case, idle)
        return
    for ordinal, samples in idle.items():
        busiest = max(known, key=lambda k: statistics.median(known[k].values))
        busy = statistics.median(known[busiest].values)
        if busy < _BUSY:
            continue
        yield Finding(
            id="gpu-idle",
            subject=f"GPU {ordinal}",
            severity=Severity.WARN,
            title=f"GPU {ordinal} does nothing while GPU {busiest} works",
            evidence=(*samples.quotes, known[busiest].quotes[-1]),
            arithmetic=f"at most {max(samples.values):.0%} over {format_duration(samples.span)}, "
            f"GPU {busiest}: {busy:.0%}",
            meaning="The run has leased more GPUs than its program uses.",
            action="Start one process a GPU (nproc in the spec), or lease fewer (resources.gpus)",
        )


def _all_idle(case: Case, idle: dict[int, _Samples]) -> Iterator[Finding]:
    silent = silence(case)
    if case.ended or silent is None or silent < case.thresholds.idle_time:
        return
    most = max(max(samples.values) for samples in idle.values())
    span = max(samples.span for samples in idle.values())
    count = gpus_of(case)
    yield Finding(
        id="gpu-idle",
        severity=Severity.WARN,
        title=f"{count} leased GPU{'s' * (count != 1)} idle, no step for {format_duration(silent)}",
        evidence=tuple(samples.quotes[-1] for samples in idle.values()),
        arithmetic=f"utilization at most {most:.0%} over {format_duration(span)}; "
        f"{gpu_hours(case, silent)} so far",
        meaning="The program waits for something that is no GPU: data, a lock, another process.",
        action="py-spy dump on its processes, exp run logs; exp run stop, or budget.idle in the "
        "spec, ends it",
    )


def gpu_spinning(case: Case) -> Iterator[Finding]:
    """Full utilization at low power without a step: kernels that wait for each other."""
    silent, limit = silence(case), _hang_limit(case)
    if case.ended or silent is None or min(silent, case.idle) < limit:
        return
    for ordinal, gpu in _gpus(case).items():
        limit_watts = getattr(_present(case).get(ordinal), "power_limit", None)
        used, power = (
            _since(gpu.get("utilization"), case, limit),
            _since(gpu.get("power"), case, limit),
        )
        if used is None or power is None or not limit_watts:
            continue
        busy, drawn = statistics.median(used.values), statistics.median(power.values)
        if busy < _FULL or drawn > case.thresholds.power * limit_watts:
            continue
        yield Finding(
            id="gpu-spinning",
            subject=f"GPU {ordinal}",
            severity=Severity.ERROR,
            title=f"GPU {ordinal} spins: {busy:.0%} busy at {drawn:.0f} W, no step for "
            f"{format_duration(silent)}",
            evidence=(used.quotes[-1], power.quotes[-1]),
            arithmetic=f"{drawn:.0f} W of {limit_watts:.0f} W = {drawn / limit_watts:.0%} ≤ "
            f"{case.thresholds.power:.0%} at {busy:.0%} utilization",
            meaning="A kernel waits for another rank that will not come: a collective hangs.",
            action="py-spy dump on every rank to see which one is elsewhere; then exp run stop, "
            "and exp run resume from the newest checkpoint",
            retry=True,
        )


def _hang_limit(case: Case) -> float:
    """Seconds without a step or a line that are no pause: a fifth of what counts as idle."""
    return case.thresholds.idle_time / 5


def zombie_holder(case: Case) -> Iterator[Finding]:
    """Memory of a leased GPU that is held by a process of no known run."""
    if gpus_of(case) == 0 or not case.machine.known_pids:
        return
    for ordinal, gpu in _present(case).items():
        ours = [each for each in gpu.processes or () if each.pid in case.machine.known_pids]
        if not case.ended and not ours:
            continue  # it may be ours under the pid of another container
        for process in gpu.processes or ():
            owner = case.machine.owners.get(process.pid)
            if process.pid in case.machine.known_pids or owner is None or not _holds(gpu, process):
                continue
            yield _zombie(ordinal, gpu, process, owner)


def _holds(gpu: Gpu, process: GpuProcess) -> bool:
    memory, total = process.memory, gpu.memory_total
    return memory is not None and bool(total) and memory > _HOLDS * (total or 0)


def _zombie(ordinal: int, gpu: Gpu, process: GpuProcess, owner: str) -> Finding:
    memory, total = process.memory or 0, gpu.memory_total or 0
    return Finding(
        id="zombie-holder",
        subject=f"pid {process.pid}",
        severity=Severity.WARN,
        title=f"pid {process.pid} ({owner}) holds {_gib(memory)} of GPU {ordinal}, "
        "and belongs to no known run",
        evidence=(_nvml(gpu, f"process {process.pid} ({owner}) holds {_gib(memory)}"),),
        arithmetic=f"{_gib(memory)} of {_gib(total)} = {memory / total:.0%}",
        meaning="What is left of an earlier program, or somebody else at work on a leased GPU.",
        action=f"ps -fp {process.pid}; if nobody needs it: kill {process.pid}",
    )


def _gpus(case: Case) -> dict[int, dict[str, _Samples]]:
    """The samples of the newest attempt, by place of the GPU in its lease and by series."""
    found: dict[int, dict[str, _Samples]] = {}
    for name, curve in case.curves.items():
        parts = name.removeprefix(SAMPLED).split(".")
        if not name.startswith(SAMPLED) or len(parts) != 3 or parts[0] != "gpu":
            continue
        own = {s for s in set(curve.sources) if s.startswith(f"attempt-{case.attempt}/")}
        places = [at for at, source in enumerate(curve.sources) if source in own]
        if places and parts[1].isdecimal():
            samples = _Samples(curve=curve, places=places)
            found.setdefault(int(parts[1]), {})[parts[2]] = samples
    return dict(sorted(found.items()))


def _late(samples: _Samples | None, case: Case) -> _Samples | None:
    return _since(samples, case, case.thresholds.idle_time)


def _since(samples: _Samples | None, case: Case, seconds: float) -> _Samples | None:
    """Samples of the last so many seconds, up to the end; None if they do not tell of that time."""
    if samples is None:
        return None
    end = case.now if not case.ended else samples.curve.times[samples.places[-1]]
    places = [at for at in samples.places if samples.curve.times[at] >= end - seconds]
    late = _Samples(curve=samples.curve, places=places)
    return late if len(places) >= _FEWEST and late.span >= seconds / 2 else None


def _present(case: Case) -> dict[int, Gpu]:
    """The GPUs of the newest attempt as they are now, by their place in its lease."""
    places = {
        str(event.data.get("uuid")): event.data.get("ordinal")
        for event in case.events
        if event.name in {"gpu", "gpu_lost"} and event.at.attempt == case.attempt
    }
    now = () if case.machine.gpus is None else case.machine.gpus.gpus or ()
    return {ordinal: gpu for gpu in now if isinstance(ordinal := places.get(gpu.uuid), int)}


def _nvml(gpu: Gpu, what: str) -> Quote:
    said = f"recovery action: {gpu.recovery}" if what == "recovery" else what
    return Quote(source="nvml", text=f"{gpu.uuid}: {said}")


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.2f} GiB"


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 100 else f"{words[:100]}…"
