"""Where a series comes from: logged by the program through `track`, or read out of its other files.

What is read out of files carries the kind of file before its name: `tensorboard/train/loss`,
`csv/loss`, `jsonl/loss`, `log/loss`. So the same metric, logged and printed too, is never one
series with doubled or rounded points.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

from orchestrator.domain.hardware import is_sampled

# The surest first: exact values with steps of their own before what was printed for people.
PRINTED = "log/"
ORIGINS = ("", "tensorboard/", "jsonl/", "csv/", PRINTED)


def origin_of(series: str) -> str:
    """The prefix of a series that was read out of a file; empty for one that was logged."""
    return next((origin for origin in ORIGINS[1:] if series.startswith(origin)), "")


def plain_name(series: str) -> str:
    """The name as the program gave it."""
    return series.removeprefix(origin_of(series))


def surest(names: Iterable[str]) -> list[str]:
    """Those of the surest origin among names of series: what is printed too counts no second time.

    A function of the set of names, in their order. Samples of the hardware come last.
    """
    known: Collection[str] = tuple(names)
    best = min(map(_rank, known), default=0)
    return [name for name in known if _rank(name) == best]


def furthest(steps: Mapping[str, int]) -> int | None:
    """The largest step of a run from that of each series; None without any.

    What was logged says how far training is; a bar that was printed may have counted files.
    """
    programs = (name for name in steps if not is_sampled(name))
    return max((steps[name] for name in surest(programs)), default=None)


@lru_cache(maxsize=4096)  # asked of every series at every look
def _rank(series: str) -> int:
    return len(ORIGINS) if is_sampled(series) else ORIGINS.index(origin_of(series))
