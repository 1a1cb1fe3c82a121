"""Sending one notice through one channel, inside the process that exists for that alone."""

import fcntl
import html
import json
import logging
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from orchestrator.domain.notice import Notice, NoticeLevel
from orchestrator.notify.settings import Channel

DEADLINE = 10.0  # seconds that a command may take
_PASSES = 50  # looks for processes of a command that took too long
_OUTPUT = 1 << 20  # bytes that a command may print; writing more fails
_TAIL = 300  # characters of a command's last words


class NotSent(Exception):  # noqa: N818 - an answer, not an accident
    """Why a notice did not go out; `again` says whether another try may help."""

    def __init__(self, why: str, *, again: bool = True) -> None:
        super().__init__(why)
        self.again = again


def send(notice: Notice, channel: Channel) -> None:
    """Send; return when the channel has taken it.

    Raises:
        NotSent: it has not.
    """
    _SENDERS[channel.kind](notice, channel)


def _send_command(notice: Notice, channel: Channel) -> None:
    _run(channel.target, cwd=channel.cwd, given=(json.dumps(asdict(notice)) + "\n").encode())


def _send_desktop(notice: Notice, _channel: Channel) -> None:
    urgency = "critical" if notice.level is NoticeLevel.ERROR else "normal"
    # The body may hold markup; the title is plain.
    words = [f"--urgency={urgency}", "--app-name=exp", "--", notice.title]
    _run(["notify-send", *words, html.escape(notice.text, quote=False)], cwd=None, given=b"")


def _run(argv: Sequence[str], *, cwd: str | None, given: bytes) -> None:
    """Run a program with `given` on its stdin; kill it with all it started if it takes too long.

    Files in memory and not pipes: a grandchild that keeps stdout open, or a program that reads
    nothing, holds nobody up, and a full disk is no obstacle. That of the output cannot grow: what
    a program floods it with would take the memory of the training.
    """
    stdin, output = os.memfd_create("notice"), os.memfd_create("output", os.MFD_ALLOW_SEALING)
    os.ftruncate(output, _OUTPUT)
    fcntl.fcntl(output, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    os.write(stdin, given)
    os.lseek(stdin, 0, os.SEEK_SET)
    try:
        process = subprocess.Popen(
            argv, stdin=stdin, stdout=output, stderr=output, cwd=cwd, start_new_session=True
        )
        code = process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        kill_descendants()
        raise NotSent(f"{argv[0]} took longer than {DEADLINE:.0f} s and was killed") from None
    except (OSError, ValueError) as error:
        raise NotSent(f"cannot start {argv[0]}: {error}", again=False) from error
    if code != 0:
        how = f"exit code {code}" if code > 0 else f"signal {-code}"
        written = os.pread(output, _OUTPUT, 0).rstrip(b"\0")
        said = written.decode(errors="replace").strip()[-_TAIL:]
        raise NotSent(f"{argv[0]}: {how}{': ' if said else ''}{said}")


def kill_descendants() -> None:
    """Kill every process below this one; it adopts orphans, so none is missed."""
    import psutil  # noqa: PLC0415 - 30 ms, and only when a command hangs

    own = psutil.Process()
    for _ in range(_PASSES):
        found = [child for child in own.children(recursive=True) if _runs(child)]
        for child in found:
            with suppress(psutil.Error):
                child.kill()
        if not found:
            return
        time.sleep(0.02)


def _runs(child: Any) -> bool:
    import psutil  # noqa: PLC0415 - see kill_descendants

    with suppress(psutil.Error):
        return bool(child.status() != psutil.STATUS_ZOMBIE)
    return False


def _send_apprise(notice: Notice, channel: Channel) -> None:
    url = _resolved(channel.target[0])
    try:
        import apprise  # noqa: PLC0415 - an extra, and half a second
    except ImportError as error:
        why = "apprise is not installed (pip install 'exp-tickets[notify]')"
        raise NotSent(why, again=False) from error
    levels = {NoticeLevel.INFO: "info", NoticeLevel.WARN: "warning", NoticeLevel.ERROR: "failure"}
    remarks = _Remarks()
    logging.getLogger("apprise").addHandler(remarks)
    server = apprise.Apprise()
    if not server.add(url):
        raise NotSent(f"{channel.target[0]} is no URL that apprise knows", again=False)
    if not server.notify(title=notice.title, body=notice.text, notify_type=levels[notice.level]):
        said = "; ".join(remarks.said) or "no reason was given"
        raise NotSent(f"apprise: {said}".replace(url, channel.target[0]))


def _resolved(target: str) -> str:
    if not target.startswith("$"):
        return target
    name = target[1:].strip("{}")
    url = os.environ.get(name)
    if not url:
        raise NotSent(f"{target}: {name} is not set where the watcher was started", again=False)
    return url


class _Remarks(logging.Handler):
    """What apprise complains of; it answers only yes or no otherwise."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


_SENDERS: dict[str, Callable[[Notice, Channel], None]] = {
    "command": _send_command,
    "apprise": _send_apprise,
    "desktop": _send_desktop,
}
