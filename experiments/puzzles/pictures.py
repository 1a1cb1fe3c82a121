"""Puzzles, answers and predictions as text that a person can look at."""

from collections.abc import Callable, Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from experiments.puzzles.evaluation import Predicted
from models.arc import Grid, parse_task
from models.puzzles import Meta, Split
from models.scoring import solutions_of, votes_of
from models.voting import Candidate, rank, task_credits

SHOWN = 40  # puzzles
MAZE = " #.SGo"  # by token; free cells are dots


def draw_predictions(meta: Meta, split: Split, found: Predicted, step: int) -> str:
    """Puzzles of the split beside their answers and what was predicted."""
    if meta.kind == "arc":
        return _draw_tasks(meta, split, found, step)
    right_N = (found.tokens_NS == split.labels_NS).all(1)
    draw = _maze if meta.kind == "maze" else _sudoku
    lines = [
        f"{meta.name}, step {step}: {right_N.sum()} of {len(right_N)} puzzles equal their label",
        f"The first {min(SHOWN, len(right_N))} of them. * marks a prediction that is right.",
    ]
    for place in range(min(SHOWN, len(right_N))):
        columns = [
            ["puzzle", *draw(split.inputs_NS[place], meta.side)],
            ["answer", *draw(split.labels_NS[place], meta.side)],
            ["predicted" + "*" * bool(right_N[place]), *draw(found.tokens_NS[place], meta.side)],
        ]
        lines += ["", f"puzzle {place + 1}", *_beside(columns)]
    return "\n".join(lines) + "\n"


def _draw_tasks(meta: Meta, split: Split, found: Predicted, step: int) -> str:
    """Every question of ARC tasks beside its answer and its first two candidates."""
    ranked = rank(votes_of(found.tokens_NS, found.confidence_N, split, meta))
    solutions = solutions_of(split, meta)
    credit_K = task_credits(ranked, solutions, 1, "strict")
    first = {task: bool(credit) for task, credit in zip(solutions, credit_K, strict=True)}
    lines = [
        f"{meta.name}, step {step}: {sum(first.values())} of {len(first)} tasks solved at pass@1",
        "Solved tasks first. Colour 0 is a dot. * marks the candidate that is right.",
    ]
    for name in sorted(first, key=lambda task: (not first[task], task)):
        questions = parse_task(name, meta.test_puzzles[name]).test
        for number, (question, answer) in enumerate(questions):
            candidates = ranked.get((name, number), ())[:2]
            verdict = "solved" if first[name] else "not solved"
            lines += ["", f"{name} question {number + 1} ({verdict})"]
            lines += _beside(_candidates(question, answer, candidates))
    return "\n".join(lines) + "\n"


def _candidates(question: Grid, answer: Grid, candidates: Sequence[Candidate]) -> list[list[str]]:
    columns = [["question", *_grid(question)], ["answer", *_grid(answer)]]
    for place, candidate in enumerate(candidates):
        mark = "*" if np.array_equal(candidate.grid, answer) else ""
        columns.append([f"{place + 1}: {candidate.votes} votes{mark}", *_grid(candidate.grid)])
    return columns


def _beside(columns: Sequence[Sequence[str]]) -> list[str]:
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


def _grid(grid: Grid) -> list[str]:
    return [" ".join("." if cell == 0 else str(cell) for cell in row) for row in grid]
