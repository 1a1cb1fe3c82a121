"""One optimizer step: parts of a batch add up, and every example of the stream is drawn once."""

import pytest
import torch

from experiments.common.world import World
from experiments.puzzles.feed import draw, turn
from experiments.puzzles.settings import read_settings
from experiments.puzzles.train import update
from models.puzzles import read_split
from models.stream import Stream
from models.supervision import free_slots


@pytest.mark.parametrize("config", ["SUDOKU", "ARC"])
@pytest.mark.parametrize("parts", [2, 4, 8])
def test_accumulated_gradients_are_those_of_the_whole_batch(training, programs, config, parts):
    """A batch of 8 in parts: the same losses, weights, identities and rows after 12 steps."""
    given = getattr(programs, config) | {"batch": 8, "lr": 1e-3, "optimizer": "adamw"}
    whole = training(read_settings(given))
    cut = training(read_settings(given | {"accumulate": parts}))
    assert cut.steps(12) == pytest.approx(whole.steps(12), rel=1e-5)
    assert int(cut.state.feed.place) == int(whole.state.feed.place)
    for one, two in zip(
        (*whole.state.study.core.parameters(), whole.state.study.table.weight),
        (*cut.state.study.core.parameters(), cut.state.study.table.weight),
        strict=True,
    ):
        assert torch.allclose(one, two, atol=1e-5)
    assert whole.state.carry.age_B.equal(cut.state.carry.age_B)
    assert whole.state.carry.rows.cells_BS.equal(cut.state.carry.rows.cells_BS)


def test_the_rate_moves_once_per_optimizer_step(training, programs):
    """With accumulation the schedule still counts optimizer steps, not parts."""
    cut = training(read_settings(programs.SUDOKU | {"batch": 8, "accumulate": 4, "warmup": 8}))
    rates = []
    for _ in range(4):
        cut.steps(1)
        rates.append(cut.state.optimizers[0].param_groups[0]["lr"])
    assert rates == pytest.approx([1e-2 * k / 8 for k in (1, 2, 3, 4)])


@pytest.mark.parametrize("stream", ["examples", "groups"])
def test_no_example_of_the_stream_is_skipped(training, programs, stream):
    """Row after row, free slots take the examples of the stream in its order, each once."""
    settings = read_settings(programs.ARC | {"stream": stream, "batch": 6})
    one = training(settings)
    split = read_split(one.state.study.folder, "train")
    drawn = []
    for _ in range(12):
        free, _ = free_slots(one.state.carry)
        one.steps(1)
        drawn += one.state.carry.rows.cells_BS[free].tolist()
    assert len(drawn) == int(one.state.feed.place)
    expected = Stream(split, stream, settings.seed).window(0, len(drawn))
    assert drawn == split.inputs_NS[expected].tolist()


def test_a_clipped_step_reports_the_norm_before(training, programs):
    """The norm that is logged is that of the gradient; the gradient is cut to `clip`."""
    settings = read_settings(programs.SUDOKU | {"clip": 0.01, "lr": 0.0})
    one = training(settings)
    one.steps(1)
    core = one.state.study.core
    for parameter in core.parameters():
        parameter.grad = torch.ones_like(parameter)
    length = sum(parameter.numel() for parameter in core.parameters()) ** 0.5
    identities = torch.zeros(settings.batch, 1, settings.width)
    assert float(update(one.job, one.state, identities)) == pytest.approx(length)
    cut = torch.cat([parameter.grad.reshape(-1) for parameter in core.parameters()])
    assert float(cut.norm()) == pytest.approx(0.01, rel=1e-3)


def test_exploration_is_drawn_for_global_slots(training, programs):
    """The least age of slot 5 does not depend on how many processes share the slots."""
    settings = read_settings(programs.SUDOKU | {"batch": 8, "exploration": 1.0})
    one = training(settings)
    feed = one.state.feed
    turn(feed, settings, one.job.rules.halting, 0, 3)
    nobody = torch.zeros(8, dtype=torch.bool)
    for step in range(3):
        _, least = draw(feed, nobody, torch.zeros(8, dtype=torch.long), step, World())
        assert least.equal(feed.minimum_KB[step])
        assert ((least >= 2) & (least <= settings.segments)).all()
    assert int(feed.place) == 0
