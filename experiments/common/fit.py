"""The training loop of models that learn from independent rows: SAGE and the language models.

One process. A step takes the next `batch` rows of an endless stream, in `accumulate` parts; losses
and gradients are those of the whole batch (models/objective.py). Every step is looked at before the
weights move: a loss or gradient that is not finite stops the training with the terms named, the
weights still good, and all that is needed to see it again in non_finite/step_N.pt of the run.
"""

import math
import resource
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.common import checkpoints
from experiments.common.member import Voice
from experiments.common.programs import DONE, NO_RETRY, REQUEUE
from experiments.common.rehearsal import last_step, paced, tell_batch
from experiments.common.settings import TrainingSettings
from experiments.common.task import (
    Looked,
    Task,
    computing,
    detached,
    look,
    measure,
    named,
    sample,
    using,
)
from experiments.common.world import World
from models.ema import check_decay, follow, start_average
from models.objective import added, check_counts, combine, not_finite
from models.optimizers import make_optimizers, schedule, set_lr
from models.stream import Passes

# Settings that may be others when a training goes on; all the rest decide what it becomes.
_FREE = {"steps", "eval_every", "eval_batch", "best", "checkpoint_every", "keep", "log_every"}
_FREE |= {"device", "threads"}
_PARTS = {"step", "module", "average", "facts", "attached", "settings", "extra"}


@dataclass(slots=True, kw_only=True)
class State:
    """What changes while training; `best` is a value of the declared metric and its step.

    `random` are the generators before the last step: with them a step can be made again.
    """

    step: int
    optimizers: tuple[torch.optim.Optimizer, ...]
    average: dict[str, Tensor]
    best: tuple[float, int] | None = None
    random: dict[str, Any] = field(default_factory=checkpoints.generators)
    validated: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What does not change while training.

    `steps` are planned, and the schedule's; a rehearsal ends before, after step `end`.
    """

    voice: Voice
    task: Task[Any]
    settings: TrainingSettings
    device: torch.device
    steps: int
    end: int
    rows: Passes


def planned_steps(settings: TrainingSettings, examples: int) -> int:
    """Optimizer steps of the training: as told, or those that `epochs` over the examples take."""
    return settings.steps or math.ceil(settings.epochs * examples / settings.batch)


def fit(
    voice: Voice, task: Task[Any], settings: TrainingSettings, world: World, saved: Path | None
) -> int:
    """Train from the start or from a checkpoint; the exit code says why it ended.

    Raises:
        ValueError: a setting, the data or the checkpoint cannot be used.
    """
    if world.size > 1:
        raise ValueError(f"{world.size} processes: this program trains in one; leave torchrun out")
    steps = planned_steps(settings, task.sizes["train"])
    if settings.ema:
        check_decay(settings.ema, steps)
    job = Fit(
        voice=voice,
        task=task,
        settings=paced(settings),
        device=world.device,
        steps=steps,
        end=last_step(steps),
        rows=Passes(task.sizes["train"], settings.seed),
    )
    state = State(
        step=0,
        optimizers=make_optimizers(
            task.module.parameters(),
            settings.optimizer,
            lr=settings.lr,
            weight_decay=settings.weight_decay,
        ),
        average=start_average(task.module),
    )
    if saved is not None:
        restore(job, state, read_state(saved))
    voice.run.define_metric(f"{voice.member.prefix}train/loss", goal="min")
    return run_steps(job, state)


def _bound(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a training must go on with: its data, its network, and what it minimizes how."""
    chosen = {k: v for k, v in content["settings"].items() if k not in _FREE}
    return chosen | dict(content["facts"])


def run_steps(job: Fit, state: State) -> int:
    """The remaining steps; the exit code."""
    settings, run = job.settings, job.voice.run
    logged, spent = state.step, 0.0
    while True:
        if state.step and due(state.step, settings.eval_every, job.end):
            validate(job, state)
        if state.step >= job.end:
            tell_where(job, state)
            return DONE
        begun = time.monotonic()
        looked = one_step(job, state)
        spent += time.monotonic() - begun
        if looked.broken:
            return give_up(job, state, looked)
        if due(state.step, settings.log_every, job.end):
            report(job, state, looked, (state.step - logged) / spent)
            logged, spent = state.step, 0.0
        stopping = run.should_stop() and state.step < job.end
        saving = stopping or due(state.step, settings.checkpoint_every, job.end)
        if saving or due(state.step, settings.eval_every, job.end):
            checkpoint(job, state)
        if stopping:
            job.voice.say(f"asked to stop: saved step {state.step} of {job.steps}")
            tell_where(job, state)
            return REQUEUE


def due(step: int, every: int, steps: int) -> bool:
    """Whether something that is done every so many steps, and at the end, is due after `step`."""
    return every > 0 and (step % every == 0 or step == steps)


def tell_where(job: Fit, state: State) -> None:
    """Say where the last checkpoint is: nothing else tells a person who trains by hand."""
    folder = job.voice.run.dir / "checkpoints"
    job.voice.say(f"checkpoint: {folder}/step_{job.voice.member.first + state.step}")


def rows_of(job: Fit, step: int) -> NDArray[np.int64]:
    """The rows of the step after `step`; the last step of whole epochs may have fewer."""
    first, last = step * job.settings.batch, (step + 1) * job.settings.batch
    if job.settings.epochs:
        last = min(last, job.settings.epochs * job.task.sizes["train"])
    return job.rows.window(first, last - first)


def one_step(job: Fit, state: State) -> Looked:
    """One batch: its gradients, and the update if everything is finite."""
    task, settings = job.task, job.settings
    rows = rows_of(job, state.step)
    tell_batch(job.voice.member.first + state.step + 1, rows)
    # The last batch of whole epochs may have fewer rows than there are to be parts.
    cut = np.array_split(rows, min(settings.accumulate, len(rows)))
    parts = [task.batch(some, "train") for some in cut]
    counts = added(task.counts(part) for part in parts)
    check_counts(counts, f"batch of step {state.step + 1}")
    weights = task.weights.at(state.step)
    state.random = checkpoints.generators()
    for optimizer in state.optimizers:
        optimizer.zero_grad()
    task.module.train()
    done = []
    for part in parts:
        with computing(settings, job.device):
            objective = combine(task.totals(part), counts, weights)
        objective.total.backward()
        done.append(detached(objective))
    norm = nn.utils.clip_grad_norm_(task.module.parameters(), settings.clip or math.inf)
    looked = look(done, norm)
    if not looked.broken:
        factor = schedule(state.step + 1, settings.warmup, job.steps, settings.lr_end)
        set_lr(state.optimizers, settings.lr * factor)
        for optimizer in state.optimizers:
            optimizer.step()
        state.step += 1
        follow(state.average, task.module, settings.ema, state.step)
    return looked


def validate(job: Fit, state: State) -> None:
    """Measure the averaged weights; remember the best step; say if nothing has changed.

    val/loss and seen/loss are one function on val and on as many training examples; val/gap is the
    first over the second.

    Raises:
        ValueError: the validation does not give the metric that `best` names.
    """
    task, settings, voice = job.task, job.settings, job.voice
    with voice.run.phase("eval"):
        with using(task.module, state.average):
            val = measure(task, "val", sample(task, "val"), settings, state.step)
            seen = measure(task, "train", sample(task, "train"), settings, state.step)
            scores = task.scores()
        points = {f"val/{name}": value for name, value in (val | scores).items()}
        points["seen/loss"] = seen["loss"]
        if seen["loss"]:
            points["val/gap"] = val["loss"] / seen["loss"]
        voice.log(points, state.step)  # in the phase: this is no step of the training
    if wrong := not_finite(points):
        voice.alert("validation is not finite", f"step {state.step}: {', '.join(wrong)}")
    shown = {name: value for name, value in scores.items() if "/" not in name}
    told = " ".join(f"{k}={v:.4f}" for k, v in ({"loss": val["loss"]} | shown).items())
    voice.say(f"step {state.step} validation: {told} gap={points.get('val/gap', math.nan):.3f}")
    if points == state.validated:
        voice.alert(
            "validation has not moved",
            f"step {state.step}: every number is bit for bit that of the validation before",
        )
    state.validated = points
    if settings.best:
        lower = settings.best.removeprefix("val/") in {*val, "gap", *task.lower_is_better}
        keep_best(job, state, points, lower=lower)


def keep_best(job: Fit, state: State, points: Mapping[str, float], *, lower: bool) -> None:
    """Remember the step if its value is the best one so far, the lowest or the highest.

    Raises:
        ValueError: the validation does not give the metric that `best` names.
    """
    best = job.settings.best
    if best not in points:
        raise ValueError(f"best={best!r}: validation gives {', '.join(sorted(points))}")
    value = points[best]
    if state.best is None or (value < state.best[0] if lower else value > state.best[0]):
        state.best = (value, state.step)
        prefix = job.voice.member.prefix
        job.voice.run.summary({f"{prefix}best/{best}": value, f"{prefix}best/step": state.step})


def report(job: Fit, state: State, looked: Looked, rate: float) -> None:
    """Log and print a step."""
    lr = float(state.optimizers[0].param_groups[0]["lr"])
    points = {f"train/{name}": value for name, value in named(looked).items()}
    points |= {"train/lr": lr, "train/grad_norm": looked.norm, "train/steps_per_second": rate}
    points["train/peak_memory_gb"] = peak_memory(job.device) / 2**30
    job.voice.log(points, state.step)
    terms = " ".join(f"{name} {value:.4f}" for name, value in looked.raw.items())
    zero = " (exactly 0: no weight moves)" if lr == 0 else ""
    job.voice.say(
        f"step {state.step} loss {looked.loss:.4f} {terms} lr {lr:.3e}{zero} grad {looked.norm:.2f}"
    )
    if lr == 0 and state.step < job.steps:
        job.voice.alert("learning rate is 0", f"step {state.step}: lr is exactly 0")


def peak_memory(device: torch.device) -> int:
    """Most bytes in use so far: of the GPU by tensors, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def give_up(job: Fit, state: State, looked: Looked) -> int:
    """Say which terms are not finite; keep the batch and the weights that made them."""
    folder = job.voice.run.dir / "non_finite"
    folder.mkdir(exist_ok=True)
    step = state.step + 1
    path = folder / f"step_{job.voice.member.first + step}.pt"
    torch.save(
        {
            "step": step,
            "rows": rows_of(job, state.step).tolist(),
            "raw": looked.raw,
            "weighted": looked.weighted,
            "gradient_norm": looked.norm,
            "random": state.random,
            "module": job.task.module.state_dict(),
            "settings": asdict(job.settings),
        },
        path,
    )
    what = ", ".join(f"{k} is {v}" for k, v in looked.raw.items() if k in looked.broken)
    what = what or f"all terms are finite, the gradient norm is {looked.norm}"
    job.voice.alert(
        "loss is not finite", f"step {step}: {what}; batch and weights are in {path}; stopping"
    )
    return NO_RETRY


def checkpoint(job: Fit, state: State) -> None:
    """Save and seal the state."""
    run, first = job.voice.run, job.voice.member.first
    with run.phase("checkpoint"):
        folder = run.checkpoint_dir(first + state.step)
        checkpoints.save(folder, content(job, state))
        run.checkpoint(folder, first + state.step)
        best = None if state.best is None else first + state.best[1]
        checkpoints.forget_old(folder.parent, job.settings.keep, best, first)


def content(job: Fit, state: State) -> dict[str, Any]:
    """What a checkpoint holds."""
    return {
        "step": state.step,
        "module": job.task.module.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in state.optimizers],
        "average": state.average,
        "best": state.best,
        "validated": state.validated,
        "random": checkpoints.generators(),
        "facts": dict(job.task.facts),
        "attached": dict(job.task.attached),
        "settings": asdict(job.settings),
        "extra": job.voice.member.extra,
    }


def read_state(path: Path) -> dict[str, Any]:
    """The content of a checkpoint of this loop.

    Raises:
        ValueError: it cannot be read, or another program wrote it.
    """
    return checkpoints.read(path, _PARTS, "experiments/sage or experiments/distill")


def restore(job: Fit, state: State, saved: Mapping[str, Any]) -> None:
    """Put a saved state into the module and `state`, in place.

    Raises:
        ValueError: it is of another model, other data, or settings that it cannot go on with.
    """
    here = {"facts": job.task.facts, "settings": asdict(job.settings)}
    checkpoints.check_same(_bound(saved), _bound(here))
    job.task.module.load_state_dict(saved["module"])
    for optimizer, its_state in zip(state.optimizers, saved["optimizers"], strict=True):
        optimizer.load_state_dict(its_state)
    for name, tensor in saved["average"].items():
        state.average[name].copy_(tensor)
    state.step, state.best, state.validated = saved["step"], saved["best"], saved["validated"]
    checkpoints.set_generators(saved["random"])
