"""What PyTorch itself did: steps of optimizers and schedulers, and the wait for batches.

Counted by hooks and wrapped methods of torch's classes, only while a program is rehearsed.
"""

import importlib
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from threading import local
from typing import Any
from weakref import WeakKeyDictionary

from orchestrator.track.warning import describe, warn_once

TRAINING = {"train", "training", "data"}  # phases in which a wait for a batch is training's


class TorchCounts:
    """Counts of this process since it began or was forked.

    `phases` are the names of the open phases. Steps are those of the optimizer, and of the
    scheduler, that took the most: two optimizers side by side make one training step.
    """

    def __init__(self) -> None:
        self.phases: tuple[str, ...] = ()
        self._installed = False
        self.forget()

    def install(self) -> None:
        """Count from now on, if the program has loaded PyTorch by now."""
        torch = sys.modules.get("torch")
        if self._installed or not hasattr(torch, "optim"):  # it may be in the middle of its import
            return
        self._installed = True
        for place in (self._count_optimizers, self._count_schedulers, self._time_loaders):
            try:
                place()
            except Exception as error:  # noqa: BLE001 - tracking must never hurt training
                warn_once(place.__name__, f"{place.__name__} failed: {describe(error)}")

    def forget(self) -> None:
        """Begin anew at zero."""
        self.phases = ()
        self._optimizers: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._schedulers: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._begun: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
        self._most: dict[str, int] = {"optimizer_steps": 0}  # and scheduler_steps once there is one
        self._waited = {"data_seconds": 0.0, "loader_seconds": 0.0}
        self._loads = 0

    def read(self) -> dict[str, Any] | None:
        """The counts; None without PyTorch. Without a scheduler or loader its own are None."""
        if not self._installed:
            return None
        waited = self._waited if self._loads else dict.fromkeys(self._waited)
        return {
            "optimizer_steps": self._most["optimizer_steps"],
            "scheduler_steps": self._most.get("scheduler_steps"),
            **waited,
        }

    def _count(
        self, what: str, counts: WeakKeyDictionary[Any, int], thing: Any, steps: int = 1
    ) -> None:
        with suppress(Exception):  # whatever a program made of its optimizer
            counts[thing] = counts.get(thing, 0) + steps
            self._most[what] = max(self._most.get(what, 0), counts[thing])

    def _count_optimizers(self) -> None:
        optimizer = importlib.import_module("torch.optim.optimizer")

        def count(stepped: Any, _args: Any, _kwargs: Any) -> None:
            self._count("optimizer_steps", self._optimizers, stepped)

        optimizer.register_optimizer_step_post_hook(count)

    def _count_schedulers(self) -> None:
        """Wrap `step` of the scheduler's class and of all below it, also of later ones.

        A step inside of another (SequentialLR, `super().step()`) and the one by which a scheduler
        begins are none of their own.
        """
        base = importlib.import_module("torch.optim.lr_scheduler").LRScheduler
        inside = local()

        def nested(method: Callable[..., Any], steps: int) -> Callable[..., Any]:
            @wraps(method)
            def within(scheduler: Any, *args: Any, **options: Any) -> Any:
                depth = getattr(inside, "depth", 0)
                inside.depth = depth + 1
                try:
                    result = method(scheduler, *args, **options)
                finally:
                    inside.depth = depth
                if not depth:
                    self._count("scheduler_steps", self._schedulers, scheduler, steps)
                return result

            return within

        def wrap(kind: Any) -> None:
            for name, steps in (("step", 1), ("_initial_step", 0)):
                if name in vars(kind):
                    setattr(kind, name, nested(getattr(kind, name), steps))

        def wrap_later(kind: Any, /, **options: Any) -> None:
            super(base, kind).__init_subclass__(**options)
            wrap(kind)

        for kind in [base, *_below(base)]:
            wrap(kind)
        base.__init_subclass__ = classmethod(wrap_later)

    def _time_loaders(self) -> None:
        loader = importlib.import_module("torch.utils.data.dataloader")
        kind = vars(loader)["_BaseDataLoaderIter"]  # of loaders with workers and without
        original = kind.__next__

        @wraps(original)
        def timed(iterator: Any) -> Any:
            begun = time.monotonic()
            batch = original(iterator)
            self._wait(iterator, time.monotonic() - begun)
            return batch

        kind.__next__ = timed

    def _wait(self, iterator: Any, seconds: float) -> None:
        with suppress(Exception):
            self._loads += 1
            self._waited["loader_seconds"] += seconds
            # The first batch of an iterator waits for its workers to start.
            first = not self._begun.get(iterator)
            self._begun[iterator] = True
            if not first and not set(self.phases) - TRAINING:
                self._waited["data_seconds"] += seconds


def _below(kind: type) -> set[type]:
    direct: set[type] = set(kind.__subclasses__())
    return direct.union(*(_below(one) for one in direct))
