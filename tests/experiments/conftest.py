"""The programs of the puzzle studies as real processes on tiny configurations."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from experiments.common.checkpoints import save
from experiments.common.member import Member, Voice
from experiments.common.world import World
from experiments.puzzles.feed import turn
from experiments.puzzles.job import make_job, phases
from experiments.puzzles.state import content
from experiments.puzzles.study import build
from experiments.puzzles.train import one_step
from experiments.puzzles.train import start as first_state
from models.puzzles import read_split
from orchestrator.track.checkpoints import write_manifest

ROOT = Path(__file__).resolve().parents[2]
PUZZLES = ROOT / "experiments" / "puzzles"
TWO_WORKERS = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
DEADLINE = 240.0

# Rows stay for up to three segments, so some are in the middle of their lives at every checkpoint.
SUDOKU = {
    "data": "sudoku-4x4",
    "train_puzzles": 24,
    "test_puzzles": 20,
    "augmentations": 1,
    "givens": [6, 10],
    "model": "trm",
    "width": 8,
    "heads": 2,
    "inner": 1,
    "segments": 3,
    "exploration": 0.5,
    "loss": "stablemax",
    "optimizer": "adam_atan2",
    "batch": 4,
    "lr": 1e-2,
    "warmup": 5,
    "ema": 0.9,
    "steps": 80,
    "checkpoint_every": 10,
    "eval_every": 20,
    "eval_share": 1.0,
    "eval_segments": [2, 4],
    "best": "val/cell_accuracy",
    "log_every": 1,
    "threads": 1,
}
# Everything that can be otherwise is: order of the examples, model, heads, optimizer, identities.
ARC = SUDOKU | {
    "data": "arc1-train-same-size-3x3",
    "augmentations": 2,
    "stream": "groups",
    "identity": "parts",
    "model": "hrm",
    "halting": "halt_over_continue",
    "continue_target": True,
    "loss": "softmax",
    "optimizer": "muon",
    "eval_share": 0.5,
    "eval_segments": [2],
    "best": "",
}


def session_folder(factory):
    """A folder that all workers of a test session share."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextmanager
def locked(path):
    """Hold the lock at `path`: one worker of the session at a time."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_run(folder, config=SUDOKU, **changes):
    """A run folder as `exp` makes it, at a path that needs quoting."""
    run = folder / "a run's folder"
    run.mkdir(parents=True)
    (run / "config.json").write_text(json.dumps(config | changes))
    return run


def environment(cache, run=None, attempt=1, warnings="error"):
    """What `exp` gives to a program, or without a run what a person's shell does."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("EXP_")}
    clean |= {"EXP_PUZZLE_CACHE": str(cache), "PYTHONWARNINGS": warnings}
    if run is None:
        return clean
    return clean | {
        "EXP_RUN_ID": run.name,
        "EXP_RUN_DIR": str(run),
        "EXP_ATTEMPT": str(attempt),
        "EXP_ATTEMPT_DIR": str(run / f"attempt-{attempt}"),
        "EXP_CONFIG": str(run / "config.json"),
    }


def start(program, arguments, launcher, env, folder):
    """Start a program of experiments/puzzles without waiting for it."""
    return subprocess.Popen(
        [sys.executable, *launcher, str(PUZZLES / program), *arguments],
        env=env,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait(process):
    """The exit code and what was printed."""
    try:
        text, _ = process.communicate(timeout=DEADLINE)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, text


def wait_for(condition, process):
    """Wait until the condition holds; fail when the process ends before, or at the deadline."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "condition was not met in time"
        time.sleep(0.005)


def lines(run):
    """Every object in the event files of a run, attempt by attempt; a torn last line is none."""
    for file in sorted(run.glob("attempt-*/events-*.jsonl")):
        for line in file.read_text().splitlines():
            with suppress(json.JSONDecodeError):
                yield json.loads(line)


def series(run, name):
    """{step: value} of one metric; a step logged twice must have the same value."""
    values = {}
    for line in lines(run):
        if name in line.get("metrics", {}):
            value = line["metrics"][name]
            assert values.setdefault(line["step"], value) == value, line
    return values


def events(run, name):
    """The data of all events of one name, in order."""
    return [line["data"] for line in lines(run) if line.get("event") == name]


def summary(run):
    """What the run says of itself in the end."""
    return {key: value for data in events(run, "summary") for key, value in data.items()}


def manifests(run):
    """Steps of the sealed checkpoints, in order."""
    found = run.glob("checkpoints/*/manifest.json")
    return sorted(json.loads(path.read_text())["step"] for path in found)


def checkpoint(run, step):
    """The content of a checkpoint."""
    return torch.load(run / "checkpoints" / f"step_{step}" / "state.pt", weights_only=True)


def difference(one, two, where=""):
    """Where two contents of checkpoints first differ by a bit; empty when nowhere."""
    if isinstance(one, torch.Tensor):
        alike = isinstance(two, torch.Tensor) and one.dtype == two.dtype and one.equal(two)
    elif isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        parts = (difference(one[key], two[key], f"{where}/{key}") for key in one)
        return next(filter(None, parts), "")
    elif isinstance(one, list | tuple) and isinstance(two, list | tuple) and len(one) == len(two):
        pairs = enumerate(zip(one, two, strict=True))
        parts = (difference(a, b, f"{where}/{number}") for number, (a, b) in pairs)
        return next(filter(None, parts), "")
    else:
        alike = one == two
    return "" if alike else (where or "/")


class Training:
    """A training in this process, without a run around it."""

    def __init__(self, settings, part="train"):
        self.settings, self.world = settings, World()
        study = build(settings, self.world)
        split = read_split(study.folder, part)
        self.job = make_job(Voice(run=None, member=Member()), settings, self.world, split)
        self.state = first_state(self.job, study, split)

    def steps(self, count):
        """Losses of the next steps."""
        turn(self.state.feed, self.settings, self.job.rules.halting, self.state.step, count)
        silent = phases(self.job, timed=False)
        return [float(one_step(self.job, self.state, silent)[0].total) for _ in range(count)]

    def content(self):
        """What a checkpoint would hold."""
        return content(self.state, self.settings, self.world)

    def save(self, run):
        """Seal a checkpoint of the step in a run's folder."""
        folder = run / "checkpoints" / f"step_{self.state.step}"
        folder.mkdir(parents=True)
        save(folder, self.content())
        about = {"step": self.state.step, "attempt": 1, "meta": {}}
        write_manifest(folder, folder, about)


@pytest.fixture(scope="session")
def puzzle_cache(tmp_path_factory):
    """Where generated sets are kept for the session."""
    return session_folder(tmp_path_factory) / "puzzle sets"


@pytest.fixture(autouse=True)
def cached_here(_plain_environment, puzzle_cache, monkeypatch):
    """What a test generates in this process goes there too."""
    monkeypatch.setenv("EXP_PUZZLE_CACHE", str(puzzle_cache))


@pytest.fixture(scope="session")
def programs(tmp_path_factory, puzzle_cache):
    """The functions above, for tests, and three that start programs."""

    def begin(
        run,
        attempt=1,
        program="train.py",
        arguments=(),
        launcher=(),
        warnings="error",
        rehearsal=None,
    ):
        env = environment(puzzle_cache, run, attempt, warnings)
        if rehearsal is not None:
            env["EXP_REHEARSAL"] = json.dumps(rehearsal)
        return start(program, arguments, launcher, env, run)

    def complete(run, attempt=1, **how):
        return wait(begin(run, attempt, **how))

    def by_hand(folder, *arguments, program="train.py"):
        return wait(start(program, arguments, (), environment(puzzle_cache), folder))

    def shared(name, config, launcher=(), program="train.py", prepare=None):
        """A run that ended well, made once in a session; tests copy it before they change it."""
        folder = session_folder(tmp_path_factory) / f"shared {name}"
        with locked(folder.with_suffix(".lock")):
            if not (folder / "done").exists():
                run = make_run(folder, config)
                if prepare is not None:
                    prepare(run)
                code, text = complete(run, launcher=launcher, program=program)
                assert code == 0, text
                (folder / "done").write_text(text)
        return folder / "a run's folder"

    return SimpleNamespace(
        ROOT=ROOT,
        SUDOKU=SUDOKU,
        ARC=ARC,
        TWO_WORKERS=TWO_WORKERS,
        begin=begin,
        by_hand=by_hand,
        checkpoint=checkpoint,
        complete=complete,
        difference=difference,
        events=events,
        lines=lines,
        make_run=make_run,
        manifests=manifests,
        series=series,
        shared=shared,
        summary=summary,
        wait=wait,
        wait_for=wait_for,
    )


@pytest.fixture(scope="session")
def sudoku_run(programs):
    """A training on Sudoku that was never interrupted."""
    return programs.shared("sudoku", SUDOKU)


@pytest.fixture(scope="session")
def arc_run(programs):
    """A training on ARC that was never interrupted."""
    return programs.shared("arc", ARC)


@pytest.fixture
def generators():
    """Random generators and switches of this process are put back after the test; one thread."""
    saved = torch.get_rng_state()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two would spin for each other on busy cores
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=False)
    torch.set_rng_state(saved)


@pytest.fixture
def training(generators):
    """A training of given settings in this process."""
    return Training
