"""Training examples on the device, in the order of an endless stream.

Slot b of the batch that is free takes the next example of the stream; the others keep theirs, so no
example is lost. All processes together draw like one process with the whole batch. Nothing here
waits for the device but `turn`, which the loop calls once in `window` steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from experiments.common.world import World, everyones
from experiments.puzzles.settings import Settings
from experiments.puzzles.study import Study
from models.puzzles import IGNORE, Split
from models.stream import Stream
from models.supervision import Halting, Rows, draw_minimum


@dataclass(slots=True, kw_only=True)
class Feed:
    """The examples, and the window of the stream that the next steps draw from.

    `place` counts the examples that all processes have drawn.
    """

    stream: Stream
    inputs_NS: Tensor
    labels_NS: Tensor
    rows_NI: Tensor
    place: Tensor
    first: int
    window_W: Tensor
    minimum_KB: Tensor
    step: int


def make_feed(split: Split, study: Study, settings: Settings, world: World) -> Feed:
    """Put the training split on the device."""
    device = world.device
    identifiers_N = torch.from_numpy(split.identifiers_N()).long().to(device)
    return Feed(
        stream=Stream(split, settings.stream, settings.seed),
        inputs_NS=torch.tensor(split.inputs_NS, device=device),
        labels_NS=torch.tensor(split.labels_NS, device=device),
        rows_NI=study.rows_KI[identifiers_N],
        place=torch.zeros((), dtype=torch.long, device=device),
        first=0,
        window_W=torch.zeros(0, dtype=torch.long, device=device),
        minimum_KB=torch.zeros(0, 0, dtype=torch.long, device=device),
        step=0,
    )


def turn(feed: Feed, settings: Settings, halting: Halting, step: int, steps: int) -> None:
    """Make the window for the next `steps` steps, of which `step` is the first; waits once."""
    feed.first, feed.step = int(feed.place), step
    device = feed.place.device
    window = feed.stream.window(feed.first, steps * settings.batch)
    feed.window_W = torch.from_numpy(window).to(device)
    drawn = [
        draw_minimum(halting, settings.seed, s, settings.batch) for s in range(step, step + steps)
    ]
    feed.minimum_KB = torch.from_numpy(np.stack(drawn)).to(device)


def draw(
    feed: Feed, free_B: Tensor, rank_B: Tensor, step: int, world: World
) -> tuple[Rows, Tensor]:
    """A row for each slot of this process, and its least number of segments; free slots count."""
    mine = free_B.sum()[None]
    counts = everyones(mine, world)
    before = counts[: world.rank].sum()
    index_B = (feed.place - feed.first + before + rank_B).clamp(0, len(feed.window_W) - 1)
    example_B = feed.window_W[index_B]
    feed.place = feed.place + counts.sum()
    slots = slice(world.rank * len(free_B), (world.rank + 1) * len(free_B))
    labels_BS = feed.labels_NS[example_B].long()
    rows = Rows(
        cells_BS=feed.inputs_NS[example_B].long(),
        labels_BS=labels_BS.masked_fill(labels_BS == 0, IGNORE),
        identifiers_BI=feed.rows_NI[example_B],
    )
    return rows, feed.minimum_KB[step - feed.step, slots]


def drawn(feed: Feed, since: Tensor) -> Iterator[int]:
    """The examples that all processes together have drawn since a place; waits for the device."""
    yield from feed.window_W[int(since) - feed.first : int(feed.place) - feed.first].tolist()
