"""People who are told, and what happens to those who tell them."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from conftest import wait_for

from orchestrator.fsio import try_lock

CRASH = """
import time
from pathlib import Path
from orchestrator import track
run = track.init()
for step in range(1, 31):
    run.log({"train/loss": 1 / step}, step=step)
while not Path("go").exists():
    time.sleep(0.02)
raise RuntimeError("CUDA out of memory. Tried to allocate 6.36 GiB")
"""
KEEP = '#!/bin/sh\ncat >> "$(dirname "$0")/heard.jsonl"\n'


@dataclass(frozen=True)
class Person:
    """Has a configuration of their own and hears what is sent to it."""

    home: Path

    def configure(self, text):
        """Write the user's own configuration."""
        path = self.home / "config/exp/config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def program(self, text=KEEP, name="tell"):
        """Write a program that a channel may start."""
        path = self.home / name
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    def listen(self, more=""):
        """Have every notice kept."""
        self.configure(f'[notify]\ncommand = ["{self.program()}"]\n{more}')

    def heard(self):
        """Every notice so far."""
        path = self.home / "heard.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def kinds(self):
        """The kinds of every notice so far, in the order of their arrival."""
        return [notice["kind"] for notice in self.heard()]

    def hears(self, kind):
        """Wait for a notice of a kind, and return the first."""
        return wait_for(
            lambda: next((n for n in self.heard() if n["kind"] == kind), None),
            what=f"a notice of {kind}",
        )


def watchers(lab):
    """Ids of the watchers of a laboratory."""
    return [
        pid
        for pid in lab.processes()
        if b"orchestrator.watch\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def kill_watcher(lab):
    """Kill the watcher at once, as a full machine would; wait until its lock is free."""
    for pid in wait_for(lambda: watchers(lab), what="a watcher"):
        os.kill(pid, signal.SIGKILL)
    is_gone(lab)


def is_gone(lab):
    """Wait until nobody watches."""

    def free():
        descriptor = try_lock(lab.root / ".exp/watcher.lock")
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is not None

    wait_for(free, what="the watcher to be gone")


def told(lab, number=1):
    """Lines of notices.jsonl."""
    path = lab.run(number) / "notices.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
