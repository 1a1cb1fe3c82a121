"""Scores of predictions for the test split of an ARC set, beside those of baselines.

A prediction is a row of tokens for each example of the split and a confidence. Every number is
either over rows (one per question and variant, before any vote) or over tasks (after the vote).

Shapes: N examples of the split, S cells of the canvas, C the ten colours, K tasks.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arc import (
    FIRST_COLOUR,
    VOCABULARY,
    decode,
    parse_identifier,
    parse_task,
    restore,
)
from models.baselines import BASELINES
from models.grid_scores import cell_scores, colour_scores, confusion, shape_accuracy
from models.interval import intervals
from models.puzzles import Meta, Split
from models.voting import Pool, Ranked, Solutions, Vote, pass_at, rank, task_credits

# Candidates that pass@k looks at; the ARC prize allows two attempts.
ATTEMPTS = (1, 2, 5, 10, 100, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """Which question an example of the split is, and in which variant it is shown."""

    task: str
    question: int
    symmetry: int
    colours: tuple[int, ...]


def score(
    tokens_NS: NDArray[Any],
    confidence_N: NDArray[Any],
    split: Split,
    meta: Meta,
    pool: Pool | None = None,
) -> dict[str, float]:
    """Every number of one evaluation, all as shares in 0..1.

    Over tasks: `pass@k` (strict), `pass@k/fractional`, `pass@1/low` and `pass@1/high` (bootstrap
    over tasks, 95%). Over rows: `exact_unvoted`, `shape_accuracy`, `cell_accuracy` (cells inside
    the answers' grids) and `colour/C/precision`, `/recall`, `/f1` by original colour, over the same
    cells; one that has nothing to be a share of is left out. Beside them `baseline/NAME/pass@1`,
    `/cell_accuracy` and `/shape_accuracy`, and `above_baseline/pass@1` and `/cell_accuracy`: the
    difference from the best baseline.

    k goes as far as there can be candidates. With a `pool` all `pass@` scores stand there once
    more as `pooled/pass@…`, with the votes of earlier evaluations counted too.

    Raises:
        ValueError: predictions of another shape than the split, or a task that is not of the set.
    """
    if tokens_NS.shape != split.inputs_NS.shape or confidence_N.shape != (split.examples,):
        raise ValueError(
            f"predictions {tokens_NS.shape} with confidence {confidence_N.shape} for a split of"
            f" {split.inputs_NS.shape}; predict every row once, in the split's order"
        )
    votes = votes_of(tokens_NS, confidence_N, split, meta)
    solutions, attempts = solutions_of(split, meta), _attempts(split)
    result = _over_tasks(rank(votes), solutions, attempts)
    if pool is not None:
        pooled = _over_tasks(pool.rank(votes), solutions, attempts)
        result |= {f"pooled/{name}": value for name, value in pooled.items()}
    right = [
        v.grid is not None and np.array_equal(v.grid, solutions[v.task][v.question]) for v in votes
    ]
    result["exact_unvoted"] = float(np.mean(right))
    result |= _over_rows(tokens_NS, split.labels_NS, meta.side)
    result |= _by_colour(tokens_NS, split, meta)
    baselines = _baselines(split, meta, solutions)
    for metric in ("pass@1", "cell_accuracy"):
        best = max(baselines[f"baseline/{name}/{metric}"] for name in BASELINES)
        result[f"above_baseline/{metric}"] = result[metric] - best
    return result | baselines


def votes_of(
    tokens_NS: NDArray[Any], confidence_N: NDArray[Any], split: Split, meta: Meta
) -> list[Vote]:
    """One vote per example: its predicted grid, turned back. A NaN confidence counts as 0."""
    confidences = np.nan_to_num(confidence_N.astype(np.float64), nan=0.0)
    return _votes(_rows(split, meta), tokens_NS, confidences, meta.side)


def _votes(
    rows: Iterable[_Row], tokens_NS: NDArray[Any], confidence_N: NDArray[Any], side: int
) -> list[Vote]:
    return [
        Vote(
            task=row.task,
            question=row.question,
            grid=None if shown is None else restore(shown, row.symmetry, row.colours),
            confidence=confidence,
        )
        for row, shown, confidence in zip(
            rows, decode(tokens_NS, side), confidence_N.tolist(), strict=True
        )
    ]


def solutions_of(split: Split, meta: Meta) -> Solutions:
    """The answers to the questions of each task that has examples in the split."""
    tasks = dict.fromkeys(
        parse_identifier(meta.identifiers[i])[0] for i in split.puzzle_identifiers_P
    )
    missing = [task for task in tasks if task not in meta.test_puzzles]
    if missing:
        raise ValueError(f"task {missing[0]} is in the split and not in test_puzzles.json")
    return {
        task: tuple(a for _, a in parse_task(task, meta.test_puzzles[task]).test) for task in tasks
    }


def _over_tasks(ranked: Ranked, solutions: Solutions, attempts: Iterable[int]) -> dict[str, float]:
    result = {}
    for k in attempts:
        result[f"pass@{k}"] = pass_at(ranked, solutions, k)
        result[f"pass@{k}/fractional"] = pass_at(ranked, solutions, k, "fractional")
    return result | intervals({"pass@1": task_credits(ranked, solutions, 1, "strict")})


def _rows(split: Split, meta: Meta) -> Iterator[_Row]:
    """The question and the variant of each example of the split."""
    sizes = np.diff(split.puzzle_indices_P1)
    for identifier, size in zip(split.puzzle_identifiers_P, sizes, strict=True):
        task, symmetry, colours = parse_identifier(meta.identifiers[identifier])
        for question in range(size):
            yield _Row(task=task, question=question, symmetry=symmetry, colours=colours)


def _attempts(split: Split) -> list[int]:
    """Two attempts, and as many more as a question can have candidates: one from each variant."""
    most = int(np.diff(split.group_indices_G1).max())
    return [k for k in ATTEMPTS if k <= max(2, most)]


def _over_rows(tokens_NS: NDArray[Any], labels_NS: NDArray[Any], side: int) -> dict[str, float]:
    return {
        "cell_accuracy": cell_scores(confusion(tokens_NS, labels_NS))["cell_accuracy"],
        "shape_accuracy": shape_accuracy(tokens_NS, labels_NS, side),
    }


def _by_colour(tokens_NS: NDArray[Any], split: Split, meta: Meta) -> dict[str, float]:
    """Precision, recall and F1 of each colour by its number in the task, unchanged."""
    tables_NV = np.tile(np.arange(VOCABULARY, dtype=np.uint8), (split.examples, 1))
    for place, row in enumerate(_rows(split, meta)):
        tables_NV[place, FIRST_COLOUR:] = np.argsort(row.colours) + FIRST_COLOUR
    return colour_scores(confusion(tokens_NS, split.labels_NS, tables_NV))


def _baselines(split: Split, meta: Meta, solutions: Solutions) -> dict[str, float]:
    """Scores of the answers that need no learning; all variants get the same: no vote."""
    result = {}
    asked: dict[tuple[str, int], tuple[int, _Row]] = {}
    for place, row in enumerate(_rows(split, meta)):
        asked.setdefault((row.task, row.question), (place, row))
    places = [place for place, _ in asked.values()]
    rows = [row for _, row in asked.values()]
    for name, answer in BASELINES.items():
        tokens_NS = answer(np.asarray(split.inputs_NS))
        votes = _votes(rows, tokens_NS[places], np.ones(len(rows)), meta.side)
        result[f"baseline/{name}/pass@1"] = pass_at(rank(votes), solutions, 1)
        for metric, value in _over_rows(tokens_NS, split.labels_NS, meta.side).items():
            result[f"baseline/{name}/{metric}"] = value
    return result
