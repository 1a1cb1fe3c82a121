"""A training as the settings describe it: what does not change while it runs, and what it says."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from experiments.common.member import Voice
from experiments.common.rehearsal import last_step, paced
from experiments.common.world import World
from experiments.puzzles.settings import Settings
from experiments.puzzles.state import State
from models.ema import check_decay
from models.losses import LossConfig
from models.puzzles import Split
from models.recurrent import count_parameters
from models.stream import steps_of
from models.supervision import Carry, Halting, SegmentLoss, Supervision, supervise

Timed = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What does not change while training.

    `steps` are planned, and the schedule's; a rehearsal ends before, after step `end`.
    """

    voice: Voice
    settings: Settings
    world: World
    steps: int
    end: int
    rules: Supervision
    forward: Callable[..., tuple[Carry, SegmentLoss]]


def make_job(voice: Voice, settings: Settings, world: World, split: Split) -> Job:
    """What the settings mean on this data and these processes.

    Raises:
        ValueError: the epochs make no step, the average is too slow for the run, or the batch
            cannot be shared.
    """
    steps = settings.steps or steps_of(settings.epochs, split, settings.batch)
    if steps == 0:
        raise ValueError(f"epochs={settings.epochs}: less than one batch of {settings.batch}")
    if settings.ema:
        check_decay(settings.ema, steps)
    if settings.batch % (world.size * settings.accumulate):
        raise ValueError(
            f"batch={settings.batch}: {world.size} processes with accumulate="
            f"{settings.accumulate} cannot share it evenly"
        )
    mode = {"segment": "default", "graphs": "reduce-overhead"}.get(settings.compile)
    return Job(
        voice=voice,
        settings=paced(settings),
        world=world,
        steps=steps,
        end=last_step(steps),
        rules=Supervision(
            halting=Halting(
                segments=settings.segments,
                exploration=settings.exploration,
                drawn=settings.exploration_drawn,
                rule=settings.halting,
                continue_target=settings.continue_target,
            ),
            loss=LossConfig(
                kind="softmax" if settings.loss == "softmax" else "stablemax",
                precision="float64" if settings.loss == "stablemax64" else "float32",
            ),
            rows_total=settings.batch,
        ),
        forward=supervise if mode is None else torch.compile(supervise, mode=mode),
    )


def phases(job: Job, *, timed: bool) -> Timed:
    """`run.phase`, or nothing; a GPU is waited for at both ends of a phase that is timed."""

    @contextmanager
    def phase(name: str) -> Iterator[None]:
        if job.world.device.type == "cuda":
            torch.cuda.synchronize()
        with job.voice.run.phase(name):
            yield
            if job.world.device.type == "cuda":
                torch.cuda.synchronize()

    return phase if timed and job.world.rank == 0 else lambda _: nullcontext()


def describe(job: Job, state: State, split: Split) -> None:
    """Say what is trained on what, on rank 0."""
    run, member = job.voice.run, job.voice.member
    if run.rank != 0:
        return
    meta = state.study.meta
    puzzles = len(split.group_indices_G1) - 1
    parameters = count_parameters(state.study.core)
    run.config.update(asdict(job.settings) | {"data_name": meta.name})
    run.define_metric(f"{member.prefix}train/loss", unit="nats", goal="min")
    run.summary({f"{member.prefix}parameters": parameters, "puzzles": puzzles})
    job.voice.say(
        f"{meta.name}: {puzzles} puzzles, {split.examples} examples; "
        f"{job.settings.model} with {parameters:,} parameters; step {state.step} of {job.steps}",
    )


def report(job: Job, state: State, loss: SegmentLoss, norm: Tensor) -> None:
    """Log and print the step; the figures are those of the whole batch.

    leaving: the share of rows that leave after this step; leaving_exact: the share of those that
    are right, which HRM and TRM report as accuracy; leaving_age: how many segments they had. Where
    no row leaves, the last two are left out.
    """
    rate = state.optimizers[0].param_groups[0]["lr"]
    parts = {
        "train/loss": loss.total,
        "train/grid_loss": loss.grid,
        "train/halt_loss": loss.halt,
        "train/exact": loss.exact,
        "train/lr": rate,
        "train/grad_norm": norm,
        "train/leaving": loss.left,
    }
    if loss.q_continue is not None:
        parts["train/continue_loss"] = loss.q_continue
    if left := float(loss.left):
        parts["train/leaving_exact"] = float(loss.left_exact) / left
        parts["train/leaving_age"] = float(loss.left_age) / left
    job.voice.log(parts, state.step)
    job.voice.say(
        f"step {state.step} loss {float(loss.total):.4f} exact {float(loss.exact):.3f} "
        f"lr {rate:.2e} grad {float(norm):.2f}",
    )
