"""Scores of a model on a split: predictions shared out over the processes, scored by the puzzle."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.puzzles.settings import Settings
from experiments.puzzles.study import Study
from experiments.puzzles.world import World, gather
from models import maze, scoring, sudoku
from models.puzzles import Split, read_split
from models.supervision import answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was predicted for each example after the first count of segments, and all scores.

    Scores are shares in 0..1 by name; those of further counts are named segments_N/NAME.
    """

    tokens_NS: NDArray[np.int64]
    confidence_N: NDArray[np.float32]
    scores: dict[str, float]


def evaluate(
    study: Study, average: Mapping[str, Tensor], split: Split, settings: Settings, world: World
) -> Evaluation:
    """Answer every example of `split` with the weights `average`; nobody halts early.

    Every process must call it; each answers its share and gets all the answers.
    """
    weights = {name: weight.to(study.precision) for name, weight in average.items()}
    mine = np.arange(world.rank, split.examples, world.size)
    told = gather(_predict(study, weights, split, mine, settings), world)
    scores: dict[str, float] = {}
    found = []
    for place, segments in enumerate(settings.eval_segments):
        tokens_NS = np.empty(split.labels_NS.shape, np.int64)
        confidence_N = np.empty(split.examples, np.float32)
        for rows, answers in told:
            tokens_NS[rows], confidence_N[rows] = answers[place]
        found.append((tokens_NS, confidence_N))
        prefix = f"segments_{segments}/" if place else ""
        named = score(study, tokens_NS, confidence_N, split)
        scores |= {prefix + name: value for name, value in named.items()}
    return Evaluation(tokens_NS=found[0][0], confidence_N=found[0][1], scores=scores)


def score(
    study: Study, tokens_NS: NDArray[np.int64], confidence_N: NDArray[np.float32], split: Split
) -> dict[str, float]:
    """The scores of the set's kind of puzzle, and beside them what needs no learning.

    exact_above_baseline: the lead over the best answer that is a function of the question alone.
    """
    meta = study.meta
    if meta.kind == "arc":
        return scoring.score(tokens_NS, confidence_N, split, meta)
    if meta.kind == "sudoku":
        found = sudoku.score(tokens_NS, split, meta.side)
        constant = sudoku.constant_baseline(read_split(study.folder, "train"), split, meta.side)
    else:
        found = maze.score(tokens_NS, split, meta.side)
        constant = maze.baseline(split, meta.side)
    found["exact_above_baseline"] = found["exact"] - constant["exact"]
    return found | {f"baseline/{name}": value for name, value in constant.items()}


def headline(scores: Mapping[str, float]) -> str:
    """What is printed: the scores of the first count of segments, without colours and baselines."""
    return " ".join(f"{name}={value:.4f}" for name, value in scores.items() if "/" not in name)


def _predict(
    study: Study, weights: Mapping[str, Tensor], split: Split, rows: NDArray, settings: Settings
) -> tuple[NDArray, list[tuple[NDArray, NDArray]]]:
    """The rows, and for each asked count of segments their tokens [R, S] and confidence [R]."""
    identifiers_N = split.identifiers_N()
    device = study.rows_KI.device
    counts = sorted(set(settings.eval_segments))
    tokens: dict[int, list[NDArray]] = {count: [] for count in counts}
    confidence: dict[int, list[NDArray]] = {count: [] for count in counts}
    for first in range(0, len(rows), settings.eval_batch):
        some = rows[first : first + settings.eval_batch]
        cells_BS = torch.from_numpy(split.inputs_NS[some]).long().to(device)
        named_BI = study.rows_KI[torch.from_numpy(identifiers_N[some]).long().to(device)]
        answers = answer(study.core, weights, cells_BS, study.table.weight[named_BI], counts)
        for count, said in zip(counts, answers, strict=True):
            tokens[count].append(said.tokens_BS.cpu().numpy())
            confidence[count].append(said.confidence_B.cpu().numpy())
    empty = np.empty((0, split.inputs_NS.shape[1]), np.int64), np.empty(0, np.float32)
    joined = {
        count: (
            np.concatenate([empty[0], *tokens[count]]),
            np.concatenate([empty[1], *confidence[count]]),
        )
        for count in counts
    }
    return rows, [joined[count] for count in settings.eval_segments]
