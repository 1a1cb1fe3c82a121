"""From predictions of many augmentations to one ranked list of answers per question.

Each prediction is turned back and casts a vote for the grid it shows. Candidates are ranked by
(votes, mean confidence), the rule of HRM's and TRM's ARC evaluation. pass@k looks at the first k
candidates, so pass@1 is the result of a vote, not of a single sample.

Votes are of one evaluation: `rank` keeps nothing. Who wants an ensemble over checkpoints keeps a
`Pool` and says so; the references pool without saying so, by a default.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.arc import Grid

Credit = Literal["strict", "fractional"]
Solutions = Mapping[str, Sequence[Grid]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One turned-back prediction; `grid` is None when it showed no grid at all."""

    task: str
    question: int
    grid: Grid | None
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A grid that was voted for."""

    grid: Grid
    votes: int
    confidence: float


Ranked = dict[tuple[str, int], tuple[Candidate, ...]]


def rank(votes: Iterable[Vote]) -> Ranked:
    """Candidates of each (task, question), best first.

    Equal votes and equal confidence are ordered by the grid's bytes, so the order of the votes
    never decides.
    """
    grids: dict[bytes, Grid] = {}
    cast: dict[tuple[str, int], dict[bytes, list[float]]] = defaultdict(lambda: defaultdict(list))
    for vote in votes:
        if vote.grid is not None:
            key = bytes(vote.grid.shape) + vote.grid.tobytes()
            grids[key] = vote.grid
            cast[vote.task, vote.question][key].append(vote.confidence)
    return {place: _candidates(by_grid, grids) for place, by_grid in cast.items()}


class Pool:
    """Votes of several evaluations taken together: an ensemble over checkpoints, named as such."""

    def __init__(self) -> None:
        self._votes: list[Vote] = []

    def rank(self, votes: Iterable[Vote]) -> Ranked:
        """The candidates of these votes and of all earlier ones."""
        self._votes += votes
        return rank(self._votes)


def _candidates(
    by_grid: dict[bytes, list[float]], grids: dict[bytes, Grid]
) -> tuple[Candidate, ...]:
    # Sorted before the sum: the order of the votes must not change the last digit.
    found = [(len(cast), sum(sorted(cast)) / len(cast), key) for key, cast in by_grid.items()]
    found.sort(key=lambda f: (-f[0], -f[1], f[2]))
    return tuple(Candidate(grid=grids[key], votes=n, confidence=c) for n, c, key in found)


def task_credits(
    ranked: Ranked, solutions: Solutions, k: int, credit: Credit
) -> NDArray[np.float64]:
    """What each task scores, [K tasks]: are the answers among the first k candidates?

    "strict" gives 1 for all questions of a task answered and 0 else (HRM, and the ARC prize of
    2019); "fractional" the share of its questions answered (TRM, URM, the ARC prize since 2024).
    """
    shares_K = np.array(
        [
            np.mean(
                [_found(ranked.get((task, n), ())[:k], answer) for n, answer in enumerate(answers)]
            )
            for task, answers in solutions.items()
        ]
    )
    return shares_K if credit == "fractional" else np.floor(shares_K)


def pass_at(ranked: Ranked, solutions: Solutions, k: int, credit: Credit = "strict") -> float:
    """pass@k: the mean over tasks of `task_credits`."""
    return float(task_credits(ranked, solutions, k, credit).mean())


def _found(candidates: Sequence[Candidate], answer: Grid) -> bool:
    return any(np.array_equal(candidate.grid, answer) for candidate in candidates)
