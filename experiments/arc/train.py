"""Train the recurrent core on the solved pairs of an ARC subset.

    python experiments/arc/train.py [key=value ...]
    torchrun --nproc-per-node 2 experiments/arc/train.py [key=value ...]

Settings come from `exp` (EXP_CONFIG) or the arguments; see settings.py. Exit codes: 0 all steps
done, 75 stopped after saving a checkpoint, 93 a retry would end alike: a setting is wrong, or the
loss is not finite.
"""

import math
import os
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

# Waiting threads give way. Spinning saves a third of a step on free cores, and on busy ones made it
# up to a hundred times longer.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# A program is started by its path, so Python looks for packages here and not in the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch import Tensor

from experiments.arc.settings import Settings, Study, build, read_settings
from experiments.arc.state import State, own_part, read, restore, save, seed_everything
from experiments.arc.world import (
    World,
    anyone,
    average,
    end_process,
    gather,
    join_world,
    leave_world,
)
from models.arc import Examples, draw_order, training_examples
from models.ema import check_decay, follow, start_average
from models.recurrent import count_parameters
from models.supervision import Halting, Rows, SegmentLoss, empty_carry, refill, supervise
from orchestrator import track

DONE, REQUEUE, NO_RETRY = 0, 75, 93


def main() -> int:
    """Train to the end, to a stop request or to a loss that is not finite."""
    run = track.init(config=asdict(Settings()))
    try:
        settings = read_settings(run.config, sys.argv[1:])
        check_decay(settings.ema, settings.steps)
        study = build(settings)
    except ValueError as error:
        print(f"train.py: {error}", file=sys.stderr)
        run.finish(NO_RETRY, str(error))
        return NO_RETRY
    torch.set_num_threads(settings.threads)
    world = join_world()
    try:
        code = train(run, settings, study, world)
    finally:
        leave_world(world)
    run.finish(code)
    return code


def train(run: track.Run, settings: Settings, study: Study, world: World) -> int:
    """Run the remaining steps; the exit code says why it ended."""
    examples = training_examples(study.tasks, study.variants, study.subset.side, settings.identity)
    state = start(settings, study, examples, world)
    describe(run, settings, study, examples, state)
    begun, first = time.monotonic(), state.step
    while state.step < settings.steps:
        loss, norm = one_step(state, settings, examples, world)
        if not math.isfinite(norm) or not math.isfinite(float(loss.total)):
            return give_up(run, state, loss, norm)
        if state.step % settings.log_every == 0 or state.step == settings.steps:
            report(run, state, loss, norm)
            speed = (state.step - first) / (time.monotonic() - begun)
            log(run, state, {"train/steps_per_second": speed})
        stopping = anyone(run.should_stop(), world) and state.step < settings.steps
        due = state.step % settings.checkpoint_every == 0 or state.step == settings.steps
        if stopping or due:
            checkpoint(run, state, settings, world)
        if stopping:
            print(f"asked to stop: saved step {state.step} of {settings.steps}")
            return REQUEUE
    return DONE


def start(settings: Settings, study: Study, examples: Examples, world: World) -> State:
    """The state before the first step, or the one that the newest checkpoint holds."""
    identity = list(study.core.identity.parameters())
    others = [p for n, p in study.core.named_parameters() if not n.startswith("identity.")]
    groups = [
        {"params": others, "scale": settings.lr},
        {"params": identity, "scale": settings.identity_lr},
    ]
    optimizer = torch.optim.AdamW(
        groups, lr=settings.lr, betas=(0.9, 0.95), weight_decay=settings.weight_decay, fused=True
    )
    state = State(
        step=0,
        core=study.core,
        optimizer=optimizer,
        average=start_average(study.core),
        carry=empty_carry(study.core, settings.batch, examples.identifiers_RI.shape[1]),
        place=0,
    )
    seed_everything(settings.seed + 1_000_003 * world.rank)
    saved = track.resume_path()
    if saved is not None:
        restore(state, read(saved), world.rank, world.size)
    return state


def one_step(
    state: State, settings: Settings, examples: Examples, world: World
) -> tuple[SegmentLoss, float]:
    """One segment for every row and one optimizer step; loss and gradient norm before clipping."""
    halting = Halting(segments=settings.segments, exploration=settings.exploration)
    fresh = draw(state, settings, examples, world)
    state.carry = refill(state.core, state.carry, fresh, halting)
    state.carry, loss = supervise(state.core, state.carry, halting, settings.loss)
    state.optimizer.zero_grad()
    loss.total.backward()
    loss = replace(loss, total=loss.total.detach())
    grads = [p.grad for p in state.core.parameters() if p.grad is not None]
    average([*grads, loss.total, loss.grid, loss.halt, loss.exact], world)
    norm = torch.nn.utils.clip_grad_norm_(state.core.parameters(), settings.clip)
    factor = schedule(state.step, settings)
    for group in state.optimizer.param_groups:
        group["lr"] = group["scale"] * factor
    state.optimizer.step()
    state.step += 1
    # An average that starts slowly: its memory is never longer than what there is to remember.
    follow(state.average, state.core, min(settings.ema, state.step / (state.step + 9)))
    return loss, float(norm)


def draw(state: State, settings: Settings, examples: Examples, world: World) -> Rows:
    """The next examples of this process, one for each free slot; processes take turns."""
    count = int(state.carry.halted_B.sum())
    stream = draw_order(
        len(examples.cells_RS),
        settings.seed,
        state.place * world.size,
        count * world.size,
    )
    state.place += count
    mine = stream[world.rank :: world.size]
    return Rows(
        cells_BS=torch.from_numpy(examples.cells_RS[mine]),
        labels_BS=torch.from_numpy(examples.labels_RS[mine]),
        identifiers_BI=torch.from_numpy(examples.identifiers_RI[mine]),
    )


def schedule(step: int, settings: Settings) -> float:
    """Factor of the learning rates at the step after `step`: linear warm-up, then a cosine."""
    rising = min(1.0, (step + 1) / max(settings.warmup, 1))
    cosine = 0.5 * (1 + math.cos(math.pi * step / settings.steps))
    return rising * (settings.lr_end + (1 - settings.lr_end) * cosine)


def give_up(run: track.Run, state: State, loss: SegmentLoss, norm: float) -> int:
    """Say where the loss stopped being finite; the broken weights are not saved."""
    report(run, state, loss, norm)
    what = f"step {state.step}: loss {float(loss.total)}, gradient norm {norm}"
    run.alert("loss is not finite", what, "error")
    print(f"{what}; stopping", flush=True)
    return NO_RETRY


def checkpoint(run: track.Run, state: State, settings: Settings, world: World) -> None:
    """Save the state; every process gives its part, rank 0 writes and seals it."""
    parts = gather(own_part(state), world)
    if world.rank == 0:
        with run.phase("checkpoint"):
            folder = run.checkpoint_dir(state.step)
            save(folder, state, parts, asdict(settings))
            run.checkpoint(folder, state.step)


def describe(
    run: track.Run, settings: Settings, study: Study, examples: Examples, state: State
) -> None:
    """Say what is trained on what, on rank 0."""
    if run.rank != 0:
        return
    run.config.update(asdict(settings) | {"subset": study.subset.name})
    run.define_metric("train/loss", unit="nats", goal="min")
    parameters = count_parameters(study.core)
    run.summary({"parameters": parameters, "tasks": len(study.tasks)})
    print(
        f"{study.subset.name}: {len(study.tasks)} tasks, {len(study.variants)} views, "
        f"{len(examples.cells_RS)} solved pairs; {parameters:,} parameters; "
        f"step {state.step} of {settings.steps}",
        flush=True,
    )


def log(run: track.Run, state: State, values: dict[str, float | Tensor]) -> None:
    """Write points, on rank 0 only: one series, not one per process."""
    if run.rank == 0:
        run.log(values, step=state.step)


def report(run: track.Run, state: State, loss: SegmentLoss, norm: float) -> None:
    """Log and print the step; the figures are means over all processes already."""
    rate = state.optimizer.param_groups[0]["lr"]
    parts: dict[str, float | Tensor] = {
        "train/loss": loss.total,
        "train/grid_loss": loss.grid,
        "train/halt_loss": loss.halt,
        "train/exact": loss.exact,
        "train/lr": rate,
        "train/grad_norm": norm,
    }
    log(run, state, parts)
    if run.rank != 0:
        return
    print(
        f"step {state.step} loss {float(loss.total):.4f} exact {float(loss.exact):.3f} "
        f"lr {rate:.2e} grad {norm:.2f}",
        flush=True,
    )


if __name__ == "__main__":
    end_process(main())
