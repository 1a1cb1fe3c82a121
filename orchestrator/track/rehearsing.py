"""A rehearsal as the training program sees it: `track.rehearsal()`; docs/rehearsal.md.

Loaded only where EXP_REHEARSAL is set. Everything here is harmless: a fault costs a warning and
what would have been recorded, never the training.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from orchestrator.track.counting import TorchCounts
from orchestrator.track.peaks import Peaks
from orchestrator.track.warning import describe, harmless, warn_once

VARIABLE = "EXP_REHEARSAL"
NUMBERS = ("steps", "every", "examples")
KEPT = 1000  # events that wait for `init`

Write = Callable[[Mapping[str, Any], int | None], None]  # an event's data and step


class Rehearsal:
    """What a rehearsal asks of a program.

    steps: end the training after this optimizer step, as if that had been planned; the schedule of
        the learning rate stays that of the real run.
    every: validate, then save a checkpoint, after every so many optimizer steps.
    examples: how many examples an evaluation shall use.
    longest_first: take the longest samples first, if the loader can.
    """

    longest_first = True

    def __init__(self, numbers: Mapping[str, int], write: Write) -> None:
        self.steps, self.every, self.examples = (numbers[name] for name in NUMBERS)
        self._write = write
        self._step: int | None = None
        self._digest = hashlib.sha256()

    def subset(self, total: int, each: int = 1) -> int:
        """How many of `total` examples to evaluate; it is recorded. Never raises.

        Where examples belong together (the variants of a puzzle), `each` is how many: the answer
        is a multiple of it, or all.
        """
        used = harmless(self._subset)(total, each)
        return total if used is None else used

    @harmless
    def batch(self, step: int, ids: Iterable[Any]) -> None:
        """Record which examples optimizer step `step` takes: their numbers or names, in order.

        Parts of one step (accumulation) may be told one after the other. A tensor is read, which
        waits for its device. Never raises.
        """
        step = int(step)
        if step != self._step:
            self._step, self._digest = step, hashlib.sha256()
        found = ids.tolist() if hasattr(ids, "tolist") else list(ids)
        self._digest.update(json.dumps(found, default=str).encode())
        digest = self._digest.hexdigest()[:16]
        self._write({"state": "batch", "step": step, "digest": digest}, step)

    def _subset(self, total: int, each: int) -> int:
        used = min(-(-self.examples // each) * each, total)
        self._write({"state": "subset", "used": used, "total": total}, None)
        return used


class Rehearsing:
    """What is recorded beside the program's own points while it is rehearsed: one per process."""

    def __init__(self, numbers: Mapping[str, int]) -> None:
        self._rehearsal = Rehearsal(numbers, self._write)
        self._asked = {"state": "asked", **numbers}
        self._told = False
        self._run_write: Write | None = None
        self._early: list[tuple[Mapping[str, Any], int | None]] = []
        self._counts = TorchCounts()
        self._peaks = Peaks(self._write_state)
        self._phases: list[str] = []
        self._last_counts: Mapping[str, Any] = {}

    @harmless
    def attach(self, write: Write) -> None:
        """Record into a run from now on; what was told before there was one goes first."""
        if self._run_write is not None:  # the run before is finished: this one begins anew
            self._forget()
            self._told = False
        self._run_write = write
        early, self._early = self._early, []
        for event in early:
            write(*event)
        self._counts.install()

    def ask(self) -> Rehearsal:
        """What the program gets; that it asked is recorded once a run."""
        self._counts.install()
        if not self._told:
            self._told = True
            self._write_state(self._asked)
        return self._rehearsal

    @harmless
    def begin(self, phase: str) -> None:
        """Before a phase: what was counted until now, and the peaks until now."""
        self._counts.install()
        self._write_counts()
        self._peaks.begin(phase)
        self._phases.append(phase)
        self._counts.phases = tuple(self._phases)

    @harmless
    def end(self, phase: str) -> None:
        """After a phase, however it ended: its peaks."""
        self._peaks.end(phase)
        if phase in self._phases:
            self._phases.remove(phase)
        self._counts.phases = tuple(self._phases)

    @harmless
    def close(self) -> None:
        """At the end of the run: all that is not written yet."""
        self._write_counts()
        self._peaks.close()

    def after_fork(self) -> None:
        """In the child: what was counted and measured is the parent's."""
        self._early = []
        self._forget()

    def _forget(self) -> None:
        self._counts.forget()
        self._peaks = Peaks(self._write_state)
        self._phases, self._last_counts = [], {}

    def _write_counts(self) -> None:
        counts = self._counts.read()
        if counts is not None and counts != self._last_counts:
            self._last_counts = counts
            self._write_state({"state": "counts", **counts})

    def _write_state(self, data: Mapping[str, Any]) -> None:
        self._write(data, None)

    def _write(self, data: Mapping[str, Any], step: int | None) -> None:
        if self._run_write is not None:
            self._run_write(data, step)
        elif len(self._early) < KEPT:
            self._early.append((data, step))


_current: tuple[str, Rehearsing | None] = ("", None)


def rehearsing(text: str) -> Rehearsing | None:
    """What records the rehearsal that `text` (EXP_REHEARSAL) asks for; None if it is malformed."""
    global _current  # noqa: PLW0603 - one per process, as there is one run
    if _current[0] != text:
        numbers = _read(text)
        _current = text, None if numbers is None else Rehearsing(numbers)
    return _current[1]


def _read(text: str) -> dict[str, int] | None:
    try:
        given = json.loads(text)
        numbers = {name: given[name] for name in NUMBERS}
    except (ValueError, KeyError, TypeError) as error:
        warn_once(VARIABLE, f"{VARIABLE}={text!r} is no rehearsal: {describe(error)}")
        return None
    wrong = [name for name, value in numbers.items() if type(value) is not int or value < 1]
    if wrong:
        said = ", ".join(f"{name}={numbers[name]!r}" for name in wrong)
        warn_once(VARIABLE, f"{VARIABLE}: {said}: whole numbers above 0; nothing is rehearsed")
        return None
    return numbers
