"""Scores of a model on a split: predictions shared out over the processes, scored by the puzzle."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.common.rehearsal import shown
from experiments.common.world import gather
from experiments.puzzles.settings import Settings
from experiments.puzzles.study import Study
from models import maze, scoring, sudoku
from models.interval import intervals
from models.puzzles import Split, read_split
from models.stream import fast_groups, take
from models.supervision import answer
from models.voting import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """Tokens and the probability of being right for each example of a split."""

    tokens_NS: NDArray[np.uint8]
    confidence_N: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was predicted after the first count of segments, and all scores, shares in 0..1.

    Scores of further counts of segments are named segments_N/NAME.
    """

    predicted: Predicted
    scores: dict[str, float]


def shortened(split: Split, seed: int) -> Split:
    """The split, or in a rehearsal some of its groups: whole ones, since their variants vote."""
    each = -(-split.examples // split.groups)
    used = shown(split.examples, each)
    if used == split.examples:
        return split
    return take(split, fast_groups(split, used / (each * split.groups), seed))


def evaluate(
    study: Study,
    average: Mapping[str, Tensor],
    split: Split,
    settings: Settings,
    pool: Pool | None = None,
) -> Evaluation:
    """Answer every example of `split` with the weights `average`; nobody halts early.

    Every process must call it; each answers its share and gets all the answers. With a `pool` the
    votes of earlier evaluations are counted too, at the first count of segments, in scores of
    their own (pooled/NAME).
    """
    weights = {name: weight.to(study.precision) for name, weight in average.items()}
    mine = np.arange(study.world.rank, split.examples, study.world.size)
    told = gather(_predict(study, weights, split, mine, settings), study.world)
    scores: dict[str, float] = {}
    found = []
    for place, segments in enumerate(settings.eval_segments):
        tokens_NS = np.empty(split.labels_NS.shape, np.uint8)
        confidence_N = np.empty(split.examples, np.float32)
        for rows, answers in told:
            tokens_NS[rows], confidence_N[rows] = answers[place]
        one = Predicted(tokens_NS=tokens_NS, confidence_N=confidence_N)
        found.append(one)
        named = score(study, one, split, pool if place == 0 else None)
        if place:  # baselines are the same after any count of segments
            own = {name: value for name, value in named.items() if not name.startswith("baseline/")}
            named = {f"segments_{segments}/{name}": value for name, value in own.items()}
        scores |= named
    return Evaluation(predicted=found[0], scores=scores)


def score(study: Study, one: Predicted, split: Split, pool: Pool | None) -> dict[str, float]:
    """The scores of the set's kind of puzzle, and beside them what needs no learning.

    NAME/low and NAME/high: the 95% interval over puzzles of a share of solved ones.
    above_baseline/exact: the lead over an answer that is a function of the question alone.
    """
    meta, tokens_NS = study.meta, one.tokens_NS
    if meta.kind == "arc":
        return scoring.score(tokens_NS, one.confidence_N, split, meta, pool)
    if meta.kind == "sudoku":
        name, found = "constant", sudoku.score(tokens_NS, split, meta.side)
        found |= intervals(sudoku.solved(tokens_NS, split, meta.side))
        baseline = sudoku.constant_baseline(read_split(study.folder, "train"), split, meta.side)
    else:
        name, found = "copy_input", maze.score(tokens_NS, split, meta.side)
        found |= intervals(maze.solved(tokens_NS, split, meta.side))
        baseline = maze.baseline(split, meta.side)
    found["above_baseline/exact"] = found["exact"] - baseline["exact"]
    return found | {f"baseline/{name}/{key}": value for key, value in baseline.items()}


def _predict(
    study: Study, weights: Mapping[str, Tensor], split: Split, rows: NDArray, settings: Settings
) -> tuple[NDArray, list[tuple[NDArray, NDArray]]]:
    """The rows, and for each asked count of segments their tokens [R, S] and confidence [R]."""
    identifiers_N = split.identifiers_N()
    device = study.world.device
    counts = sorted(set(settings.eval_segments))
    tokens: dict[int, list[NDArray]] = {count: [] for count in counts}
    confidence: dict[int, list[NDArray]] = {count: [] for count in counts}
    for first in range(0, len(rows), settings.eval_batch):
        some = rows[first : first + settings.eval_batch]
        cells_BS = torch.from_numpy(split.inputs_NS[some]).long().to(device)
        named_BI = study.rows_KI[torch.from_numpy(identifiers_N[some]).long().to(device)]
        answers = answer(study.core, weights, cells_BS, study.table.weight[named_BI], counts)
        for count, said in zip(counts, answers, strict=True):
            # As bytes, like the labels: they go through every process, all at once.
            tokens[count].append(said.tokens_BS.to(torch.uint8).cpu().numpy())
            confidence[count].append(said.confidence_B.cpu().numpy())
    empty = np.empty((0, split.inputs_NS.shape[1]), np.uint8), np.empty(0, np.float32)
    joined = {
        count: (
            np.concatenate([empty[0], *tokens[count]]),
            np.concatenate([empty[1], *confidence[count]]),
        )
        for count in counts
    }
    return rows, [joined[count] for count in settings.eval_segments]
