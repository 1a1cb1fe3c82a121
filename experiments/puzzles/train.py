"""Train a recurrent model on puzzles: Sudoku, mazes, ARC.

    python experiments/puzzles/train.py [key=value ...]
    torchrun --nproc-per-node 2 experiments/puzzles/train.py [key=value ...]

Settings come from `exp` (EXP_CONFIG) or the arguments; see settings.py. Exit codes: 0 all steps
done, 75 stopped after saving a checkpoint, 93 a retry would end alike: a setting is wrong, or the
loss is not finite, 130 interrupted by Ctrl-C, which saves nothing.

One optimizer step is one segment of deep supervision for every row of the batch. The loop waits
for the device once in `log_every` steps; the steps that are logged are also timed, phase by phase.
"""

import math
import os
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path

# Waiting threads give way. Spinning saves a third of a step on free cores, and on busy ones made it
# up to a hundred times longer.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# A program is started by its path, so Python looks for packages here and not in the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch import Tensor

from experiments.common.checkpoints import forget_old, save, seed_everything
from experiments.common.member import Voice
from experiments.common.programs import DONE, NO_RETRY, REQUEUE, train_program
from experiments.common.rehearsal import tell_batch
from experiments.common.scores import headline
from experiments.common.world import World, anyone, everyones, total
from experiments.puzzles.evaluation import evaluate, shortened
from experiments.puzzles.feed import draw, drawn, make_feed, turn
from experiments.puzzles.job import Job, Timed, describe, make_job, phases, report
from experiments.puzzles.settings import Settings, read_settings
from experiments.puzzles.state import State, content, read, restore
from experiments.puzzles.study import Study, build
from models.ema import follow, start_average
from models.identity import sign_sgd_
from models.optimizers import make_optimizers, schedule, set_lr
from models.puzzles import Split, read_split
from models.recurrent import cast_weights
from models.stream import fast_groups, take
from models.supervision import (
    SegmentLoss,
    add_losses,
    empty_carry,
    free_slots,
    map_carry,
    refill,
)
from orchestrator import track


def train(voice: Voice, settings: Settings, world: World, saved: Path | None) -> int:
    """Run the remaining steps; the exit code says why it ended.

    Raises:
        ValueError: a setting, the data or the checkpoint cannot be used.
    """
    with voice.run.phase("setup"):
        study = build(settings, world)
        split = read_training(study, settings)
        job = make_job(voice, settings, world, split)
        state = start(job, study, split)
    settings = job.settings
    if saved is not None:
        restore(state, read(saved), settings, world)
    describe(job, state, split)
    looked = logged = state.step
    begun = time.monotonic()
    while True:
        if state.step and due(state.step, settings.eval_every, job.end):
            validate(job, state)
        if state.step >= job.end:
            tell_where(job, state)
            return DONE
        if looked == state.step:
            looked = min(job.end, (state.step // settings.log_every + 1) * settings.log_every)
            turn(state.feed, settings, job.rules.halting, state.step, looked - state.step)
        logs = state.step + 1 == looked
        # A rehearsal logs every step; to time them all would hide the speed of the others.
        timed = logs and track.rehearsal() is None
        loss, norm = one_step(job, state, phases(job, timed=timed))
        stopping = anyone(voice.run.should_stop(), world) and state.step < job.end
        saving = stopping or due(state.step, settings.checkpoint_every, job.end)
        saving = saving or due(state.step, settings.eval_every, job.end)
        # On a processor nothing waits for anything, so every step is looked at.
        if (logs or saving or world.device.type == "cpu") and is_broken(state, saving=saving):
            return give_up(job, state, loss, norm)
        if logs:
            report(job, state, loss, norm)
            now = time.monotonic()
            rate = (state.step - logged) / (now - begun)
            voice.log({"train/steps_per_second": rate}, state.step)
            logged, begun = state.step, now
        if saving:
            checkpoint(job, state)
        if stopping:
            print(f"asked to stop: saved step {state.step} of {job.steps}")
            tell_where(job, state)
            return REQUEUE


def due(step: int, every: int, steps: int) -> bool:
    """Whether something that is done every so many steps, and at the end, is due after `step`."""
    return every > 0 and (step % every == 0 or step == steps)


def read_training(study: Study, settings: Settings) -> Split:
    """The training split. With validations ahead a broken test split is refused here, at once."""
    if settings.eval_every:
        read_split(study.folder, "test")
    return read_split(study.folder, "train")


def tell_where(job: Job, state: State) -> None:
    """Say where the last checkpoint is: nothing else tells a person who trains by hand."""
    folder = job.voice.run.dir / "checkpoints"
    job.voice.say(f"checkpoint: {folder}/step_{job.voice.member.first + state.step}")


def start(job: Job, study: Study, split: Split) -> State:
    """The state before the first step."""
    settings, world = job.settings, job.world
    seed_everything(settings.seed)
    if settings.compile == "blocks":
        for block in (block for net in study.core.nets.values() for block in net):
            block.compile()
    carry = empty_carry(
        study.core,
        settings.batch // world.size,
        study.rows_KI.shape[1],
        device=world.device,
        dtype=study.precision,
    )
    return State(
        step=0,
        study=study,
        optimizers=make_optimizers(
            study.core.parameters(),
            settings.optimizer,
            lr=settings.lr,
            weight_decay=settings.weight_decay,
        ),
        average=start_average(study.core),
        carry=carry,
        feed=make_feed(split, study, settings, world),
        broken=torch.zeros((), dtype=torch.long, device=world.device),
        extra=job.voice.member.extra,
    )


def one_step(job: Job, state: State, timed: Timed) -> tuple[SegmentLoss, Tensor]:
    """One segment for every row and one optimizer step: loss, gradient norm before clipping."""
    core = state.study.core
    with timed("data"):
        free_B, rank_B = free_slots(state.carry)
        since = state.feed.place
        fresh, minimum_B = draw(state.feed, free_B, rank_B, state.step, job.world)
        state.carry = refill(core, state.carry, fresh, minimum_B, job.rules.halting)
        tell_batch(job.voice.member.first + state.step + 1, drawn(state.feed, since))
    for optimizer in state.optimizers:
        optimizer.zero_grad()
    loss, identity_grads_BID = forward_backward(job, state, timed)
    with timed("optimizer"):
        norm = update(job, state, identity_grads_BID)
    state.step += 1
    follow(state.average, core, job.settings.ema, state.step)
    finite = torch.isfinite(loss.total) & torch.isfinite(norm)
    state.broken = torch.where((state.broken == 0) & ~finite, state.step, state.broken)
    return loss, norm


def forward_backward(job: Job, state: State, timed: Timed) -> tuple[SegmentLoss, Tensor]:
    """The loss of the whole batch, its gradients on the weights, and those of the identities.

    The slots of this process are taken in `accumulate` parts, one after the other: less memory,
    the same sums. Losses and gradients of all processes add up to those of the batch.
    """
    core, settings = state.study.core, job.settings
    slots = len(state.carry.halted_B)
    part = slots // settings.accumulate
    left, losses, gradients = [], [], []
    for first in range(0, slots, part):
        carry = map_carry(lambda whole, a=first: whole[a : a + part], state.carry)
        identity_BID = state.study.table.lookup(carry.rows.identifiers_BI)
        with timed("forward"):
            weights = cast_weights(core, state.study.precision)
            carry, loss = job.forward(core, weights, carry, identity_BID, job.rules)
        with timed("backward"):
            loss.total.backward()
        left.append(carry)
        losses.append(loss)
        grad_BID = identity_BID.grad
        if grad_BID is None:  # a set of one identity, and a network without a token for it
            grad_BID = torch.zeros_like(identity_BID)
        gradients.append(grad_BID)
    state.carry = map_carry(lambda *parts: torch.cat(parts), *left)
    whole = add_losses(losses)
    grads = [p.grad for p in core.parameters() if p.grad is not None]
    figures = [getattr(whole, part.name) for part in fields(whole)]
    total([*grads, *(figure for figure in figures if figure is not None)], job.world)
    return whole, torch.cat(gradients)


def update(job: Job, state: State, identity_grads_BID: Tensor) -> Tensor:
    """Move the weights and the identities; the gradient norm before clipping."""
    settings, study = job.settings, state.study
    norm = torch.nn.utils.clip_grad_norm_(study.core.parameters(), settings.clip or math.inf)
    factor = schedule(state.step + 1, settings.warmup, job.steps, settings.lr_end)
    set_lr(state.optimizers, settings.lr * factor)
    for optimizer in state.optimizers:
        optimizer.step()
    sign_sgd_(
        study.table,
        everyones(state.carry.rows.identifiers_BI, job.world),
        everyones(identity_grads_BID, job.world),
        lr=settings.identity_lr * factor,
        weight_decay=settings.identity_weight_decay,
    )
    return norm


def validate(job: Job, state: State) -> None:
    """Score the averaged weights on a random share of the test puzzles; remember the best step.

    Raises:
        ValueError: the evaluation does not give the metric that `best` names.
    """
    settings = job.settings
    split = read_split(state.study.folder, "test")
    chosen = take(split, fast_groups(split, settings.eval_share, settings.seed))
    chosen = shortened(chosen, settings.seed)
    with job.voice.run.phase("eval"):
        found = evaluate(state.study, state.average, chosen, settings).scores
        scores = {f"val/{name}": value for name, value in found.items()}
        job.voice.log(scores, state.step)  # in the phase: this is no step of the training
    job.voice.say(f"step {state.step} validation: {headline(found)}")
    if not settings.best:
        return
    if settings.best not in scores:
        raise ValueError(f"best={settings.best!r}: validation gives {', '.join(sorted(scores))}")
    if state.best is None or scores[settings.best] > state.best[0]:
        state.best = (scores[settings.best], state.step)
        prefix, value = job.voice.member.prefix, scores[settings.best]
        best = {f"{prefix}best/{settings.best}": value, f"{prefix}best/step": state.step}
        job.voice.run.summary(best)


def weights_finite(state: State) -> Tensor:
    """Whether every weight and every row of the identity table is a finite number."""
    tensors = [*state.study.core.parameters(), state.study.table.weight]
    return torch.stack([tensor.isfinite().all() for tensor in tensors]).all()


def is_broken(state: State, *, saving: bool) -> bool:
    """Whether a loss was not finite, or a step has left weights that must not be saved."""
    if saving:
        broken = (state.broken == 0) & ~weights_finite(state)
        state.broken = torch.where(broken, state.step, state.broken)
    return bool(state.broken)


def give_up(job: Job, state: State, loss: SegmentLoss, norm: Tensor) -> int:
    """Say where the loss stopped being finite; the broken weights are not saved."""
    report(job, state, loss, norm)
    weights = "finite" if weights_finite(state) else "not finite"
    what = (
        f"step {int(state.broken)}: loss {float(loss.total)}, gradient norm {float(norm)}, "
        f"weights {weights}"
    )
    job.voice.alert("loss is not finite", f"{what}; stopping")
    return NO_RETRY


def checkpoint(job: Job, state: State) -> None:
    """Save the state; every process gives its part, rank 0 writes and seals it."""
    saved = content(state, job.settings, job.world)
    if job.world.rank != 0:
        return
    run, first = job.voice.run, job.voice.member.first
    with run.phase("checkpoint"):
        step = first + state.step
        folder = run.checkpoint_dir(step)
        save(folder, saved)
        run.checkpoint(folder, step)
        best = None if state.best is None else first + state.best[1]
        forget_old(folder.parent, job.settings.keep, best, first)


if __name__ == "__main__":
    train_program(asdict(Settings()), read_settings, train)
