"""Puzzles, answers and predictions as text that a person can look at."""

from collections.abc import Callable, Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from experiments.puzzles.evaluation import Evaluation
from models.puzzles import Meta, Split

SHOWN = 40  # puzzles
MAZE = " #.SGo"  # by token; free cells are dots


def draw_predictions(meta: Meta, split: Split, found: Evaluation, step: int) -> str:
    """The first puzzles of the split beside their answers and what was predicted."""
    right_N = (found.tokens_NS == split.labels_NS).all(1)
    draw = _maze if meta.kind == "maze" else _sudoku
    lines = [
        f"{meta.name}, step {step}: {int(right_N.sum())} of {len(right_N)} puzzles equal their label",
        f"The first {min(SHOWN, len(right_N))} of them.",
    ]
    for place in range(min(SHOWN, len(right_N))):
        columns = [
            ["puzzle", *draw(split.inputs_NS[place], meta.side)],
            ["answer", *draw(split.labels_NS[place], meta.side)],
            ["predicted" + "*" * bool(right_N[place]), *draw(found.tokens_NS[place], meta.side)],
        ]
        lines += ["", f"puzzle {place + 1}", *beside(columns)]
    return "\n".join(lines) + "\n"


def beside(columns: Sequence[Sequence[str]]) -> list[str]:
    """Blocks of lines as columns next to each other."""
    widths = [max(map(len, column)) for column in columns]
    return [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip_longest(*columns, fillvalue="")
    ]


def _sudoku(tokens_S: NDArray[np.integer], side: int) -> list[str]:
    return _rows(tokens_S, side, lambda token: "." if token <= 1 else str(token - 1))


def _maze(tokens_S: NDArray[np.integer], side: int) -> list[str]:
    return _rows(tokens_S, side, lambda token: MAZE[token])


def _rows(tokens_S: NDArray[np.integer], side: int, sign: Callable[[int], str]) -> list[str]:
    return [" ".join(sign(int(t)) for t in row) for row in np.reshape(tokens_S, (side, side))]
