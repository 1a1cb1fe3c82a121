"""One training among the trainings of a run, and what it says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from orchestrator import track


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One training among several of a run: the prefix of its series, and where its steps begin.

    `extra` is kept in its checkpoints for whoever runs the members; `ends` are the last
    checkpoints of the members that have been trained before it, by their labels.
    """

    prefix: str = ""
    first: int = 0
    extra: dict[str, Any] = field(default_factory=dict)
    ends: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """Points and lines of a member, which only the first process writes: one series, not many."""

    run: track.Run
    member: Member

    def log(self, values: Mapping[str, float | Tensor], step: int) -> None:
        """Write points at the member's `step`."""
        if self.run.rank == 0:
            named = {self.member.prefix + name: value for name, value in values.items()}
            self.run.log(named, step=self.member.first + step)

    def say(self, text: str) -> None:
        """Print a line."""
        if self.run.rank == 0:
            print(f"{self.member.prefix.rstrip('/')} {text}".lstrip(), flush=True)

    def alert(self, title: str, text: str) -> None:
        """Raise an alarm of the run, and print it."""
        if self.run.rank == 0:
            self.run.alert(title, text, "error")
        self.say(text)
