"""`exp notify test`: every channel once, as the watcher would use it; and what was told of runs."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain.notice import Notice, NoticeKind, NoticeLevel
from orchestrator.errors import EnvironmentFailure, NotFoundError
from orchestrator.notify import Delivery, Sender, load_settings, read_ledger, user_file
from orchestrator.workspace import RunFolder, Workspace

_POLL = 0.05  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyTest:
    """What each channel said; `problems` are about what does not act, or should not."""

    deliveries: tuple[Delivery, ...]
    problems: tuple[str, ...]


def try_channels(workspace: Workspace) -> NotifyTest:
    """Send a test notice through every channel at once, whatever kinds it is told of otherwise.

    Raises:
        NotFoundError: there is no channel.
        EnvironmentFailure: no sender could be started.
    """
    settings = load_settings(workspace)
    if not settings.channels and not settings.problems:
        raise NotFoundError(
            f"no channel is configured in {workspace.root / 'exp.toml'} or {user_file()}",
            hint=f'write [notify] and command = ["PROGRAM", "ARGUMENT"] into {user_file()}',
        )
    notice = _test_notice(workspace)
    waiting: list[Sender] = []
    done: dict[str, Delivery] = {}
    try:
        waiting += [Sender(notice, channel) for channel in settings.channels]
        while waiting:
            for sender in list(waiting):
                if (answer := sender.poll()) is not None:
                    done[sender.channel] = answer
                    waiting.remove(sender)
            time.sleep(_POLL if waiting else 0)
    except OSError as error:
        raise EnvironmentFailure(f"no sender could be started: {error}") from error
    finally:
        for sender in waiting:
            sender.kill()
    order = [done[channel.name] for channel in settings.channels]
    return NotifyTest(deliveries=tuple(order), problems=settings.problems)


def notices_of(folders: Iterable[RunFolder]) -> dict[str, Notice]:
    """What was told of these runs, by key."""
    told = (each.notice for folder in folders for each in read_ledger(folder.notices_file))
    return {notice.key: notice for notice in told}


def _test_notice(workspace: Workspace) -> Notice:
    now = time.time()
    return Notice(
        key=f"test:{now:.0f}",
        kind=NoticeKind.PERSON,
        level=NoticeLevel.INFO,
        workspace=workspace.root.name,
        run=None,
        ticket=None,
        title=f"exp can reach you from {workspace.root.name}",
        text="This is a test. Nothing has happened.",
        time=now,
    )
