"""What the watcher still has to send: planned at once, sent beside its ticks, tried a few times."""

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from orchestrator.clock import Clock
from orchestrator.domain.notice import Notice, NoticeKind, NoticeLevel
from orchestrator.notify.ledger import SENT, Ledger, Told
from orchestrator.notify.sending import Delivery, Sender
from orchestrator.notify.settings import Channel, load_settings
from orchestrator.workspace import RunFolder, Workspace

log = logging.getLogger(__name__)

_TRIES = 3
_PAUSES = (2.0, 10.0)  # seconds before the second and the third try
_AT_ONCE = 4  # senders
_FEW = 3  # notices of a kind that are sent one by one
_LONGEST = 2000  # characters of a sum's text
_LAST_WAIT = 2.0  # seconds for senders under way when the watcher is told to end
_SUMS = {
    NoticeKind.CRASH: "{} runs crashed",
    NoticeKind.INCOMPLETE: "{} runs ended incomplete",
    NoticeKind.DECIDED: "{} runs are decided",
    NoticeKind.HANG: "{} runs hang",
    NoticeKind.BUDGET: "{} runs are at the end of a budget",
    NoticeKind.PERSON: "{} matters wait for a person",
    NoticeKind.ALERT: "{} alerts",
    NoticeKind.FINDING: "{} findings",
    NoticeKind.DISK: "{} runs are short of disk space",
}


@dataclass(slots=True)
class _Parcel:
    """One message on its way, for one notice or for several in one; `due` is monotonic."""

    notice: Notice
    members: list[tuple[Ledger, str]]
    sent: set[str]
    tries: int
    due: float = 0.0
    trying: bool = False
    done: bool = False
    left: list[Channel] = field(default_factory=list)
    senders: list[Sender] = field(default_factory=list)
    answers: list[Delivery] = field(default_factory=list)


class Outbox:
    """Notices of all runs of a workspace; no call waits for a channel.

    While the mark `unsent` exists, something is to be sent, whatever happens to this process.
    """

    def __init__(self, workspace: Workspace, clock: Clock) -> None:
        self._workspace = workspace
        self._clock = clock
        self._ledgers: dict[str, Ledger] = {}
        self._new: list[tuple[Ledger, Told]] = []
        self._parcels: list[_Parcel] = []
        if workspace.unsent_file.exists():
            for folder in workspace.run_folders():
                ledger = self._ledger(folder)
                self._new += [(ledger, told) for told in ledger.open()]

    def known(self, folder: RunFolder) -> Collection[str]:
        """Keys of what was told of a run so far, or is about to be."""
        return self._ledger(folder).told.keys()

    def _ledger(self, folder: RunFolder) -> Ledger:
        if folder.id not in self._ledgers:
            self._ledgers[folder.id] = Ledger(folder.notices_file)
        return self._ledgers[folder.id]

    def add(self, folder: RunFolder, notice: Notice) -> None:
        """Plan a notice, unless its key is known; on the disk when this returns."""
        ledger = self._ledger(folder)
        if notice.key in ledger.told:
            return
        log.info("notice %s: %s", notice.key, notice.title)
        try:
            self._workspace.unsent_file.touch()
            ledger.plan(notice)
        except OSError as error:
            # A full disk: sent all the same, only not remembered over a restart.
            log.warning("%s could not be written down: %s", notice.key, error)
        self._new.append((ledger, ledger.told[notice.key]))

    def step(self) -> bool:
        """Start what is due, collect what came back; True while something is under way."""
        self._bundle()
        for parcel in self._parcels:
            if not parcel.trying and self._clock.monotonic() >= parcel.due:
                self._begin(parcel)
            if parcel.trying:
                self._advance(parcel)
        self._parcels = [parcel for parcel in self._parcels if not parcel.done]
        if not self._parcels:
            self._workspace.unsent_file.unlink(missing_ok=True)
        return bool(self._parcels)

    def close(self) -> None:
        """Wait a moment for what is under way, then end it: the mark lets the next one go on."""
        until = time.monotonic() + _LAST_WAIT
        while any(parcel.senders for parcel in self._parcels) and time.monotonic() < until:
            for parcel in self._parcels:
                if parcel.senders:
                    self._collect(parcel)
                    self._finish(parcel)
            time.sleep(0.05)
        for parcel in self._parcels:
            for sender in parcel.senders:
                sender.kill()

    def _bundle(self) -> None:
        """Make parcels of what is new: one each, or one for all of a kind if they are many."""
        new, self._new = self._new, []
        for kind in NoticeKind:
            alike = [item for item in new if item[1].notice.kind is kind]
            groups = [[item] for item in alike] if len(alike) <= _FEW else [alike]
            self._parcels += [_parcel(group) for group in groups]

    def _begin(self, parcel: _Parcel) -> None:
        settings = load_settings(self._workspace)
        for problem in settings.problems if parcel.tries == 0 else ():
            log.warning("%s", problem)
        parcel.left = [
            channel
            for channel in settings.channels
            if channel.accepts(parcel.notice.kind) and channel.name not in parcel.sent
        ]
        parcel.answers = []
        parcel.trying = True

    def _advance(self, parcel: _Parcel) -> None:
        self._collect(parcel)
        while parcel.left and sum(len(each.senders) for each in self._parcels) < _AT_ONCE:
            channel = parcel.left.pop(0)
            try:
                parcel.senders.append(Sender(parcel.notice, channel))
            except OSError as error:
                why = f"no sender could be started: {error}"
                parcel.answers.append(
                    Delivery(channel=channel.name, sent=False, said=why, again=True)
                )
        self._finish(parcel)

    def _collect(self, parcel: _Parcel) -> None:
        under_way = []
        for sender in parcel.senders:
            answer = sender.poll()
            if answer is None:
                under_way.append(sender)
            else:
                parcel.answers.append(answer)
        parcel.senders = under_way

    def _finish(self, parcel: _Parcel) -> None:
        """Write down a try whose channels have all answered, and say when the next one is due."""
        if parcel.left or parcel.senders:
            return
        failed = [answer for answer in parcel.answers if not answer.sent]
        for answer in failed:
            log.warning("notice %s: %s: %s", parcel.notice.key, answer.channel, answer.said)
        parcel.sent |= {answer.channel for answer in parcel.answers if answer.sent}
        parcel.tries += 1
        parcel.done = parcel.tries >= _TRIES or not any(answer.again for answer in failed)
        parcel.trying = False
        if not parcel.done:
            parcel.due = self._clock.monotonic() + _PAUSES[parcel.tries - 1]
        self._record(parcel)

    def _record(self, parcel: _Parcel) -> None:
        said = {a.channel: SENT if a.sent else a.said for a in parcel.answers}
        for ledger, key in parcel.members:
            try:
                ledger.record(key, now=self._clock.wall(), channels=said, done=parcel.done)
            except OSError as error:
                log.warning("%s: the try could not be written down: %s", key, error)


def _parcel(group: Sequence[tuple[Ledger, Told]]) -> _Parcel:
    told = [each for _, each in group]
    return _Parcel(
        notice=told[0].notice if len(told) == 1 else _sum([each.notice for each in told]),
        members=[(ledger, each.notice.key) for ledger, each in group],
        sent=set(frozenset.intersection(*(each.sent for each in told))),
        tries=min(each.tries for each in told),
    )


def _sum(notices: Sequence[Notice]) -> Notice:
    """One notice for many; the same many give the same key."""
    first = notices[0]
    keys = "\n".join(sorted(notice.key for notice in notices))
    names = list(dict.fromkeys(notice.ticket or notice.run or "" for notice in notices))
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    text = "\n".join(notice.title for notice in notices)
    levels = list(NoticeLevel)
    return Notice(
        key=f"sum:{sha256(keys.encode()).hexdigest()[:16]}",
        kind=first.kind,
        level=max((notice.level for notice in notices), key=levels.index),
        workspace=first.workspace,
        run=None,
        ticket=None,
        title=f"{_SUMS[first.kind].format(len(notices))}: {', '.join(names[:_FEW])}{more}",
        text=text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…",
        time=max(notice.time for notice in notices),
    )
