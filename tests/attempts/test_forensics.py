"""Forensics through the real command: a crash in C, a watcher that is killed, a planted secret."""

import os
import signal

from conftest import wait_for

CRASH = """
import ctypes, os
from orchestrator import track
run = track.init()
run.log({"train/loss": 0.5}, step=3)
print("key is", os.environ["MY_API_KEY"], flush=True)
def deep():
    ctypes.string_at(0)
deep()
"""
# Waits with the watcher in the middle of a bundle, until the test has killed it.
SMI = '#!/bin/sh\ntouch "{0}/asked"\nwhile [ ! -e "{0}/go" ]; do sleep 0.02; done\n'


def test_a_watcher_killed_within_a_bundle_leaves_it_to_the_next(lab, tmp_path, monkeypatch):
    """The next one makes it whole: the stack of the crash is in it, and the secret is not."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "nvidia-smi").write_text(SMI.format(tools))
    (tools / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("MY_API_KEY", "local-0123456789")
    lab.experiment(CRASH, '[env]\nMY_API_KEY = "$MY_API_KEY"\n')
    lab.ticket()
    assert lab.exp("ticket", "start", "1", "--no-git").returncode == 0
    wait_for((tools / "asked").exists, what="the bundle")
    for pid in lab.processes():
        os.kill(pid, signal.SIGKILL)
    bundles = lab.run() / "forensics"
    assert [path.name for path in bundles.iterdir()] == [".attempt-1.tmp"]
    (tools / "go").touch()
    lab.exp("status")
    lab.published()
    assert [path.name for path in bundles.iterdir()] == ["attempt-1"]
    kept = {path.name: path.read_bytes() for path in (bundles / "attempt-1").iterdir()}
    assert b"Segmentation fault" in kept["stacks.txt"]
    assert b"in deep" in kept["stacks.txt"]
    assert b"key is <secret>" in kept["log-tail.txt"]
    assert not [name for name, data in kept.items() if b"local-0123456789" in data]
    assert lab.json("forensics/attempt-1/ranks.json")["ranks"][0]["step"] == 3
