"""SAGE as a task of the training loop: its batches, its objective and its scores."""

import time
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from experiments.common.checkpoints import seed_everything
from experiments.common.task import computing
from experiments.common.world import World
from experiments.sage.data import Data, Part, load_data
from experiments.sage.settings import Settings
from models.arc import FIRST_COLOUR
from models.grid_scores import score_beside_baselines
from models.objective import Weights, read_weights
from models.puzzles import IGNORE
from models.sage import ORIGINAL, Sage, SageConfig, canvases, pool_valid, student
from models.sage_losses import (
    cell_losses,
    cell_weights,
    colour_weights,
    feature_losses,
    shape_losses,
)

TERMS = ("cells", "shape", "feature")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Features [B, L, F] with what of them is valid (None: all), colours [B, S], sizes [B, 2]."""

    features_BLF: Tensor
    valid_BL: Tensor | None
    labels_BS: Tensor
    sizes_B2: Tensor


class SageTask:
    """The network, the data and the objective that the settings name.

    Raises:
        ValueError: the settings, or the data that they name, cannot be used.
    """

    def __init__(self, settings: Settings, world: World) -> None:
        self.settings, self.device = settings, world.device
        self.data = load_data(settings).shortened({"val"})
        self.weights = read_weights(settings.weights, TERMS)
        seed_everything(settings.seed)
        config = sage_config(settings, self.data, self.weights)
        self.module = Sage(config).to(world.device)
        self.sizes = {
            "train": len(self.data.parts["train"].examples),
            "val": len(self.data.parts["val"].examples),
        }
        self.facts = self.data.facts | {"network": asdict(config)}
        self.attached: dict[str, Any] = {}
        self.lower_is_better: frozenset[str] = frozenset()
        self._colour_weights_C = colour_weights(
            self.data.colour_counts(), settings.class_weights, settings.cap, settings.beta
        )

    def batch(self, rows: NDArray[np.int64], part: Part) -> Batch:
        """These examples of a part, on the processor."""
        pairs = self.data.parts[part]
        features_BLF, valid_BL = self.data.features.batch(pairs.rows_N[rows])
        return Batch(
            features_BLF=features_BLF,
            valid_BL=valid_BL,
            labels_BS=pairs.labels_NS[rows],
            sizes_B2=pairs.sizes_N2[rows],
        )

    def counts(self, batch: Batch) -> dict[str, float]:
        """Class weights of the scored cells; answers; tokens after pooling."""
        rows, length = batch.features_BLF.shape[:2]
        if batch.valid_BL is None:
            tokens = rows * -(-length // self.module.config.pool)
        else:
            tokens = int(pool_valid(batch.valid_BL, self.module.config.pool).sum())
        weights_N = cell_weights(batch.labels_BS, self._colour_weights_C)
        every = {"cells": float(weights_N.sum()), "shape": float(rows), "feature": float(tokens)}
        return {name: every[name] for name in self.weights.terms}

    def totals(self, batch: Batch) -> dict[str, Tensor]:
        """Sums of the terms over a batch."""
        valid_BL = None if batch.valid_BL is None else batch.valid_BL.to(self.device)
        said = self.module(batch.features_BLF.to(self.device), valid_BL)
        totals: dict[str, Tensor] = {}
        if "cells" in self.weights.terms:
            labels_BS = batch.labels_BS.to(self.device)
            weights_C = self._colour_weights_C.to(self.device)
            gamma = self.settings.gamma
            values_N, weights_N = cell_losses(said.cells_BSC, labels_BS, weights_C, gamma)
            totals["cells"] = (values_N * weights_N).sum()
        if "shape" in self.weights.terms:
            sizes_B2 = batch.sizes_B2.to(self.device)
            totals["shape"] = shape_losses(said.height_BM, said.width_BM, sizes_B2).sum()
        if "feature" in self.weights.terms:
            totals["feature"] = feature_losses(
                said.reconstructed_BPF, said.tokens_BPF, said.valid_BP, self.settings.feature_norm
            ).sum()
        return totals

    def scores(self) -> dict[str, float]:
        """Scores of the validation part."""
        return self.scores_of("val")

    def scores_of(self, part: Part) -> dict[str, float]:
        """Scores of a part, with those of answers that need no learning beside."""
        pairs = self.data.parts[part]
        return score_beside_baselines(
            self.predict(part), pairs.questions_NS, pairs.answers_NS, self.settings.side
        )

    def reported(self) -> dict[str, float]:
        """What a person would read off the validation part, counted as the objective counts cells.

        `exact`: every counted cell is right; the size is not looked at.
        """
        labels_NS = self.data.parts["val"].labels_NS.numpy()
        counted_NS = labels_NS != IGNORE
        colours_NS = self.predict("val").astype(np.int64) - FIRST_COLOUR
        if self.settings.padding == "class_0":  # so are the cells around the predicted grid
            colours_NS = np.maximum(colours_NS, 0)
        right_NS = colours_NS == labels_NS
        return {
            "cell_accuracy": float(right_NS[counted_NS].mean()),
            "exact": float((right_NS | ~counted_NS).all(1).mean()),
        }

    def predict(self, part: Part) -> NDArray[np.uint8]:
        """Answers as token canvases [N, S]."""
        size = len(self.data.parts[part].examples)
        canvases_BS = [
            self._answer(self.batch(np.arange(first, min(first + step, size)), part))
            for step in [self.settings.eval_batch]
            for first in range(0, size, step)
        ]
        return np.concatenate(canvases_BS)

    def _answer(self, batch: Batch) -> NDArray[np.uint8]:
        valid_BL = None if batch.valid_BL is None else batch.valid_BL.to(self.device)
        with computing(self.settings, self.device):
            said = self.module(batch.features_BLF.to(self.device), valid_BL)
        return canvases(said).cpu().numpy()

    def milliseconds(self, rows: int, rounds: int = 7) -> float:
        """Milliseconds a grid takes in batches of `rows`, from features to canvas: the median."""
        size = len(self.data.parts["test"].examples)
        batch = self.batch(np.arange(rows) % size, "test")
        taken = []
        for _ in range(rounds + 2):
            begun = time.perf_counter()
            self._answer(batch)
            taken.append((time.perf_counter() - begun) * 1000 / rows)
        return median(taken[2:])


def sage_config(settings: Settings, data: Data, weights: Weights) -> SageConfig:
    """The network that the settings name, for these features.

    Raises:
        ValueError: sizes that do not go together, or a term that the network has no part for.
    """
    reconstruct = "feature" in weights.terms
    if settings.model == "original":
        if "shape" in weights.terms:
            raise ValueError("weights.shape: the original predicts no shape; leave it out")
        if settings.side != ORIGINAL.side or data.features.width != ORIGINAL.features:
            raise ValueError(
                f"model=original answers on {ORIGINAL.side}x{ORIGINAL.side} from features of"
                f" {ORIGINAL.features}: set side={ORIGINAL.side} features={ORIGINAL.features}"
            )
        return replace(ORIGINAL, reconstruct=reconstruct)
    return student(
        features=data.features.width,
        width=settings.width,
        heads=settings.heads,
        layers=settings.layers,
        decoder_layers=settings.decoder_layers,
        dropout=settings.dropout,
        pool=settings.pool,
        tokens=-(-int(data.features.tokens_N.max()) // settings.pool),
        side=settings.side,
        aligned=data.aligned and settings.pool == 1,
        reconstruct=reconstruct,
    )
