"""Scores of predicted grids on token canvases of models/arc.py, beside those of baselines.

All are shares in 0..1, and over cells inside the answers' grids only: padding is right by itself
and would flatter whatever predicts it. One that has nothing to be a share of is left out.

    exact                     grids that are right in every cell and in size; /low and /high: the
                              95% interval over the answers
    shape_accuracy            grids of the right size
    cell_accuracy             right cells
    background_accuracy       right cells of those that are colour 0
    non_background_accuracy   right cells of those that are not
    colour/C/precision, /recall, /f1   of one colour; the recall is what the seeds' logs call the
                              accuracy of a colour

The grid of a canvas is what `grid_sizes` sees. A cell also counts where the predicted grid is of
another size, so an answer that fills the canvas is right in as many cells as one of the right
size; the baseline "constant" does that too.

Shapes: N answers, S cells of a canvas, V vocabulary.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arc import COLOURS, FIRST_COLOUR, VOCABULARY, grid_sizes
from models.baselines import BASELINES
from models.interval import intervals

# Scores whose distance from the best baseline is told.
HEADLINES = ("exact", "shape_accuracy", "cell_accuracy", "non_background_accuracy")
_ROWS_AT_ONCE = 4096  # bounds the memory of what is computed per cell


def score_beside_baselines(
    tokens_NS: NDArray[Any], inputs_NS: NDArray[Any], labels_NS: NDArray[Any], side: int
) -> dict[str, float]:
    """`grid_scores` of the predictions, and of every baseline as `baseline/NAME/METRIC`.

    `above_baseline/METRIC` is the distance of a headline score from the best baseline's.

    Raises:
        ValueError: as `grid_scores`; questions of another shape than the answers.
    """
    _check(inputs_NS, labels_NS, side, "questions")
    result = grid_scores(tokens_NS, labels_NS, side)
    baselines = {
        name: grid_scores(answer(np.asarray(inputs_NS)), labels_NS, side)
        for name, answer in BASELINES.items()
    }
    above = {
        f"above_baseline/{metric}": result[metric] - max(b[metric] for b in baselines.values())
        for metric in HEADLINES
        if metric in result
    }
    beside = {
        f"baseline/{name}/{metric}": value
        for name, scores in baselines.items()
        for metric, value in scores.items()
    }
    return result | above | beside


def grid_scores(tokens_NS: NDArray[Any], labels_NS: NDArray[Any], side: int) -> dict[str, float]:
    """Every score of the predictions for these answers; both are canvases.

    Raises:
        ValueError: predictions of another shape than the answers, no answers, or an answer that
            shows no grid.
    """
    _check(tokens_NS, labels_NS, side, "predictions")
    exact_N = exact_grids(tokens_NS, labels_NS, side).astype(np.float64)
    counted = confusion(tokens_NS, labels_NS)
    return {
        "exact": float(exact_N.mean()),
        **intervals({"exact": exact_N}),
        "shape_accuracy": shape_accuracy(tokens_NS, labels_NS, side),
        **cell_scores(counted),
        **colour_scores(counted),
    }


def exact_grids(tokens_NS: NDArray[Any], labels_NS: NDArray[Any], side: int) -> NDArray[np.bool_]:
    """Whether the grid of each canvas is the answer's, [N]; marks outside of it do not matter."""
    right_NS = (tokens_NS == labels_NS) | (labels_NS < FIRST_COLOUR)
    return right_NS.all(1) & _same_size(tokens_NS, labels_NS, side)


def shape_accuracy(tokens_NS: NDArray[Any], labels_NS: NDArray[Any], side: int) -> float:
    """Share of the canvases whose grid has the rows and columns of the answer's."""
    return float(_same_size(tokens_NS, labels_NS, side).mean())


def confusion(
    tokens_NS: NDArray[Any], labels_NS: NDArray[Any], tables_NV: NDArray[Any] | None = None
) -> NDArray[np.int64]:
    """How many cells inside the answers' grids are [wanted, predicted], [V, V].

    With `tables_NV`, row n's tokens stand for the tokens that its table gives, as where a variant
    shows its colours under other numbers.
    """
    counted = np.zeros((VOCABULARY, VOCABULARY), np.int64)
    for first in range(0, len(labels_NS), _ROWS_AT_ONCE):
        some = slice(first, first + _ROWS_AT_ONCE)
        rows, cells = np.nonzero(labels_NS[some] >= FIRST_COLOUR)
        wanted, predicted = labels_NS[some][rows, cells], tokens_NS[some][rows, cells]
        if tables_NV is not None:
            wanted, predicted = tables_NV[some][rows, wanted], tables_NV[some][rows, predicted]
        pairs = wanted.astype(np.int64) * VOCABULARY + predicted
        counted += np.bincount(pairs, minlength=counted.size).reshape(counted.shape)
    return counted


def cell_scores(counted: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy over all cells of a `confusion`, over those of colour 0, and over the others."""
    right_V, wanted_V = counted.diagonal(), counted.sum(1)
    parts = {
        "cell_accuracy": slice(FIRST_COLOUR, None),
        "background_accuracy": slice(FIRST_COLOUR, FIRST_COLOUR + 1),
        "non_background_accuracy": slice(FIRST_COLOUR + 1, None),
    }
    return {
        name: float(right_V[part].sum() / wanted_V[part].sum())
        for name, part in parts.items()
        if wanted_V[part].sum()
    }


def colour_scores(counted: NDArray[np.int64]) -> dict[str, float]:
    """`colour/C/precision`, `/recall` and `/f1` of each colour of a `confusion`."""
    result = {}
    for colour in range(COLOURS):
        token = colour + FIRST_COLOUR
        true, wanted = counted[token, token], counted[token].sum()
        predicted = counted[:, token].sum()
        if predicted:
            result[f"colour/{colour}/precision"] = float(true / predicted)
        if wanted:
            result[f"colour/{colour}/recall"] = float(true / wanted)
        if predicted + wanted:
            result[f"colour/{colour}/f1"] = float(2 * true / (predicted + wanted))
    return result


def _same_size(tokens_NS: NDArray[Any], labels_NS: NDArray[Any], side: int) -> NDArray[np.bool_]:
    return (grid_sizes(tokens_NS, side) == grid_sizes(labels_NS, side)).all(1)


def _check(tokens_NS: NDArray[Any], labels_NS: NDArray[Any], side: int, what: str) -> None:
    if len(labels_NS) == 0:
        raise ValueError("no answers to score against: the split is empty")
    if tokens_NS.shape != labels_NS.shape or labels_NS.shape[1:] != (side**2,):
        raise ValueError(
            f"{what} {tokens_NS.shape} for answers {labels_NS.shape} on canvases of {side}x{side};"
            " give a canvas for every answer"
        )
    (empty,) = np.nonzero((labels_NS < FIRST_COLOUR).all(1))
    if len(empty):
        raise ValueError(f"answer {empty[0]} shows no grid: a canvas of padding alone")
