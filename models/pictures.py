"""Predicted grids of an ARC evaluation as text that a person can look at."""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from models.arc import Grid, parse_task
from models.puzzles import Meta
from models.voting import Candidate, Ranked, Solutions, task_credits


def draw_predictions(meta: Meta, solutions: Solutions, ranked: Ranked) -> str:
    """Every question beside its answer and its first two candidates; colour 0 is a dot."""
    credit_K = task_credits(ranked, solutions, 1, "strict")
    solved = {task: credit == 1 for task, credit in zip(solutions, credit_K, strict=True)}
    lines = [
        f"{meta.name}: {sum(solved.values())} of {len(solved)} tasks solved at pass@1",
        "Solved tasks first. Colour 0 is a dot. * marks the candidate that is right.",
    ]
    for task in sorted(solved, key=lambda t: (not solved[t], t)):
        questions = [question for question, _ in parse_task(task, meta.test_puzzles[task]).test]
        verdict = "solved" if solved[task] else "not solved"
        for number, (question, answer) in enumerate(zip(questions, solutions[task], strict=True)):
            candidates = ranked.get((task, number), ())[:2]
            lines += ["", f"{task} question {number + 1} ({verdict})"]
            lines += _beside(question, answer, candidates)
    return "\n".join(lines) + "\n"


def _beside(question: Grid, answer: Grid, candidates: Sequence[Candidate]) -> list[str]:
    columns = [["question", *_rows(question)], ["answer", *_rows(answer)]]
    for place, candidate in enumerate(candidates):
        mark = "*" if np.array_equal(candidate.grid, answer) else ""
        title = f"{place + 1}: {candidate.votes} votes{mark}"
        columns.append([title, *_rows(candidate.grid)])
    widths = [max(map(len, column)) for column in columns]
    return [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip_longest(*columns, fillvalue="")
    ]


def _rows(grid: Grid) -> list[str]:
    return [" ".join("." if cell == 0 else str(cell) for cell in row) for row in grid]
