"""Numbers that a stage's records give: durations of steps, peaks of memory, time in evaluation.

Times are in seconds, sizes in bytes, shares from 0 to 1. None means that it was not measured.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from orchestrator.domain.rehearsal import PhaseMemory, PhaseSpan, Plan, StageFacts

TRAIN, EVAL, CHECKPOINT = "train", "eval", "checkpoint"
HOST = "host"
MOST_EVALUATION = 0.20  # of the time; FAILURES.md calls more than that dominating


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a validation costs: as measured, and scaled up from the subset to all examples.

    Scaling is linear, which is too much where a batch holds more than the subset.
    """

    measured: float
    whole: float

    def share(self, step: float, every: int, *, scaled: bool = True) -> float:
        """Its part of the time if it comes every so many steps of `step` seconds each."""
        cost = self.whole if scaled else self.measured
        return cost / (cost + every * step) if cost + every * step > 0 else 0.0


def durations(facts: StageFacts) -> list[float]:
    """Seconds of each step after the first, without the phases (evaluation, saving) in between."""
    found = []
    busy = _union(span for span in facts.phases if span.phase != TRAIN)
    for (step, begin), (later, end) in zip(facts.pace, facts.pace[1:], strict=False):
        inside = sum(max(0.0, min(end, b) - max(begin, a)) for a, b in busy)
        if later > step and end - begin - inside > 0:
            found.append((end - begin - inside) / (later - step))
    return found


def steady(facts: StageFacts) -> list[float]:
    """Durations of steps with the first third dropped: the warm-up of caches and compilers."""
    found = durations(facts)
    return found[len(found) // 3 :]


def step_seconds(facts: StageFacts) -> float | None:
    """What a step typically takes."""
    found = steady(facts)
    return median(found) if found else None


def speed(facts: StageFacts) -> tuple[float, float] | None:
    """Steps a second, low and high: all but the fastest and the slowest tenth of the steps."""
    found = steady(facts)
    if len(found) < 2:
        return (1 / found[0], 1 / found[0]) if found else None
    tenths = quantiles(found, n=10, method="inclusive")
    return 1 / tenths[-1], 1 / tenths[0]


def data_share(facts: StageFacts) -> float | None:
    """The part of training that waited for data."""
    if facts.data_seconds is None or len(facts.pace) < 2:
        return None
    steps = facts.pace[-1][0] - facts.pace[0][0]
    typical = step_seconds(facts)
    return None if typical is None else min(1.0, facts.data_seconds / (steps * typical))


def spans_of(facts: StageFacts, phase: str) -> list[PhaseSpan]:
    """Parts of the program of this kind that began with training under way."""
    return [each for each in facts.phases if each.phase == phase and each.after is not None]


def evaluation(facts: StageFacts) -> Evaluation | None:
    """What one validation within training costs: the quickest, as the first one warms up."""
    done = [each.seconds for each in spans_of(facts, EVAL) if each.error is None]
    seconds = [each for each in done if each is not None]
    if not seconds:
        return None
    used, total = facts.subset or (1, 1)
    return Evaluation(measured=min(seconds), whole=min(seconds) * max(1.0, total / max(used, 1)))


def interval_for(evaluation_seconds: float, step: float) -> int:
    """Steps between evaluations that keep to their share, rounded up to 1, 2, 5, 10, 20 …"""
    needed = evaluation_seconds * (1 - MOST_EVALUATION) / MOST_EVALUATION / step
    power = 1
    while True:
        for digit in (1, 2, 5):
            if digit * power >= needed:
                return digit * power
        power *= 10


def in_use(memory: PhaseMemory) -> int | None:
    """The most that the device or the process had in use, as far as anybody measured it."""
    known = [memory.used, memory.reserved, memory.allocated]
    return max((each for each in known if each is not None), default=None)


def peaks(memory: Iterable[PhaseMemory]) -> tuple[PhaseMemory, ...]:
    """The largest record of each phase and device, over ranks and time."""
    found: dict[tuple[str, str], PhaseMemory] = {}
    for each in memory:
        key = (each.phase, each.device)
        if key not in found or (in_use(each) or 0) > (in_use(found[key]) or 0):
            found[key] = each
    return tuple(found[key] for key in sorted(found))


def peak(facts: StageFacts, phase: str, device: str) -> int | None:
    """The most that a phase used of a device; of the host all processes together."""
    ranks: dict[int, int] = {}
    for each in facts.memory:
        amount = in_use(each)
        if (each.phase, each.device) == (phase, device) and amount is not None:
            ranks[each.rank] = max(ranks.get(each.rank, 0), amount)
    if not ranks:
        return None
    return sum(ranks.values()) if device == HOST else max(ranks.values())


def devices(facts: StageFacts) -> list[str]:
    """Devices whose memory was measured."""
    return sorted({each.device for each in facts.memory})


def capacity(facts: StageFacts, device: str, plan: Plan) -> int | None:
    """How much memory there is: of the host not more than the spec asks for."""
    totals = [each.total for each in facts.memory if each.device == device and each.total]
    if device == HOST and plan.memory is not None:
        totals.append(plan.memory)
    return min(totals, default=None)


def checkpoint_bytes(facts: StageFacts) -> int | None:
    """Size of the largest checkpoint."""
    return max((each.checkpoint.bytes for each in facts.saved), default=None)


def checkpoint_seconds(facts: StageFacts) -> float | None:
    """The longest time that saving one took."""
    return max((each.took for each in facts.saved if each.took is not None), default=None)


def checkpoints_kept(plan: Plan) -> int | None:
    """How many checkpoints lie on the disk at once: a new one is there before an old one goes."""
    if plan.keep is not None:
        return plan.keep + 1
    if plan.planned_steps is None or plan.checkpoint_every is None:
        return None
    return max(1, -(-plan.planned_steps // plan.checkpoint_every))


def _union(spans: Iterable[PhaseSpan]) -> Sequence[tuple[float, float]]:
    """Stretches of time that any of these took, none twice."""
    merged: list[tuple[float, float]] = []
    for begin, end in sorted((s.began, s.began + s.seconds) for s in spans if s.seconds):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged
