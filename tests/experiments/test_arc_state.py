# ruff: noqa: NPY002 - the global generators are what is saved
"""A training state in a file and back."""

import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.arc.settings import Settings, build
from experiments.arc.state import own_part, read, restore, save, seed_everything
from experiments.arc.train import one_step, start
from experiments.arc.world import World, anyone, average, gather
from models.arc import training_examples

SMALL = Settings(
    subset="arc1-train-same-size-3x3",
    augmentations=1,
    width=8,
    heads=2,
    inner=1,
    batch=4,
    steps=20,
    exploration=0.5,
)


@pytest.fixture(autouse=True)
def unchanged_generators():
    """What these tests seed or switch on is undone afterwards."""
    saved = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    torch.use_deterministic_algorithms(mode=False)
    random.setstate(saved[0])
    np.random.set_state(saved[1])
    torch.set_rng_state(saved[2])


@pytest.fixture(name="make")
def make_fixture(monkeypatch, tmp_path):
    """A fresh state and its examples, in a folder without checkpoints."""
    monkeypatch.setenv("EXP_RUN_DIR", str(tmp_path / "none"))

    def make(seed=0):
        chosen = replace(SMALL, seed=seed)
        study = build(chosen)
        side = study.subset.side
        examples = training_examples(study.tasks, study.variants, side, chosen.identity)
        return start(chosen, study, examples, World()), examples

    return make


def steps(state, examples, count):
    return [float(one_step(state, SMALL, examples, World())[0].total) for _ in range(count)]


def test_a_saved_state_goes_on_alike(make, tmp_path):
    """Saved in the middle of rows' lives and restored elsewhere, the next losses are equal."""
    state, examples = make()
    steps(state, examples, 5)
    save(tmp_path, state, [own_part(state)], {})
    expected = steps(state, examples, 7)
    other, _ = make()
    restore(other, read(tmp_path), 0, 1)
    assert other.step == 5
    assert steps(other, examples, 7) == expected
    for name, tensor in state.average.items():
        assert tensor.equal(other.average[name])


def test_generators_are_part_of_the_state(make, tmp_path):
    """After restoring, python, numpy and torch draw what they would have drawn."""
    state, _ = make()
    save(tmp_path, state, [own_part(state)], {})
    expected = random.random(), np.random.rand(), float(torch.rand(()))
    seed_everything(99)
    restore(state, read(tmp_path), 0, 1)
    assert (random.random(), np.random.rand(), float(torch.rand(()))) == expected


def test_a_state_file_holds_data_only(make, tmp_path):
    """The file loads without running code from it, by its path or its folder's."""
    state, _ = make()
    path = save(tmp_path, state, [own_part(state)], {"lr": 1.0})
    assert read(path)["settings"] == read(tmp_path)["settings"] == {"lr": 1.0}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state.pt"]


def test_another_number_of_processes_gives_up_the_rows(make, tmp_path):
    """Saved by one process and resumed by two, slots start empty and no example is seen twice."""
    state, examples = make()
    steps(state, examples, 5)
    save(tmp_path, state, [own_part(state)], {})
    other, _ = make()
    restore(other, read(tmp_path), 1, 2)
    assert other.carry.halted_B.all()
    assert other.place * 2 >= state.place
    assert other.step == 5


def test_one_process_needs_no_group():
    """Alone, averaging and asking around change nothing and need no torch.distributed."""
    tensor = torch.tensor([1.0, 2.0])
    average([tensor], World())
    assert tensor.tolist() == [1.0, 2.0]
    assert anyone(flag=True, world=World())
    assert gather("mine", World()) == ["mine"]
    assert not torch.distributed.is_initialized()


def test_another_seed_is_another_run(make):
    """The seed decides everything: equal seeds give equal losses, another seed other losses."""
    losses = [steps(*make(seed=seed), 4) for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_process_ends_with_its_code(arc_programs, monkeypatch, workers):
    """Alone or as a worker, the exit code is the one asked for and what was printed arrives."""
    monkeypatch.setenv("WORLD_SIZE", workers)
    program = "from experiments.arc.world import end_process; print('said'); end_process(75)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=arc_programs.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (75, "said\n")
