"""The rebuilt student learns: a task that one mean of all tokens cannot hold, in few steps."""

import numpy as np
import torch

from models.arc import FIRST_COLOUR, VOCABULARY, encode
from models.grid_scores import score_beside_baselines
from models.puzzles import IGNORE
from models.sage import Sage, canvases, student
from models.sage_losses import cell_losses, colour_weights, shape_losses

SIDE, FEATURES, ROWS = 4, 16, 32


def questions_and_answers(draw, count):
    """Random grids of 1 to 4 rows and columns, and each of them transposed; canvases and sizes."""
    sizes = draw.integers(1, SIDE + 1, (count, 2))
    grids = [draw.integers(0, 10, size, dtype=np.uint8) for size in sizes]
    asked = np.stack([encode(grid, SIDE) for grid in grids])
    return asked, np.stack([encode(grid.T, SIDE) for grid in grids]), sizes[:, ::-1].copy()


def test_it_learns_to_transpose():
    """Cells, sizes and where to look, from features of cells in order; answers of every size."""
    torch.manual_seed(0)
    draw = np.random.default_rng(0)
    codes = 2 * torch.randn(VOCABULARY, FEATURES)
    sizes = {"width": 32, "layers": 1, "heads": 2, "tokens": SIDE**2, "pool": 1, "side": SIDE}
    net = Sage(student(features=FEATURES, dropout=0.0, **sizes))
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    alike = colour_weights(torch.ones(10), "none")
    for _ in range(300):
        asked, answers, size = questions_and_answers(draw, ROWS)
        output = net(codes[torch.from_numpy(asked).long()])
        labels = torch.from_numpy(answers).long() - FIRST_COLOUR
        values, weights = cell_losses(output.cells_BSC, labels.where(labels >= 0, IGNORE), alike)
        shapes = shape_losses(output.height_BM, output.width_BM, torch.from_numpy(size))
        optimizer.zero_grad()
        ((values * weights).sum() / weights.sum() + shapes.mean()).backward()
        optimizer.step()

    asked, answers, _ = questions_and_answers(draw, 300)
    with torch.no_grad():
        said = canvases(net.eval()(codes[torch.from_numpy(asked).long()])).numpy()
    found = score_beside_baselines(said, asked, answers, SIDE)
    assert found["exact"] > 0.9
    assert found["shape_accuracy"] > 0.95
    assert found["above_baseline/exact"] > 0.5
