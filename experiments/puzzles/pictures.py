"""Predicted grids as text that a person can look at."""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from experiments.arc.settings import Study

from models.arc import Grid
from models.voting import Candidate, Ranked, task_solved

Solutions = Sequence[Sequence[Grid]]


def draw_predictions(study: Study, solutions: Solutions, ranked: Ranked, step: int) -> str:
    """Every question beside its answer and its first two candidates; colour 0 is a dot."""
    first = [task_solved(ranked, t, answers, 1) for t, answers in enumerate(solutions)]
    lines = [
        f"{study.subset.name}, step {step}: {sum(first)} of {len(first)} tasks solved at pass@1",
        "Solved tasks first. Colour 0 is a dot. * marks the candidate that is right.",
    ]
    for task in sorted(range(len(first)), key=lambda t: (not first[t], study.tasks[t].id)):
        for number, answer in enumerate(solutions[task]):
            question = study.tasks[task].questions[number]
            candidates = ranked.get((task, number), ())[:2]
            verdict = "solved" if first[task] else "not solved"
            lines += ["", f"{study.tasks[task].id} question {number + 1} ({verdict})"]
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
