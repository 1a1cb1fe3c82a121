"""Stages of a rehearsal as a healthy program leaves them, for tests to break one thing of."""

from dataclasses import replace

from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.finding import Quote
from orchestrator.domain.rehearsal import PhaseMemory, PhaseSpan, Plan, Saved, StageFacts
from orchestrator.domain.run import ExitRecord

MIB = 1024**2
GIB = 1024**3
BEGAN = 1000.0
LOSSES = {1: 4.0, 2: 3.5, 3: 3.1, 4: 2.8, 5: 2.6, 6: 2.5}
BATCHES = {step: f"digest-{step}" for step in LOSSES}
PLAN = Plan(
    steps=6,
    every=3,
    examples=32,
    accumulation=1,
    world=1,
    planned_steps=10_000,
    eval_every=1_000,
    checkpoint_every=1_000,
    keep=2,
    grace=30.0,
    tolerance=1e-3,
    budget=600.0,
)


def ended(code=0, signal=None):
    """The record of an end."""
    return ExitRecord(code=code, signal=signal, started=BEGAN, ended=BEGAN + 20, recorded_by="shim")


def saved(step, *, size=10 * MIB, problem=None, took=0.1):
    """A checkpoint with its proof."""
    checkpoint = Checkpoint(
        step=step,
        path=f"checkpoints/step_{step}",
        bytes=size,
        files=2,
        time=BEGAN + step,
        valid=problem is None,
        attempt=1,
    )
    return Saved(checkpoint=checkpoint, problem=problem, took=took)


def span(phase, after, seconds=0.5, error=None):
    """A phase that began half a second after a step."""
    return PhaseSpan(
        phase=phase, began=BEGAN + after + 0.1, seconds=seconds, error=error, after=after
    )


def memory(phase, used, *, device="cuda:0", total=80 * GIB, rank=0, reserved=None):
    """A peak: of a GPU by tensors and on the device, of the host by the process."""
    on_gpu = used if device != "host" else None
    return PhaseMemory(
        phase=phase,
        device=device,
        rank=rank,
        allocated=used,
        reserved=reserved or on_gpu,
        used=reserved or on_gpu,
        total=total,
    )


def quote(text):
    """The end of a log."""
    return Quote(source="out.log", line=17, text=text)


def stage(name="control", **changes):
    """An execution of 6 steps a second apart, with validation and a checkpoint after every 3."""
    healthy = StageFacts(
        name=name,
        phase="train",
        folder=f".exp/rehearsals/T-0001/1/{name}",
        log=f".exp/rehearsals/T-0001/1/{name}/attempt-1/out.log",
        asked=True,
        exit=ended(),
        seconds=20.0,
        values={"train/loss": dict(LOSSES), "lr": dict.fromkeys(LOSSES, 1e-3)},
        batches=dict(BATCHES),
        pace=tuple((step, BEGAN + step) for step in LOSSES),
        phases=(span("eval", 3, 0.2), span("eval", 6, 0.2)),
        saved=(saved(3), saved(6)),
        optimizer_steps=6,
        scheduler_steps=6,
        subset=(32, 32),
    )
    return replace(healthy, **changes)


def resumed(losses=None, *, batches=None, **changes):
    """The process after the kill: steps 4 to 6."""
    behind = {step: LOSSES[step] for step in (4, 5, 6)} if losses is None else losses
    taken = {step: BATCHES.get(step, "other") for step in behind} if batches is None else batches
    values = {"train/loss": behind, "lr": dict.fromkeys(behind, 1e-3)}
    parts = {"values": values, "batches": taken, "phases": (), "saved": (saved(6),)}
    pace = tuple((step, BEGAN + step) for step in behind)
    return stage("resumed", **{**parts, "pace": pace, **changes})


def killed(**changes):
    """The process that was killed behind the checkpoint of step 3."""
    values = {"train/loss": {step: LOSSES[step] for step in (1, 2, 3, 4)}}
    parts = {"values": values, "saved": (saved(3),), "exit": None, "ended_by": "kill"}
    parts["batches"] = {step: BATCHES[step] for step in (1, 2, 3, 4)}
    return stage("killed", **{**parts, **changes})


def evaluation(name="evaluate", **changes):
    """An execution of [evaluate]."""
    metrics = {"eval/exact": 0.25, "eval/loss": 2.4, "eval/seconds": 3.2}
    return stage(name, **{"phase": "eval", "metrics": metrics, "saved": (), **changes})


def terminated(**changes):
    """A program that saved two seconds after SIGTERM and asks to be started again."""
    parts = {"exit": ended(75), "terminated_after": 2.5, "saved_after": 2.0}
    return stage("terminated", **{**parts, **changes})
