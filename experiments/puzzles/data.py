"""From the name of a data set in a setting to its folder in the cache."""

import re
from dataclasses import asdict
from pathlib import Path

from experiments.puzzles.settings import Settings
from models import arc_set, maze, sudoku_set
from models.puzzles import cached

_GRID = re.compile(r"(sudoku|maze)-(\d+)x(\d+)")


def data_folder(settings: Settings) -> Path:
    """The folder of the set that `settings.data` names; generated first if it is not cached.

    Raises:
        ValueError: no such set, or its settings make no sense.
    """
    if "/" in settings.data:
        return Path(settings.data)
    match = _GRID.fullmatch(settings.data)
    if match is None and settings.data.startswith("arc"):
        return _arc(settings)
    if match is None:
        raise ValueError(
            f"data={settings.data!r}: write sudoku-9x9, maze-11x11, arc1-aug-100,"
            " arc1-train-same-size-8x8 or their like, or a folder with a / in its path"
        )
    if match[2] != match[3]:
        raise ValueError(f"data={settings.data!r}: the grid must be square")
    return (_sudoku if match[1] == "sudoku" else _maze)(settings, int(match[2]))


def _arc(settings: Settings) -> Path:
    small = "same-size" in settings.data  # the names of the others say their augmentations
    chosen = arc_set.parse_set(
        settings.data,
        augmentations=settings.augmentations if small else None,
        recolour=settings.recolour if small else None,
        seed=settings.data_seed,
    )
    return cached(chosen.name, chosen.settings(), lambda: arc_set.build(chosen))


def _sudoku(settings: Settings, side: int) -> Path:
    chosen = sudoku_set.Sudoku(
        side=side,
        givens=_range("givens", settings.givens or sudoku_set.usual_givens(side)),
        train=settings.train_puzzles,
        test=settings.test_puzzles,
        augmentations=settings.augmentations,
        hardest=settings.hardest if settings.hardest < 1 else None,
        seed=settings.data_seed,
    )
    return cached(chosen.name, chosen.settings, lambda: sudoku_set.build(chosen))


def _maze(settings: Settings, side: int) -> Path:
    low, high = _range("walls", settings.walls)
    chosen = maze.Maze(
        side=side,
        train=settings.train_puzzles,
        test=settings.test_puzzles,
        walls=(low / 100, high / 100),
        augmentations=settings.augmentations,
        hard=settings.hard,
        seed=settings.data_seed,
    )
    return cached(chosen.name, asdict(chosen), lambda: maze.build(chosen))


def _range(name: str, numbers: tuple[int, ...]) -> tuple[int, int]:
    if len(numbers) != 2:
        raise ValueError(f"{name}: two numbers, the least and the greatest, as in [8, 16]")
    return numbers[0], numbers[1]
