"""The machine and process trees, from /proc."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest
from conftest import wait_for

from orchestrator.host import Host

HUNGRY = """
import sys, time
held = bytearray(200 << 20)
print("ready", flush=True)
while True: pass
"""


@pytest.fixture
def tree():
    """A function that starts a shell with children; all end with the test."""
    started = []

    def start(script):
        process = subprocess.Popen(["sh", "-c", script], start_new_session=True)
        started.append(process)
        return process.pid

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_machine_is_read(tmp_path):
    """CPU is a share that needs two readings; memory and disk are bytes."""
    host = Host()
    first = host.read(tmp_path)
    assert first.cpu is None, "nothing to compare with: unknown, not 0"
    assert first.memory_total > first.memory_available > 0
    assert first.disk_free > 0
    second = wait_for(lambda: (r := host.read(tmp_path)).cpu is not None and r)
    assert 0 <= second.cpu <= 1


def test_a_folder_that_is_gone_leaves_the_disk_unknown(tmp_path):
    """What cannot be asked is None, and the rest is known."""
    read = Host().read(tmp_path / "gone")
    assert (read.disk_free, read.inodes_free) == (None, None)
    assert read.memory_total > 0


def test_a_tree_has_its_descendants_and_nobody_elses(tree):
    """Children of children count, in sessions of their own too; other trees do not."""
    host = Host()
    many = tree("setsid sh -c 'sleep 600 & sleep 600 & wait' & sleep 600 & wait")
    few = tree("sleep 600 & wait")
    wait_for(lambda: host.trees([many])[many].processes == 5)
    wait_for(lambda: host.trees([few])[few].processes == 2)
    both = host.trees([many, few])
    assert (both[many].processes, both[few].processes) == (5, 2)
    assert both[many].memory > 0


def test_a_tree_below_a_tree_is_its_own(tree):
    """Of two roots in one line each process counts for the nearer one."""
    host = Host()
    outer = tree("sh -c 'sleep 600 & wait' & wait")
    wait_for(lambda: host.trees([outer])[outer].processes == 3)
    (child,) = psutil.Process(outer).children()
    inner = child.pid
    both = host.trees([outer, inner])
    assert (both[outer].processes, both[inner].processes) == (1, 2)


def test_memory_and_cpu_of_a_tree_are_measured(tree):
    """A process that fills memory and spins shows both, the CPU from the second look on."""
    host = Host()
    process = subprocess.Popen([sys.executable, "-c", HUNGRY], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        first = host.trees([process.pid])[process.pid]
        assert first.memory > 200 << 20
        assert first.cpu is None
        wait_for(lambda: (host.trees([process.pid])[process.pid].cpu or 0) > 0.05)
    finally:
        process.kill()
        process.communicate()
    assert host.trees([process.pid]) == {}, "who is gone has no tree"
