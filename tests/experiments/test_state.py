"""A training state in a file and back."""

import math
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
import torch

from experiments.common.checkpoints import forget_old, save, seed_everything
from experiments.common.world import World, anyone, everyones, gather, total
from experiments.puzzles.settings import read_settings
from experiments.puzzles.state import read, restore

pytestmark = pytest.mark.usefixtures("generators")


@pytest.fixture
def sudoku(programs):
    return read_settings(programs.SUDOKU)


@pytest.mark.parametrize("stream", ["examples", "groups"])
@pytest.mark.parametrize("optimizer", ["adamw", "adam_atan2", "muon", "muon_urm"])
def test_a_saved_state_goes_on_alike(training, programs, tmp_path, stream, optimizer):
    """Saved in the middle of rows' lives and restored elsewhere, what follows is bitwise equal."""
    settings = read_settings(programs.ARC, [f"stream={stream}", f"optimizer={optimizer}"])
    one, other = training(settings), training(settings)
    one.steps(5)
    save(tmp_path, one.content())
    expected = one.steps(7)
    restore(other.state, read(tmp_path), settings, World())
    assert other.state.step == 5
    assert (other.state.carry.age_B > 0).any()
    assert other.steps(7) == expected
    assert programs.difference(one.content(), other.content()) == ""


def test_windows_of_the_stream_may_be_cut_anywhere(training, sudoku):
    """Asked for seven steps at once or for three and four, the stream gives the same rows."""
    whole, cut = training(sudoku), training(sudoku)
    assert whole.steps(7) == cut.steps(3) + cut.steps(4)


def test_generators_are_part_of_the_state(training, sudoku, tmp_path):
    """After restoring, torch draws what it would have drawn."""
    training = training(sudoku)
    save(tmp_path, training.content())
    expected = float(torch.rand(()))
    seed_everything(99)
    restore(training.state, read(tmp_path), sudoku, World())
    assert float(torch.rand(())) == expected


def test_a_state_file_holds_data_only(training, sudoku, tmp_path):
    """The file loads without running code from it, by its path or its folder's, alone."""
    path = save(tmp_path, training(sudoku).content())
    assert read(path)["settings"] == read(tmp_path)["settings"] == asdict(sudoku)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state.pt"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": 16}, "width is 8 there and 16 here"),
        ({"model": "hrm"}, "layers.net is 1 there and"),
        ({"data_seed": 1}, "data is 'sudoku-4x4-givens6-10-24x1-seed0' there and"),
        ({"train_puzzles": 23}, "data.train is 24 there and 23 here"),
        ({"batch": 8}, "batch is 4 there and 8 here"),
        ({"optimizer": "adamw"}, "optimizer is 'adam_atan2' there and 'adamw' here"),
        ({"stream": "groups"}, "stream is 'examples' there and 'groups' here"),
        ({"seed": 1}, "seed is 0 there and 1 here"),
    ],
)
def test_a_state_of_another_training_names_the_field(training, sudoku, change, said):
    """What cannot go on with other settings says which differ; the state stays as it was."""
    saved = training(sudoku).content()
    other = training(replace(sudoku, **change))
    before = other.content()["weights"]["tokens"].clone()
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        restore(other.state, saved, other.settings, World())
    assert other.state.study.core.tokens.equal(before)


def test_a_set_without_identities_needs_no_token_for_them(training, sudoku):
    """All Sudokus are one identity: without a token for it, training goes on and it stays zero."""
    made = training(replace(sudoku, identity_tokens=0))
    assert all(math.isfinite(loss) for loss in made.steps(3))
    assert not made.state.study.table.weight.any()


def test_arc_sets_of_one_name_are_told_apart(training, programs):
    """The name of a same-size set does not say its augmentations; its checkpoints do."""
    one = training(read_settings(programs.ARC))
    other = training(read_settings(programs.ARC, ["augmentations=3"]))
    assert one.state.study.meta.name == other.state.study.meta.name
    with pytest.raises(ValueError, match=r"data\.augmentations is 2 there and 3 here"):
        restore(other.state, one.content(), other.settings, World())


def test_what_only_says_how_far_and_how_fast_may_change(training, sudoku):
    """Steps, rates, evaluation and thread count are free when a run goes on."""
    saved = training(sudoku).content()
    other = training(replace(sudoku, steps=160, lr=1e-3, eval_every=0, best="", ema=0.5))
    restore(other.state, saved, other.settings, World())
    assert other.steps(2) != training(sudoku).steps(2)[1:]


@pytest.mark.parametrize("bytes_there", [b"", b"not a checkpoint", None])
def test_an_unreadable_checkpoint_is_named(tmp_path, bytes_there):
    """A file that is empty, foreign or missing gives a ValueError with its path."""
    path = tmp_path / "state.pt"
    if bytes_there is not None:
        path.write_bytes(bytes_there)
    with pytest.raises(ValueError, match=r"state\.pt: cannot be read as a checkpoint"):
        read(tmp_path)


def test_a_file_of_another_program_is_no_checkpoint(tmp_path):
    """A torch file with other content is refused."""
    torch.save({"weights": {}}, tmp_path / "state.pt")
    with pytest.raises(ValueError, match="no checkpoint of experiments/puzzles"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("keep", "best", "left"),
    [(0, None, [1, 2, 3, 4, 5]), (2, None, [4, 5]), (1, 2, [2, 5]), (9, None, [1, 2, 3, 5, 4])],
)
def test_old_checkpoints_go(tmp_path, keep, best, left):
    """The newest and the best stay; what was half saved goes with the old ones."""
    for step in (1, 2, 3, 4, 5):
        (tmp_path / f"step_{step}").mkdir()
        (tmp_path / f"step_{step}" / "manifest.json").write_text("{}")
    (tmp_path / "step_6").mkdir()
    (tmp_path / "step_6" / ".state.pt.tmp").write_text("half")
    forget_old(tmp_path, keep, best)
    half = {"step_6"} if keep == 0 else set()
    assert {path.name for path in tmp_path.iterdir()} == {f"step_{step}" for step in left} | half


def test_another_seed_is_another_run(training, sudoku):
    """The seed decides everything: equal seeds give equal losses, another seed other losses."""
    losses = [training(replace(sudoku, seed=seed)).steps(4) for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_one_process_needs_no_group():
    """Alone, sums and questions to all change nothing and need no torch.distributed."""
    tensor = torch.tensor([1.0, 2.0])
    total([tensor], World())
    assert everyones(tensor, World()).tolist() == tensor.tolist() == [1.0, 2.0]
    assert anyone(flag=True, world=World())
    assert gather("mine", World()) == ["mine"]
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_process_ends_with_its_code(programs, monkeypatch, workers):
    """Alone or as a worker, the exit code is the one asked for and what was printed arrives."""
    monkeypatch.setenv("WORLD_SIZE", workers)
    program = "from experiments.common.world import end_process; print('said'); end_process(75)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=programs.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (75, "said\n")
