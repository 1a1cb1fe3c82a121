"""From predictions of many augmentations to one ranked list of answers per question.

Each prediction is turned back and casts a vote for the grid it shows. Candidates are ranked by
(votes, mean confidence), the rule of HRM's ARC evaluation. pass@k looks at the first k candidates,
so pass@1 is the result of a vote, not of a single sample. A task counts only if all its questions
are right (HRM's strict reading; TRM gives part credit instead). Votes live in one call: nothing is
kept from an earlier evaluation.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from models.arc import Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One turned-back prediction; `grid` is None when it showed no grid at all."""

    task: int
    question: int
    grid: Grid | None
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A grid that was voted for."""

    grid: Grid
    votes: int
    confidence: float


Ranked = dict[tuple[int, int], tuple[Candidate, ...]]


def rank(votes: Iterable[Vote]) -> Ranked:
    """Candidates of each (task, question), best first.

    Equal votes and equal confidence are ordered by the grid's bytes, so the order of the votes
    never decides.
    """
    cast: dict[tuple[int, int], dict[bytes, list[Vote]]] = defaultdict(lambda: defaultdict(list))
    for vote in votes:
        if vote.grid is not None:
            cast[vote.task, vote.question][_key(vote.grid)].append(vote)
    return {place: _candidates(by_grid) for place, by_grid in cast.items()}


def _candidates(by_grid: dict[bytes, list[Vote]]) -> tuple[Candidate, ...]:
    found = [
        (len(same), sum(sorted(v.confidence for v in same)) / len(same), key, same[0].grid)
        for key, same in by_grid.items()
    ]
    found.sort(key=lambda f: (-f[0], -f[1], f[2]))
    return tuple(Candidate(grid=g, votes=n, confidence=c) for n, c, _, g in found)


def _key(grid: Grid) -> bytes:
    return bytes(grid.shape) + grid.tobytes()


def pass_at(ranked: Ranked, solutions: Sequence[Sequence[Grid]], k: int) -> float:
    """Share of tasks whose every question has its answer among the first k candidates."""
    solved = [task_solved(ranked, task, answers, k) for task, answers in enumerate(solutions)]
    return sum(solved) / len(solved)


def task_solved(ranked: Ranked, task: int, answers: Sequence[Grid], k: int) -> bool:
    """Whether all questions of one task are answered within k candidates."""
    return all(
        any(np.array_equal(c.grid, answer) for c in ranked.get((task, question), ())[:k])
        for question, answer in enumerate(answers)
    )
