"""A notice on its way, seen from outside: start it, ask whether it has arrived, never wait."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass

from orchestrator.domain.notice import Notice
from orchestrator.notify.settings import Channel

_LIMIT = 30.0  # seconds after which a sender itself is given up


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What came of one try; `said` tells why not, `again` whether another try may help."""

    channel: str
    sent: bool
    said: str
    again: bool


class Sender:
    """One notice through one channel, in a process of its own."""

    def __init__(self, notice: Notice, channel: Channel) -> None:
        """Start it.

        Raises:
            OSError: no process could be started.
        """
        self.channel = channel.name
        self._until = time.monotonic() + _LIMIT
        given = json.dumps({"notice": asdict(notice), "channel": asdict(channel)})
        # In memory and not on a disk, which may be full: that may be what is to be told.
        stdin, self._answer = os.memfd_create("notice"), os.memfd_create("answer")
        try:
            os.write(stdin, given.encode())
            os.lseek(stdin, 0, os.SEEK_SET)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "orchestrator.notify"],
                stdin=stdin,
                stdout=self._answer,
                cwd="/",
                start_new_session=True,
            )
        except BaseException:
            os.close(self._answer)
            raise
        finally:
            os.close(stdin)

    def poll(self) -> Delivery | None:
        """What came of it, or None while it is under way; ask no more once it has answered."""
        code = self._process.poll()
        if code is None:
            if time.monotonic() < self._until:
                return None
            self.kill()
            return self._failed(f"no answer within {_LIMIT:.0f} s")
        text = os.pread(self._answer, 1 << 16, 0)
        os.close(self._answer)
        try:
            return Delivery(channel=self.channel, **json.loads(text))
        except (ValueError, TypeError):
            return self._failed(f"the sender ended with code {code}")

    def kill(self) -> None:
        """End it with everything it started."""
        import psutil  # noqa: PLC0415 - 30 ms, and only if something hangs

        with suppress(psutil.Error):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    child.kill()
        self._process.kill()
        self._process.wait()
        os.close(self._answer)

    def _failed(self, why: str) -> Delivery:
        return Delivery(channel=self.channel, sent=False, said=why, again=True)
