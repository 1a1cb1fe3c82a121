"""The watcher's voice: news of runs become notices, without secrets, each once."""

import logging
import os
import shutil
import unicodedata
from collections.abc import Callable, Iterable
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from orchestrator import procs
from orchestrator.clock import Clock
from orchestrator.diagnose.hang import Pulse, arithmetic, claim, limit_of, pulse_of, silence_of
from orchestrator.domain.hardware import is_sampled
from orchestrator.domain.notice import Notice, NoticeKind, NoticeLevel
from orchestrator.domain.run import Published, RunRecord, RunStatus
from orchestrator.notify import Outbox, load_settings
from orchestrator.redact import SECRET, is_secret_name, redact
from orchestrator.store import Reader
from orchestrator.watch.finding_news import news_of_findings, why_it_ended
from orchestrator.watch.news import (
    ENDED_BADLY,
    News,
    news_of_disk,
    news_of_end,
    news_of_life,
    news_of_trouble,
    progress,
    subject,
)
from orchestrator.watch.observer import Observation
from orchestrator.watch.stacks import start_dump
from orchestrator.workspace import RunFolder, Workspace

if TYPE_CHECKING:
    from subprocess import Popen

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

_TITLE, _TEXT = 160, 2000  # characters
_MANY, _MOST = {NoticeKind.ALERT, NoticeKind.FINDING}, 20  # of one run that are told
_POINTS = 300_000  # of a series, that are read to measure its pauses
_DISK_LOOK = 60.0  # seconds
_SHORTEST_SECRET = 8


def _harmless(method: Callable[P, T]) -> Callable[P, T | None]:
    """Whatever goes wrong with telling must not hold up the watching; it is logged."""

    @wraps(method)
    def guarded(*words: P.args, **more: P.kwargs) -> T | None:
        try:
            return method(*words, **more)
        except Exception:
            log.exception("notices")
            return None

    return guarded


class Teller:
    """Turns what the watcher sees into notices and has them sent beside its ticks."""

    def __init__(self, workspace: Workspace, reader: Reader, clock: Clock) -> None:
        self._workspace = workspace
        self._reader = reader
        self._clock = clock
        self._outbox: Outbox | None = None
        self._floors: dict[str, float] = {}
        self._stalls: dict[str, tuple[float, Pulse]] = {}
        self._disk_due: dict[str, float] = {}
        self._dumps: list[Popen[bytes]] = []

    @_harmless
    def live(self, seen: Observation) -> None:
        """Tell what is new of a run that has not ended."""
        self._tell(seen, news_of_life(seen))
        if seen.state.status is RunStatus.RUNNING:
            self._tell(seen, self._hang(seen))
        self._tell(seen, self._disk(seen))
        self._tell(seen, news_of_findings(seen, self._told(seen)))

    @_harmless
    def ended(self, seen: Observation, published: Published) -> None:
        """Tell how a run ended; written down when this returns."""
        self._tell(seen, news_of_life(seen))
        phases = self._reader.events(seen.record.id, "phase")
        why = why_it_ended(seen.folder)
        self._tell(seen, news_of_end(self._workspace, seen, published, phases, why))
        if seen.state.outcome not in ENDED_BADLY:
            self._tell(seen, news_of_findings(seen, self._told(seen)))
        for memory in (self._floors, self._stalls, self._disk_due):
            memory.pop(seen.record.id, None)

    @_harmless
    def given_up(self, folder: RunFolder, record: RunRecord | None, error: Exception) -> None:
        """Tell that a run cannot be watched; `record` is None if it cannot even be read."""
        key = f"{folder.id}:given-up"
        self._box().add(folder, self._notice(folder, record, key, news_of_trouble(folder, error)))

    @_harmless
    def step(self) -> bool:
        """Send what is due; True while something is under way."""
        self._dumps = [dump for dump in self._dumps if dump.poll() is None]
        return self._box().step()

    @_harmless
    def close(self) -> None:
        """Let what is under way arrive, within a bounded time."""
        if self._outbox is not None:
            self._outbox.close()

    def _box(self) -> Outbox:
        if self._outbox is None:
            self._outbox = Outbox(self._workspace, self._clock)
        return self._outbox

    def _tell(self, seen: Observation, news: Iterable[News]) -> None:
        known = self._box().known(seen.folder)
        for each in news:
            key = f"{seen.record.id}:{each.what}"
            if key in known:
                continue
            kind = f"{seen.record.id}:{each.what.partition(':')[0]}:"
            alike = sum(key.startswith(kind) for key in known)
            if each.kind in _MANY and alike >= _MOST:
                continue
            self._box().add(seen.folder, self._notice(seen.folder, seen.record, key, each))

    def _told(self, seen: Observation) -> list[str]:
        """Names of what was told of a run."""
        return [key.removeprefix(f"{seen.record.id}:") for key in self._box().known(seen.folder)]

    def _notice(self, folder: RunFolder, record: RunRecord | None, key: str, news: News) -> Notice:
        text = "\n".join(self._clean(part) for part in news.text if part.strip())
        return Notice(
            key=key,
            kind=news.kind,
            level=news.level,
            workspace=self._workspace.root.name,
            run=folder.id,
            ticket=record.ticket.id if record and record.ticket else None,
            title=_cut(" ".join(self._clean(news.title).split()), _TITLE),
            text=_cut(text, _TEXT),
            time=self._clock.wall(),
        )

    def _clean(self, text: str) -> str:
        """Without secrets, home folders and control characters: it leaves the machine."""
        # First what could cut a secret in two.
        kept = (c for c in text if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cf", "Cs"})
        text = "".join(kept)
        for name, value in os.environ.items():
            if is_secret_name(name) and len(value) >= _SHORTEST_SECRET:
                text = text.replace(value, SECRET)
        text = text.replace(f"{self._workspace.root}/", "")
        return redact(text, home=os.path.expanduser("~"))  # noqa: PTH111 - a text, not a path

    def _hang(self, seen: Observation) -> list[News]:
        run = seen.record.id
        if run not in self._floors:
            self._floors[run] = load_settings(self._workspace).hang_floor
        floor = self._floors[run]
        began = seen.elapsed - seen.quiet
        if seen.quiet < floor:
            return []
        # Measured once a silence: nothing that it follows from changes while nothing is recorded.
        if run not in self._stalls or abs(self._stalls[run][0] - began) > 0.1:
            self._stalls[run] = (began, self._pulse(seen))
        pulse = self._stalls[run][1]
        silence = silence_of(pulse, quiet=seen.quiet, idle=seen.idle)
        what = f"hang:{seen.state.attempt.number}:{pulse.records}"
        if silence <= limit_of(pulse, floor) or f"{run}:{what}" in self._box().known(seen.folder):
            return []
        title = f"{subject(seen)} hangs in {pulse.phase}: {claim(pulse, silence)}"
        text = (
            arithmetic(pulse, floor),
            progress(seen),
            *self._stacks(seen),
            f"exp run logs {run}, then exp run stop {run}",
        )
        kind, level = NoticeKind.HANG, NoticeLevel.ERROR
        return [News(what=what, kind=kind, level=level, title=title, text=text)]

    def _pulse(self, seen: Observation) -> Pulse:
        """Measure by the densest series that is not too long to read while others wait."""
        run = seen.record.id
        rows = [
            row
            for name, row in self._reader.series(run).items()
            if row.count <= _POINTS and not is_sampled(name)
        ]
        densest = max(rows, key=lambda row: (row.count, row.name), default=None)
        times = self._reader.history(run, densest.name).times if densest is not None else []
        return pulse_of(times, self._reader.events(run))

    def _stacks(self, seen: Observation) -> tuple[str, ...]:
        process = seen.state.attempt.process
        if process is None or not procs.is_here(process):
            return ()
        started = start_dump(seen.folder.attempt(seen.state.attempt.number), process.pid)
        if started is None:
            return ()
        self._dumps.append(started[1])
        return (f"stacks: {started[0].relative_to(self._workspace.root)}",)

    def _disk(self, seen: Observation) -> list[News]:
        """Little space where the run writes; looked at now and then."""
        now = self._clock.monotonic()
        if now < self._disk_due.get(seen.record.id, 0.0):
            return []
        self._disk_due[seen.record.id] = now + _DISK_LOOK
        disk = shutil.disk_usage(seen.folder.path)
        return list(news_of_disk(seen, free=disk.free, total=disk.total))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
