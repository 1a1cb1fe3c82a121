"""What a score is worth: answers that need no learning, scored beside every model.

A subset in which copying the question solves tasks would flatter any model that learned to copy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.arc import FIRST_COLOUR, Grid, Task, encode

Solutions = Sequence[Sequence[Grid]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Shares in 0..1: tasks whose every question is right, and cells of the answers' grids."""

    solved: float
    cells: float


def copy_question(question: Grid) -> Grid:
    """The question itself."""
    return question


def background(question: Grid) -> Grid:
    """Colour 0 everywhere, at the question's size."""
    return np.zeros_like(question)


def commonest_colour(question: Grid) -> Grid:
    """The question's most frequent colour everywhere (the lowest of equals)."""
    return np.full_like(question, np.bincount(question.reshape(-1)).argmax())


BASELINES: dict[str, Callable[[Grid], Grid]] = {
    "copy_input": copy_question,
    "background": background,
    "commonest_colour": commonest_colour,
}


def score_baseline(
    tasks: Sequence[Task], solutions: Solutions, predict: Callable[[Grid], Grid], side: int
) -> Score:
    """Score an answer that is a function of the question alone."""
    guesses = [[predict(question) for question in task.questions] for task in tasks]
    solved = [all(map(np.array_equal, g, a)) for g, a in zip(guesses, solutions, strict=True)]
    cells = [
        cells_right(encode(guess, side), answer, side)
        for by_task, answers in zip(guesses, solutions, strict=True)
        for guess, answer in zip(by_task, answers, strict=True)
    ]
    return Score(solved=sum(solved) / len(solved), cells=pooled(cells))


def cells_right(cells_S: np.ndarray, answer: Grid, side: int) -> tuple[int, int]:
    """(right cells, cells) of one canvas inside the answer's grid; padding is not counted."""
    wanted_S = encode(answer, side)
    inside_S = wanted_S >= FIRST_COLOUR
    return int((cells_S == wanted_S)[inside_S].sum()), int(inside_S.sum())


def pooled(counts: Sequence[tuple[int, int]]) -> float:
    """Share of right cells over all canvases together."""
    right, total = np.sum(counts, axis=0)
    return float(right / total)
