"""`track.rehearsal()`: what it asks, what it records, and that it hurts nobody."""

import json
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from orchestrator import track
from orchestrator.track.peaks import Peaks, device_peaks

ASKED = {"steps": 6, "every": 3, "examples": 32}
EXAMPLE = Path(track.__file__).parents[2] / "templates/scaffold/experiments/example/train.py"


@pytest.fixture
def asked(monkeypatch):
    """This process is rehearsed."""
    monkeypatch.setenv("EXP_REHEARSAL", json.dumps(ASKED))


def told(home, state):
    """What was recorded under one state, in order."""
    events = [event["data"] for event in home.events("rehearsal")]
    return [data for data in events if data["state"] == state]


def test_outside_of_a_rehearsal_nothing_is_loaded(home, program):
    """No answer, no event, and no module is there that was not needed before."""
    process = program(
        "import sys\n"
        "from orchestrator import track\n"
        "run = track.init()\n"
        "print(track.rehearsal())\n"
        "with run.phase('eval'): pass\n"
        "print([name for name in sys.modules if name.startswith('orchestrator.track.')\n"
        "       and name.rpartition('.')[2] in ('rehearsing', 'counting', 'peaks')])\n",
        home.variables,
    )
    assert process.communicate(timeout=60) == ("None\n[]\n", "")
    assert home.events("rehearsal") == []


@pytest.mark.parametrize("first", ["init", "rehearsal"])
def test_it_may_be_asked_before_or_after_init(home, asked, monkeypatch, first):
    """The same answer each time, one event, and `exp`'s configuration still wins."""
    config = home.run / "config.json"
    config.write_text('{"lr": 2}')
    monkeypatch.setenv("EXP_CONFIG", str(config))
    if first == "init":
        track.init(config={"lr": 1})
    rehearsal = track.rehearsal()
    run = track.init(config={"lr": 1}) if first == "rehearsal" else track.run
    assert track.rehearsal() is rehearsal
    assert (rehearsal.steps, rehearsal.every, rehearsal.examples) == (6, 3, 32)
    assert rehearsal.longest_first
    assert run.config.lr == 2
    assert told(home, "asked") == [{"state": "asked", **ASKED}]


def test_each_run_of_a_process_is_told_that_it_was_asked(home, asked, monkeypatch):
    """What begins after `finish` is another run."""
    track.init()
    track.rehearsal()
    track.finish()
    monkeypatch.setenv("EXP_ATTEMPT_DIR", str(home.run / "attempt-2"))
    track.init()
    track.rehearsal()
    (second,) = (home.run / "attempt-2").glob("events-*.jsonl")
    assert second.read_text().count('"state":"asked"') == 1
    assert len(told(home, "asked")) == 1


def test_threads_that_ask_at_once_are_one(home, asked):
    """Eight threads, one answer, one event."""
    track.init()
    gate, answers = threading.Barrier(8), []

    def ask():
        gate.wait()
        answers.append(track.rehearsal())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert len(set(map(id, answers))) == 1
    assert len(told(home, "asked")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "6",
        "[]",
        "{}",
        '{"steps": 6, "every": 3}',
        '{"steps": 6, "every": 0, "examples": 1}',
        '{"steps": -6, "every": 3, "examples": 1}',
        '{"steps": "6", "every": 3, "examples": 1}',
        '{"steps": 6.0, "every": 3, "examples": 1}',
        '{"steps": true, "every": 3, "examples": 1}',
        '{"steps": null, "every": 3, "examples": 1}',
    ],
)
def test_what_cannot_be_read_is_warned_of_once(home, monkeypatch, capsys, text):
    """The program goes on as outside of a rehearsal."""
    monkeypatch.setenv("EXP_REHEARSAL", text)
    run = track.init()
    assert track.rehearsal() is None
    assert track.rehearsal() is None
    with run.phase("eval"):
        run.log({"loss": 1.0}, step=1)
    said = capsys.readouterr().err
    assert said.count("exp track:") == 1
    assert "EXP_REHEARSAL" in said
    assert len(home.points()) == 1
    assert home.events("rehearsal") == []


def test_keys_of_a_later_version_are_passed_over(home, monkeypatch, capsys):
    """What is not known yet is no reason not to take part."""
    monkeypatch.setenv("EXP_REHEARSAL", json.dumps(ASKED | {"colour": "red"}))
    track.init()
    assert track.rehearsal().steps == 6
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("total", "each", "used"),
    [
        (1000, 1, 32),
        (20, 1, 20),
        (32, 1, 32),
        (0, 1, 0),
        (1000, 9, 36),
        (1000, 500, 500),
        (30, 500, 30),
    ],
)
def test_a_subset_is_recorded(home, asked, total, each, used):
    """The lesser of both; of examples that belong together a whole number of groups."""
    track.init()
    assert track.rehearsal().subset(total, each) == used
    assert told(home, "subset") == [{"state": "subset", "used": used, "total": total}]


def test_examples_of_a_step_are_told_apart(home, asked):
    """By which they are, by their order and not by their type; parts of a step are one."""
    track.init()
    rehearsal = track.rehearsal()
    for step, ids in enumerate(
        [[1, 2, 3], np.array([1, 2, 3]), (n for n in (1, 2, 3)), [3, 2, 1], [1, 2], ["a", 2]]
    ):
        rehearsal.batch(step, ids)
    rehearsal.batch(6, [1, 2])
    rehearsal.batch(6, [3])
    found = {data["step"]: data["digest"] for data in told(home, "batch")}
    assert sorted(found) == list(range(7))
    assert found[0] == found[1] == found[2]
    assert len({found[step] for step in (0, 3, 4, 5, 6)}) == 5


def test_wrong_use_hurts_nobody(home, asked, capsys):
    """Whatever a program hands over, it gets an answer it can go on with."""
    track.init()
    rehearsal = track.rehearsal()
    assert rehearsal.subset("many") == "many"
    assert rehearsal.batch(1, 5) is None
    assert rehearsal.batch("x", [1]) is None
    assert "subset failed" in capsys.readouterr().err
    assert told(home, "batch") == []


def test_a_forked_child_repeats_nothing_of_its_parent(home, program):
    """What is counted and measured in a worker is its own; it was not asked."""
    process = program(
        "import os\n"
        "from orchestrator import track\n"
        "run = track.init()\n"
        "track.rehearsal().subset(9)\n"
        "with run.phase('eval'):\n"
        "    if os.fork() == 0:\n"
        "        with run.phase('child'): pass\n"
        "        os._exit(0)\n"
        "    os.wait()\n",
        home.variables | {"EXP_REHEARSAL": json.dumps(ASKED)},
    )
    assert process.communicate(timeout=60) == ("", "")
    parent, child = sorted(
        home.attempt.glob("events-*.jsonl"), key=lambda file: '"asked"' not in file.read_text()
    )
    assert f"-{process.pid}.jsonl" in parent.name
    assert '"phase":"child"' in child.read_text()
    assert '"subset"' not in child.read_text()
    assert '"phase":"child"' not in parent.read_text()


MEMORY = """
import contextlib
from orchestrator import track
run = track.init()
@contextlib.contextmanager
def phase(name, megabytes):
    with run.phase(name):
        taken = b"x" * (megabytes << 20)
        yield
        del taken
for _ in range(20):
    with phase("eval", 150): pass
with phase("outer", 0), phase("inner", 80): pass
with run.phase("checkpoint"): pass
try:
    with phase("broken", 60): raise MemoryError
except MemoryError: pass
"""


def test_each_phase_has_its_own_peak(home, program):
    """Resident memory begins anew at each border; only what has risen is written."""
    process = program(MEMORY, home.variables | {"EXP_REHEARSAL": json.dumps(ASKED)})
    assert process.communicate(timeout=60) == ("", "")
    assert all(data["device"] == "host" for data in told(home, "memory"))
    assert all(data["total"] > data["allocated"] for data in told(home, "memory"))
    peak = {data["phase"]: data["allocated"] / 2**20 for data in told(home, "memory")}
    assert set(peak) == {"train", "eval", "outer", "inner", "checkpoint", "broken"}
    before = next(d["allocated"] for d in told(home, "memory") if d["phase"] == "train")
    above = {name: value - before / 2**20 for name, value in peak.items()}
    assert above["eval"] > 140
    assert 70 < above["inner"] < 140
    assert above["outer"] >= above["inner"]
    assert above["checkpoint"] < 40
    assert above["broken"] > 50
    written = [data["phase"] for data in told(home, "memory")]
    assert written.count("eval") + written.count("train") < 20


def test_peaks_of_gpus_are_read_and_begin_anew(monkeypatch):
    """Of each device in use: tensors, the allocator, the device as a whole with its peak."""
    calls = []
    cuda = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: True,
        is_current_stream_capturing=lambda: False,
        device_count=lambda: 2,
        max_memory_reserved=lambda n: (70, 0)[n],
        memory_reserved=lambda n: (50, 0)[n],
        max_memory_allocated=lambda n: (60, 0)[n],
        mem_get_info=lambda n: ((20, 100), (100, 100))[n],
        reset_peak_memory_stats=calls.append,
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    found = {"allocated": 60, "reserved": 70, "used": 100 - 20 - 50 + 70, "total": 100}
    assert device_peaks() == {"cuda:0": found}
    assert calls == [0]
    written = []
    peaks = Peaks(written.append)
    peaks.begin("eval")
    assert [data for data in written if data["device"] == "cuda:0"] == [
        {"state": "memory", "phase": "train", "device": "cuda:0", **found}
    ]
    for switch in ("is_available", "is_initialized"):
        monkeypatch.setattr(cuda, switch, lambda: False)
        assert device_peaks() == {}, switch
        monkeypatch.setattr(cuda, switch, lambda: True)
    monkeypatch.setattr(cuda, "is_current_stream_capturing", lambda: True)
    assert device_peaks() == {}


COUNTED = """
import torch
from torch.optim import lr_scheduler as schedulers
from torch.utils.data import DataLoader, Dataset
from orchestrator import track

run = track.init()
track.rehearsal()

class Slow(Dataset):
    def __len__(self):
        return 8
    def __getitem__(self, index):
        import time
        time.sleep(0.02)
        return torch.ones(3) * index

class Own(schedulers.LRScheduler):  # made after the hooks
    def get_lr(self):
        return [0.1]
    def step(self, epoch=None):
        super().step()

if __name__ == "__main__":
    model = torch.nn.Linear(3, 1)
    one, two = (torch.optim.SGD(model.parameters(), lr=0.1) for _ in range(2))
    parts = [schedulers.LinearLR(one, 0.1, total_iters=2), schedulers.CosineAnnealingLR(one, 9)]
    several = schedulers.SequentialLR(one, parts, [2])
    own, flat = Own(two), schedulers.ReduceLROnPlateau(two)
    with run.phase("made"): pass
    for workers in (0, 2):
        for batch in DataLoader(Slow(), batch_size=2, num_workers=workers):
            model(batch).sum().backward()
            for thing in (one, two, several, own):
                thing.step()
    with run.phase("trained"): pass
    with run.phase("eval"):
        for batch in DataLoader(Slow(), batch_size=2): pass
    for _ in range(11):
        flat.step(1.0)
"""


@pytest.mark.timeout(300)
def test_pytorch_is_counted(home, program):
    """Two optimizers are one step; nested and initial steps of schedulers are none of their own."""
    pytest.importorskip("torch")
    process = program(COUNTED, home.variables | {"EXP_REHEARSAL": json.dumps(ASKED)})
    assert process.communicate(timeout=280) == ("", "")
    made, trained, ended = told(home, "counts")
    nothing = {"data_seconds": None, "loader_seconds": None}
    assert made == {"state": "counts", "optimizer_steps": 0, "scheduler_steps": 0, **nothing}
    assert (trained["optimizer_steps"], trained["scheduler_steps"]) == (8, 8)
    assert (ended["optimizer_steps"], ended["scheduler_steps"]) == (8, 11)
    # Three batches without workers after the first one: each took 2 x 0.02 s to load.
    assert 0.12 <= trained["data_seconds"] <= trained["loader_seconds"] - 0.04
    assert ended["data_seconds"] == trained["data_seconds"]
    assert ended["loader_seconds"] >= trained["loader_seconds"] + 0.16
    assert len(list(home.attempt.glob("events-*.jsonl"))) == 1


def test_the_scaffolded_example_takes_part(home, program, until):
    """It ends at the asked step, saves and evaluates on its way; killed, it goes on alike."""
    config = home.run / "config.json"
    config.write_text('{"lr": 0.05, "steps": 200, "seed": 0}')
    variables = home.variables | {"EXP_CONFIG": str(config)}
    source = EXAMPLE.read_text()
    done = program(source, variables | {"EXP_REHEARSAL": json.dumps(ASKED)})
    done.communicate(timeout=60)
    assert done.returncode == 0
    points = [point for point in home.points() if "train/loss" in point["metrics"]]
    losses = {point["step"]: point["metrics"]["train/loss"] for point in points}
    assert sorted(losses) == list(range(1, 7))
    evaluated = [point["step"] for point in home.points() if "eval/error" in point["metrics"]]
    assert evaluated == [3, 6]
    sealed = sorted(path.parent.name for path in home.run.glob("checkpoints/*/manifest.json"))
    assert sealed == ["step_3", "step_6"]
    (home.run / "checkpoints" / "step_6" / "manifest.json").unlink()
    again = home.variables | {"EXP_ATTEMPT_DIR": str(home.run / "attempt-2"), "EXP_ATTEMPT": "2"}
    endless = json.dumps(ASKED | {"steps": 10**9})
    resumed = program(source, again | {"EXP_CONFIG": str(config), "EXP_REHEARSAL": endless})
    until((home.run / "checkpoints" / "step_9" / "manifest.json").exists)
    resumed.send_signal(signal.SIGTERM)
    resumed.communicate(timeout=60)
    assert resumed.returncode == 75
    (file,) = (home.run / "attempt-2").glob("events-*.jsonl")
    points = [json.loads(line) for line in file.read_text().splitlines() if '"train/loss"' in line]
    later = {point["step"]: point["metrics"]["train/loss"] for point in points}
    assert min(later) == 4
    assert all(later[step] == losses[step] for step in (4, 5, 6))
