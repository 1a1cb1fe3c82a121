"""A watcher that is killed in the middle of a commit: the next one finishes it, once."""

import os
import signal
from pathlib import Path

import pytest
from conftest import QUICK, wait_for

from orchestrator.fsio import try_lock

HOOK = """#!/bin/sh
test -e "{mark}.go" && exit 0
touch "{mark}"
while ! test -e "{mark}.go"; do sleep 0.05; done
"""


def watchers(lab):
    """Processes that tick over this workspace."""
    found = []
    for pid in lab.processes():
        argv = Path(f"/proc/{pid}/cmdline").read_bytes() if Path(f"/proc/{pid}").exists() else b""
        if b"orchestrator.watch" in argv:
            found.append(pid)
    return found


def settle(lab):
    """Let the tool bring everything to its end by itself."""
    assert lab.exp("status").returncode == 0
    published = lab.published()
    wait_for(lambda: not lab.processes(), what="the watcher to leave")
    return published


@pytest.fixture
def killed_in(lab, tmp_path):
    """Run a ticket to the given hook of its commit, and kill -9 the watcher there."""

    def kill(hook):
        mark = tmp_path / "mark"
        lab.ticket()
        lab.experiment(QUICK)
        lab.commit()
        lab.write("staged.txt", "of a person\n")
        lab.git("add", "staged.txt")
        lab.write(f".git/hooks/{hook}", HOOK.format(mark=mark)).chmod(0o755)
        assert lab.exp("ticket", "start", "1").returncode == 0
        wait_for(mark.exists, what="the hook")
        for pid in watchers(lab):
            os.kill(pid, signal.SIGKILL)
        mark.with_name("mark.go").touch()

    return kill


@pytest.mark.parametrize("hook", ["pre-commit", "post-commit"])
def test_a_commit_that_was_interrupted_is_made_once(lab, killed_in, hook):
    """Before or after git has written it: one commit, named in published.json; git is clean."""
    killed_in(hook)
    published = settle(lab)
    commits = lab.git("log", "--format=%H", "--grep=^Run: R-000001$").splitlines()
    assert commits == [published["commit"]]
    assert published["problems"] == []
    assert lab.git("status", "--porcelain") == "A  staged.txt"
    assert not list((lab.root / ".git").glob("*.lock"))
    assert not list((lab.root / ".git").glob("exp-commit-*"))


def test_no_temporary_file_of_a_killed_writer_stays(lab):
    """What a writer of the ticket left when it was killed goes with the next write."""
    lab.ticket()
    lab.experiment(QUICK)
    lab.commit()
    stale = lab.write("tickets/.T-0001.md.abcdefgh.tmp", "half a tick")
    held = lab.write("tickets/.T-0001.md.ijklmnop.tmp", "somebody is at it")
    lock = try_lock(held)
    lab.exp("ticket", "start", "1")
    lab.published()
    os.close(lock)
    assert not stale.exists()
    assert held.exists()
