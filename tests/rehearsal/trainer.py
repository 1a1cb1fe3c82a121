"""A training program with one fault at a time: `trainer.py [evaluate]`, told by EXP_CONFIG.

A linear model with momentum in plain Python: parameters, optimizer state, a loader with a position,
a schedule, checkpoints. `params.fault` names what is wrong with it; empty means nothing.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from orchestrator import track

CONFIG = json.loads(Path(os.environ["EXP_CONFIG"]).read_text())
FAULT = CONFIG.get("fault", "")
DATA = [(x / 50, 3 * x / 50 - 1) for x in range(-50, 50)]
HELD_OUT = [(x / 20 + 0.01, 3 * (x / 20 + 0.01) - 1) for x in range(200)]
RANK = int(os.environ.get("RANK", "0"))
STEPS, ACCUMULATION, BATCH = CONFIG["steps"], CONFIG["accumulation"], 4


class Loader:
    """Examples in a shuffled order; a position that a resume goes on from."""

    def __init__(self, position=0):
        self.order = list(range(len(DATA)))
        random.Random(7).shuffle(self.order)
        self.position = position

    def batch(self):
        ids = [self.order[(self.position + i) % len(DATA)] for i in range(BATCH)]
        self.position += BATCH
        return ids


class Trainer:
    """All the state that a checkpoint must hold."""

    def __init__(self):
        self.weights, self.momentum, self.step = [0.0, 0.0], [0.0, 0.0], 0
        self.scheduled = 0
        self.loader = Loader()

    def rate(self):
        return 0.1 * max(0.0, 1 - self.scheduled / STEPS)

    def update(self, told):
        gradient, loss, ids = [0.0, 0.0], 0.0, []
        for _ in range(ACCUMULATION):
            batch = self.loader.batch()
            ids += batch
            for x, y in (DATA[i] for i in batch):
                error = self.weights[0] * x + self.weights[1] - y
                loss += error * error
                gradient[0] += 2 * error * x
                gradient[1] += 2 * error
            if FAULT == "micro-schedule":
                self.scheduled += 1
        count = BATCH * ACCUMULATION
        rate = self.rate()
        for i in range(2):
            self.momentum[i] = 0.9 * self.momentum[i] + gradient[i] / count
            self.weights[i] -= rate * self.momentum[i]
        self.step += 1
        if FAULT != "micro-schedule":
            self.scheduled += 1
        if told:
            told.batch(self.step, ids)
        return {"train/loss": loss / count, "lr": rate}

    def state(self):
        state = {"weights": self.weights, "step": self.step, "scheduled": self.scheduled}
        if FAULT != "no-optimizer-state":
            state["momentum"] = self.momentum
        if FAULT != "replays":
            state["position"] = self.loader.position
        return state

    def load(self, state):
        self.weights, self.step = state["weights"], state["step"]
        self.scheduled = state["scheduled"]
        self.momentum = state.get("momentum", [0.0, 0.0])
        self.loader = Loader(os.getpid() if FAULT == "no-position" else state.get("position", 0))


def loss_of(weights, examples):
    return sum((weights[0] * x + weights[1] - y) ** 2 for x, y in examples) / len(examples)


def held_out(told):
    return HELD_OUT[: told.subset(len(HELD_OUT))] if told else HELD_OUT


def validate(run, trainer, told):
    with run.phase("eval"):
        if FAULT == "eval-raises":
            raise RuntimeError("Inplace update to inference tensor outside InferenceMode")
        if FAULT == "eval-memory":
            hoard = bytearray(CONFIG["hoard"])
            hoard[::4096] = b"x" * len(hoard[::4096])
        if FAULT == "slow-eval":
            time.sleep(0.4)
        run.log({"val/loss": loss_of(trainer.weights, held_out(told))}, step=trainer.step)


def save(run, trainer):
    with run.phase("checkpoint"):
        folder = run.checkpoint_dir(trainer.step)
        (folder / "state.json").write_text(json.dumps(trainer.state()))
        (folder / "filling.bin").write_bytes(b"\0" * CONFIG.get("filling", 100))
        run.checkpoint(folder, trainer.step)
        if FAULT == "torn":
            os.truncate(folder / "filling.bin", 10)
    if FAULT == "eval-needs-state":
        (run.dir / "weights.json").write_text(json.dumps(trainer.weights))


def leave_behind():
    """A block of shared memory that nobody frees, and a process that outlives us."""
    Path("/dev/shm", CONFIG["block"]).write_bytes(b"x" * 5000)
    if os.fork() == 0:
        time.sleep(600)


def train():
    print(f"CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES')}", flush=True)
    if FAULT == "ignores-sigterm":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    told = None if FAULT == "ignores-contract" else track.rehearsal()
    run, trainer = track.init(), Trainer()
    if FAULT == "leaves":
        leave_behind()
    last, every = STEPS, CONFIG["eval_every"]
    if told:
        last, every = told.steps, told.every
    saved = track.resume_path()
    if saved is not None:
        trainer.load(json.loads((saved / "state.json").read_text()))
        # Many programs look where they stand before they go on, and mark no phase around it.
        run.log({"val/loss": loss_of(trainer.weights, held_out(told))}, step=trainer.step)
    while trainer.step < last:
        time.sleep(0.01)
        values = trainer.update(told)
        if RANK:  # its own part of the data, in no order that repeats itself
            values["train/loss"] += os.getpid()
        run.log(values, step=trainer.step)
        stop = FAULT != "ignores-sigterm" and run.should_stop()
        if not stop and trainer.step % every == 0 and not RANK:
            validate(run, trainer, told)
        if (stop or trainer.step % every == 0) and not RANK:
            save(run, trainer)
        if stop:
            run.finish(75)
            sys.exit(75)
    run.finish()


def evaluate():
    told = track.rehearsal()
    with track.init() as run:
        if FAULT == "eval-needs-state":
            weights = json.loads((run.dir / "weights.json").read_text())
        else:
            weights = json.loads((track.resume_path() / "state.json").read_text())["weights"]
        with run.phase("eval"):
            run.log({"test/loss": loss_of(weights, held_out(told))}, step=STEPS)


if __name__ == "__main__":
    evaluate() if sys.argv[1:] == ["evaluate"] else train()
