"""A run as its training program sees it."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from orchestrator.track.channel import Channel
from orchestrator.track.checkpoints import step_folder, write_manifest
from orchestrator.track.definitions import GOALS, Definitions
from orchestrator.track.dropin import Compatible, Folder
from orchestrator.track.latest import last_value
from orchestrator.track.lines import event_line, number, plain, point_line, quoted
from orchestrator.track.mappings import Config, Summary
from orchestrator.track.place import Place, Ranks, close_place, hidden, withdraw
from orchestrator.track.queue import Queue
from orchestrator.track.values import read_values
from orchestrator.track.warning import describe, harmless, warn_once

if TYPE_CHECKING:
    from orchestrator.track.rehearsing import Rehearsing

STOP_LOOK = 0.5  # seconds between looks at stop.json
LAST_WAIT = 10.0  # seconds that checkpoint() and finish() wait for values still on a GPU

_terminated = False


class Run(Compatible):
    """One process's part in a run; every method returns even when nothing can be written."""

    def __init__(
        self,
        place: Place | None,
        rank: Ranks,
        config: Mapping[str, Any],
        rehearsing: "Rehearsing | None" = None,
    ) -> None:
        """Use `track.init`; without a `place` the run accepts every call and keeps nothing."""
        super().__init__()
        self.dir = Folder(place.run if place else Path())
        self.id = place.run.name if place else "disabled"
        self.rank = rank.rank
        self.config = Config(config, write=self._write_config)
        self.summary = Summary(write=partial(self.write_event, "summary"), look=self._last_value)
        self.finished = False
        self._place = place
        self._channel = channel_of(place, rank.rank) if place else None
        self._owner = os.getpid()
        self._started = time.time()
        self._definitions: Definitions | None = None
        self._alerted: dict[str, float] = {}
        self._step = 0
        self._queue = Queue(self._write_line)
        self._rehearsing = rehearsing
        self._looked = 0.0
        self._stop = False

    @property
    def step(self) -> int:
        """The step of the next `log` without one."""
        return self._step

    def log(
        self,
        data: Mapping[str, Any],
        step: int | None = None,
        commit: bool | None = None,
        **_wandb: Any,
    ) -> None:
        """Write one point per metric of `data`, at `step` or at the step after the last one.

        Values are numbers: Python's, numpy's, or tensors of one element. Names of nested mappings
        are joined by `/`. With `commit=False` the next call without a step stays at this step.
        A tensor on a GPU is never waited for: its line, and those behind it, follow when its copy
        has landed, at a later call, at a checkpoint or at `finish`.
        """
        now = time.time()
        if type(step) is not int:
            step = self._step if step is None else self._read_step(step)
        self._step = step if commit is False else step + 1
        if self._definitions is not None:
            self._log_defined(self._definitions, data, step, now)
            return
        try:
            texts = []
            for name, value in data.items():
                # Plain floats and ints by hand: the types that need no second look.
                if type(value) is float and value - value == 0:
                    texts.append(quoted(name) + repr(value))
                elif type(value) is int:
                    texts.append(quoted(name) + number(value))
                else:
                    self._log_slowly(data, step, now)
                    return
        except Exception:  # noqa: BLE001 - a strange name or mapping; looked at with more care
            self._log_slowly(data, step, now)
            return
        if self._queue.waiting:
            self._queue.add(step, now, texts)
        elif self._channel is not None:
            self._channel.write(point_line(step, now, texts))

    @harmless
    def define_metric(
        self,
        name: str,
        step_metric: str | None = None,
        *,
        goal: str | None = None,
        summary: str | None = None,
        **about: Any,
    ) -> None:
        """Say what a metric is: `unit="nats"`, and whether `goal` is "min" or "max".

        A `name` may end in `*`. `step_metric` names the metric that counts its steps: one that is
        called step, iteration or update gives the points their step, any other (`epoch`) is only
        noted. `summary` ("min", "max", "mean", "first", "last", "best", with commas between) is
        kept in `run.summary[name]`.
        """
        goal = GOALS.get(goal or "", goal)
        if step_metric or summary:
            self._definitions = self._definitions or Definitions()
            self._definitions.add(name, step_metric, summary, goal)
        given = {"step_metric": step_metric, "goal": goal, "summary": summary, **about}
        known = {key: value for key, value in given.items() if value is not None}
        self.write_event("metric", {"name": name, **known})

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Mark what the program is doing: `with run.phase("eval"):`."""
        if self._rehearsing is not None:
            self._rehearsing.begin(name)
        begun = time.monotonic()
        self.write_event("phase", {"phase": name, "state": "begin"})
        error = None
        try:
            yield
        except BaseException as raised:
            error = describe(raised)
            raise
        finally:
            seconds = time.monotonic() - begun
            data = {"phase": name, "state": "end", "seconds": seconds}
            self.write_event("phase", data | ({"error": error} if error else {}))
            if self._rehearsing is not None:
                self._rehearsing.end(name)

    def checkpoint_dir(self, step: int) -> Path:
        """Make and return `<run>/checkpoints/step_N/`, or a temporary folder if that fails."""
        try:
            if self._place is not None:
                return step_folder(self.dir / "checkpoints", step)
        except Exception as error:  # noqa: BLE001 - the program is about to save hours of work
            warn_once("checkpoint_dir", f"checkpoints go to a temporary folder: {describe(error)}")
        import tempfile  # noqa: PLC0415 - the last resort, not worth its import time

        return Path(tempfile.mkdtemp(prefix=f"exp-checkpoint-{step}-"))

    @harmless
    def checkpoint(
        self, path: str | os.PathLike[str], step: int, meta: Mapping[str, Any] | None = None
    ) -> Path | None:
        """Seal a saved file or folder: sync, hash, manifest last. Call it on one rank only.

        What was logged before is written first, values still on a GPU included. Returns the
        manifest, or None if the checkpoint could not be sealed.
        """
        if self._place is None:
            return None
        self._queue.drain(LAST_WAIT)
        folder = step_folder(self.dir / "checkpoints", step)
        about = {"step": int(step), "attempt": self._place.attempt, "meta": meta or {}}
        manifest = write_manifest(folder, Path(path), about)
        size = sum(entry["bytes"] for entry in manifest["files"])
        where = Path(path).absolute()
        shown = where.relative_to(self.dir) if where.is_relative_to(self.dir) else where
        data = {"path": str(shown), "bytes": size, "files": len(manifest["files"])}
        self.write_event("checkpoint", data, int(step))
        return folder / "manifest.json"

    def should_stop(self) -> bool:
        """Whether somebody asked for the end: stop.json is there, or SIGTERM came.

        Looks at the disk at most twice a second. The first call installs a SIGTERM handler if the
        program has none: by asking, the program says that it ends by itself.
        """
        if self._queue.waiting:
            self._queue.drain()
        now = time.monotonic()
        if not self._looked:
            self._looked = now
            _listen()
            self._stop = self._stop_requested()
        elif not self._stop and now - self._looked >= STOP_LOOK:
            self._looked = now
            self._stop = self._stop_requested()
        return self._stop or _terminated

    @harmless
    def alert(
        self,
        title: str,
        text: str = "",
        level: Any = "info",
        wait_duration: Any = None,
    ) -> None:
        """Tell a person something: level "info", "warn" or "error".

        With `wait_duration` (seconds, or a timedelta) the same title is told again only after it.
        """
        now = time.monotonic()
        wait = getattr(wait_duration, "total_seconds", lambda: wait_duration or 0)()
        if now - self._alerted.get(title, float("-inf")) < wait:
            return
        self._alerted[title] = now
        shown = str(getattr(level, "value", level) or "info").lower()
        self.write_event("alert", {"title": title, "text": text, "level": shown})

    def finish(self, exit_code: int | None = 0, error: str | None = None, **_wandb: Any) -> None:
        """Write what is still under way and the `finish` event; only the first call counts.

        What is logged later is kept, and warned of once.
        `exit_code` None means that nobody said; a local run then counts as ended with 0.
        """
        if os.getpid() != self._owner:  # a forked child ends its own part only
            if self._channel is not None:
                self._channel.close()
            return
        if self.finished:
            return
        self.finished = True
        self._queue.drain(LAST_WAIT, last=True)
        if self._rehearsing is not None:
            self._rehearsing.close()
        if self._definitions is not None and self._definitions.summary:
            self.write_event("summary", self._definitions.summary)
        self.write_event("finish", {"code": exit_code, "error": error})
        if self._place is not None:
            withdraw(self._place)
            if self._place.local:
                harmless(close_place)(self._place, self._started, exit_code or 0, error)
        if self._channel is not None:
            self._channel.close()
            self._channel.ended = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if raised is None:
            self.finish()
        elif isinstance(raised, SystemExit):
            code = raised.code
            self.finish(code if isinstance(code, int) else int(code is not None))
        else:
            self.finish(1, describe(raised))

    @harmless
    def write_event(self, name: str, data: Mapping[str, Any], step: int | None = None) -> None:
        """Write an event of any name; readers ignore names they do not know."""
        if self._queue.waiting:
            self._queue.drain()
        if self._channel is not None:
            self._channel.write(event_line(name, time.time(), step, data))

    def describe_start(self, labels: Mapping[str, Any], world_size: int) -> None:
        """Write the `start` event: which process, on which versions, and its configuration."""
        kept = {key: value for key, value in labels.items() if key != "settings"}  # may hold a key
        self.labels.update(kept)
        torch = sys.modules.get("torch")
        data = {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "rank": self.rank,
            "world_size": world_size,
            "python": sys.version.split()[0],
            "phase": os.environ.get("EXP_PHASE"),
            "argv0": sys.argv[0] if sys.argv else None,
            "torch": getattr(torch, "__version__", None),
            "cuda": getattr(getattr(torch, "version", None), "cuda", None),
        }
        self.write_event("start", data | ({"labels": hidden(plain(kept))} if kept else {}))
        if self.config:
            self._write_config(self.config)
        if self._rehearsing is not None:
            self._rehearsing.attach(partial(self.write_event, "rehearsal"))

    def after_fork(self) -> None:
        """In the child: a file of its own; what the parent still has to write is the parent's."""
        self._queue.forget()
        if self._rehearsing is not None:
            self._rehearsing.after_fork()
        if self._channel is not None:
            self._channel.forget()

    def take_rank(self, rank: Ranks) -> None:
        """In a forked child that a launcher made a rank of its own: a file of that rank's name."""
        if self._place is not None and os.getpid() != self._owner and rank.rank != self.rank:
            self.rank = rank.rank
            self._channel = channel_of(self._place, rank.rank)
            self.describe_start({}, rank.world_size)

    def _read_step(self, step: Any) -> int:
        """A step of another type: numpy's, a tensor, a float; the next step if it is no number."""
        try:
            return int(step)
        except Exception as error:  # noqa: BLE001 - the point itself is worth keeping
            warn_once("step", f"step {step!r} was not understood: {describe(error)}")
            return self._step

    @harmless
    def _log_slowly(self, data: Mapping[Any, Any], step: int, now: float) -> None:
        numbers, rest = read_values(data)
        texts = [value for value in numbers if isinstance(value, str)]
        if self._queue.waiting or len(texts) < len(numbers):
            self._queue.add(step, now, numbers)
        elif texts or not rest:
            self._write_line(point_line(step, now, texts))
        if rest:
            self.write_event("text", rest, step)

    @harmless
    def _log_defined(
        self, defined: Definitions, data: Mapping[Any, Any], step: int, now: float
    ) -> None:
        for at, part in defined.split(data, step):
            self._log_slowly(part, at, now)
        dict.update(self.summary, defined.observe(data))  # written at the end

    @harmless
    def _last_value(self, name: str) -> float | None:
        return None if self._channel is None else last_value(self._channel.path, name)

    @harmless
    def _write_config(self, values: Mapping[str, Any]) -> None:
        self.write_event("config", hidden(plain(values)))

    def _write_line(self, line: str) -> None:
        if self._channel is not None:
            self._channel.write(line)

    def _stop_requested(self) -> bool:
        try:
            return self._place is not None and (self._place.attempt_folder / "stop.json").exists()
        except OSError:
            return False


def channel_of(place: Place, rank: int) -> Channel:
    """The event file of this process in `place`."""
    host = "".join(c if c.isalnum() or c in "._" else "_" for c in os.uname().nodename) or "host"
    return Channel(place.attempt_folder, f"events-{host}-{rank}")


def _listen() -> None:
    """Notice SIGTERM from now on, unless the program has a handler of its own."""
    try:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _note_termination)
    except ValueError:
        return  # not the main thread; stop.json is still looked at


def _note_termination(_number: int, _frame: FrameType | None) -> None:
    global _terminated  # noqa: PLW0603 - a signal has no other address
    _terminated = True
