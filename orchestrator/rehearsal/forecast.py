"""What a rehearsal says of the long run: time, memory, disk, money, and what stays unknown."""

from collections.abc import Mapping, Sequence

from orchestrator.clock import format_duration
from orchestrator.domain.rehearsal import Forecast, Plan, RehearsalStep, StageFacts
from orchestrator.domain.sizes import format_size
from orchestrator.rehearsal import measures, series
from orchestrator.rehearsal.checks.steps import Judgement

_HANG = 5.0  # times the longest that was seen; FAILURES.md
_SHORTEST_HANG = 120.0

Interval = tuple[float, float]


def forecast_of(control: StageFacts, stages: Sequence[StageFacts], plan: Plan) -> Forecast:
    """The forecast by the uninterrupted `control`; peaks of memory are those of all `stages`."""
    step, cost = measures.step_seconds(control), measures.evaluation(control)
    size, kept = measures.checkpoint_bytes(control), measures.checkpoints_kept(plan)
    eta = _eta(control, plan)
    hours = None if eta is None or not plan.gpus else _times(eta, plan.gpus / 3600)
    known = step is not None and cost is not None
    return Forecast(
        peaks=measures.peaks(each for stage in stages for each in stage.memory),
        headroom=_headroom(stages, plan),
        speed=measures.speed(control),
        data_share=measures.data_share(control),
        eval_seconds=None if cost is None else cost.whole,
        eval_share=cost.share(step, plan.eval_every)
        if cost is not None and step is not None and plan.eval_every is not None
        else None,
        eval_every=measures.interval_for(cost.whole, step)
        if cost is not None and step is not None
        else None,
        checkpoint_bytes=size,
        checkpoint_seconds=measures.checkpoint_seconds(control),
        disk=None if size is None or kept is None else size * kept,
        eta=eta,
        gpu_hours=hours,
        cost=None if hours is None or plan.cost is None else _times(hours, plan.cost),
        hang=_hang(control),
        unknown=tuple(_unknown(control, plan, known=known)),
    )


def check_report(forecast: Forecast, plan: Plan) -> RehearsalStep:
    """Step 9: the forecast in one line; what it does not know is told, and fails nothing."""
    found = Judgement(9, plan)
    found.note(*forecast.unknown)
    said = []
    if forecast.eta is not None:
        low, high = map(format_duration, forecast.eta)
        said.append(f"the run takes {low}" + ("" if low == high else f" to {high}"))
    if forecast.gpu_hours is not None:
        low, high = (f"{end:.3g}" for end in forecast.gpu_hours)
        said.append(f"{low} to {high} GPU-hours")
    if forecast.disk is not None:
        said.append(f"{format_size(forecast.disk)} of checkpoints")
    return found.step(", ".join(said) or "how long the run takes cannot be told", 0.0)


def _times(interval: Interval, factor: float) -> Interval:
    return interval[0] * factor, interval[1] * factor


def _headroom(stages: Sequence[StageFacts], plan: Plan) -> dict[str, int]:
    """What the largest peak leaves of each device, in bytes; negative where it is too much."""
    left: dict[str, int] = {}
    for stage in stages:
        for device in measures.devices(stage):
            total = measures.capacity(stage, device, plan)
            for phase in {each.phase for each in stage.memory}:
                used = measures.peak(stage, phase, device)
                if used is not None and total is not None:
                    left[device] = min(left.get(device, total), total - used)
    return dict(sorted(left.items()))


def _eta(control: StageFacts, plan: Plan) -> Interval | None:
    """Seconds of training, its evaluations and checkpoints; None if not all of them are known."""
    speed, steps = measures.speed(control), plan.planned_steps
    if speed is None or steps is None:
        return None
    cost, saving = measures.evaluation(control), measures.checkpoint_seconds(control)
    low, high = steps / speed[1], steps / speed[0]
    if cost is not None and plan.eval_every is not None:
        low += steps // plan.eval_every * min(cost.measured, cost.whole)
        high += steps // plan.eval_every * cost.whole
    if saving is not None and plan.checkpoint_every is not None:
        low += steps // plan.checkpoint_every * saving
        high += steps // plan.checkpoint_every * saving
    return low, high


def _hang(control: StageFacts) -> Mapping[str, float]:
    """After how many seconds without a sign a phase hangs: 5 times the longest seen."""
    cost, steps = measures.evaluation(control), measures.durations(control)
    began = control.exit.started if control.exit is not None else None
    start = control.pace[0][1] - began if began is not None and control.pace else None
    longest = {
        "start": start,
        measures.TRAIN: max(steps, default=None),
        measures.EVAL: None if cost is None else cost.whole,
        measures.CHECKPOINT: measures.checkpoint_seconds(control),
    }
    return {
        phase: max(_SHORTEST_HANG, _HANG * seconds)
        for phase, seconds in longest.items()
        if seconds is not None
    }


def _unknown(control: StageFacts, plan: Plan, *, known: bool) -> list[str]:
    """What was not measured, and what would make it known."""
    gpus = plan.gpus > 0
    missing = {
        "speed: log every step, and at least three of them": measures.speed(control) is None,
        "length: set train.steps in the spec": plan.planned_steps is None,
        'time of validation: wrap it in run.phase("eval")': measures.evaluation(control) is None,
        "share of validation: set rehearse.eval_every to the run's own interval": known
        and plan.eval_every is None,
        "length of a whole validation: ask track.rehearsal().subset(total)": (
            measures.evaluation(control) is not None and control.subset is None
        ),
        "wait for data: only a torch DataLoader is timed": control.data_seconds is None,
        "memory of GPUs: only PyTorch's is measured": gpus
        and all(device == measures.HOST for device in measures.devices(control)),
        'time of saving: wrap it in run.phase("checkpoint")': bool(control.saved)
        and measures.checkpoint_seconds(control) is None,
        "disk: set rehearse.keep, or rehearse.checkpoint_every and train.steps": (
            bool(control.saved) and measures.checkpoints_kept(plan) is None
        ),
        "costs: set rehearse.cost, the price of an hour of one GPU": gpus and plan.cost is None,
        "loss: none was logged, so that a resume cannot be judged": not series.losses(control),
    }
    return [words for words, is_missing in missing.items() if is_missing]
