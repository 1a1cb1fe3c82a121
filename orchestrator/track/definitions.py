"""`define_metric`: by which step a metric is counted, and what the summary keeps of it."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from orchestrator.track.values import flatten
from orchestrator.track.warning import warn_once

T = TypeVar("T")
Figures = dict[str, float | None]  # {"min": 0.1, "last": 0.3}

GOALS = {"minimize": "min", "maximize": "max"}
KEPT = ("min", "max", "mean", "first", "last", "best")
COUNTER = r"(?i)(^|[^a-z])(steps?|iters?|iterations?|updates?)$"


class Extremes:
    """First, last, smallest, largest and mean of the values of one metric so far."""

    __slots__ = ("count", "first", "last", "max", "min", "total")

    def __init__(self, value: float) -> None:
        self.first = self.last = value
        self.min, self.max = float("inf"), float("-inf")
        self.count, self.total = 0, 0.0

    def add(self, value: float) -> None:
        """Take the next value; one that is not finite can only be the first or the last."""
        self.last = value
        if value - value == 0:
            self.min, self.max = min(self.min, value), max(self.max, value)
            self.count += 1
            self.total += value

    def read(self, word: str, goal: str | None) -> float | None:
        """`min`, `mean` and so on, or None if no finite value came; `best` follows the goal."""
        if word == "best":
            word = goal if goal in {"min", "max"} else "last"
        if word in {"min", "max", "mean"} and not self.count:
            return None
        value: float = self.total / self.count if word == "mean" else getattr(self, word)
        return value


class Definitions:
    """What a program said about its metrics, as far as it changes what is recorded."""

    def __init__(self) -> None:
        self.summary: dict[str, Figures] = {}
        self._steps: dict[str, str] = {}
        self._summaries: dict[str, tuple[list[str], str | None]] = {}
        self._extremes: dict[str, Extremes] = {}
        self._reached: dict[str, int] = {}

    def add(
        self, name: str, step_metric: str | None, summary: str | None, goal: str | None
    ) -> None:
        """Take note of one definition; `name` may end in `*`.

        A step is an optimizer update: `train/global_step` may count it, `epoch` may not.
        """
        if step_metric is not None and re.search(COUNTER, step_metric):
            self._steps[name] = step_metric
        words = [word.strip() for word in (summary or "").lower().split(",")]
        if kept := [word for word in words if word in KEPT]:
            self._summaries[name] = (kept, goal)

    def split(self, data: Mapping[Any, Any], step: int) -> list[tuple[int, dict[str, Any]]]:
        """The metrics of one call by the step that each is counted by; `step` for all others."""
        values = dict(flatten(data))
        for counter in set(self._steps.values()) & values.keys():
            self._count(counter, values[counter])
        parts: dict[int, dict[str, Any]] = {}
        for name, value in values.items():
            counter = name if name in self._reached else _match(self._steps, name) or ""
            parts.setdefault(self._reached.get(counter, step), {})[name] = value
        return list(parts.items())

    def observe(self, data: Mapping[Any, Any]) -> dict[str, Figures]:
        """What the summary says from now on of those metrics of `data` that it was asked for."""
        changed = {}
        for name, value in flatten(data):
            words, goal = _match(self._summaries, name) or ((), None)
            number = _at_hand(name, value) if words else None
            if number is not None:
                extremes = self._extremes.setdefault(name, Extremes(number))
                extremes.add(number)
                changed[name] = {word: extremes.read(word, goal) for word in words}
        self.summary.update(changed)
        return changed

    def _count(self, counter: str, value: Any) -> None:
        number = _at_hand(counter, value)
        if number is not None and number - number == 0 and number == int(number):
            self._reached[counter] = int(number)


def _match(rules: Mapping[str, T], name: str) -> T | None:
    """The rule of `name`: its own, or that of the longest beginning followed by `*`."""
    if name in rules:
        return rules[name]
    fitting = [rule for rule in rules if rule.endswith("*") and name.startswith(rule[:-1])]
    return rules[max(fitting, key=len)] if fitting else None


def _at_hand(name: str, value: Any) -> float | None:
    """`value` as a number if that needs no waiting for a GPU."""
    if getattr(value, "is_cuda", False):
        warn_once(f"summary {name}", f"{name!r} is on a GPU, which is not waited for: no summary")
        return None
    try:
        return float(value if isinstance(value, int | float) else value.item())
    except Exception:  # noqa: BLE001 - no number; `log` says so
        return None
