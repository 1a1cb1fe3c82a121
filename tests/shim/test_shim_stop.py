"""Stopping: SIGTERM to the launcher, grace, then everything."""

import json
import os
import pty
import shlex
import signal
import sys
import textwrap
import time
from pathlib import Path

import pytest

SAVES = (
    "import signal, sys, time\n"
    "def save(*_):\n"
    "    print('saving', flush=True)\n"
    "    time.sleep(0.3)\n"
    "    print('saved', flush=True)\n"
    "    sys.exit(75)\n"
    "signal.signal(signal.SIGTERM, save)\n"
    "print('up', flush=True)\n"
    "while True: time.sleep(0.05)\n"
)
DEAF = (
    "import signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('up', flush=True)\n"
    "while True: time.sleep(0.05)\n"
)


def test_sigterm_lets_the_program_save(shim, source, until):
    """SIGTERM to the shim reaches the program, whose own exit code is the record's."""
    one = shim().start(source(SAVES), source("print('never')"))
    until(lambda: "up" in one.log())
    one.process.terminate()
    record = one.wait()
    assert (record["code"], record["signal"]) == (75, None)
    assert one.log().splitlines() == ["up", "saving", "saved"]
    assert one.process.returncode == 75


def test_next_command_is_not_started_after_a_stop(shim, source, until):
    """A program that answers SIGTERM with code 0 is still the last one."""
    one = shim().start(source(SAVES.replace("75", "0")), source("print('never')"))
    until(lambda: "up" in one.log())
    one.process.terminate()
    record = one.wait()
    assert record["code"] == 0
    assert [phase["phase"] for phase in record["phases"]] == ["train"]
    assert "never" not in one.log()


def test_program_deaf_to_sigterm_is_killed_after_the_grace(shim, source, until):
    """Grace is bounded: then SIGKILL ends the program and its children in sessions of their own."""
    worker = "import os\nif os.fork() == 0:\n    os.setsid()\n" + textwrap.indent(DEAF, "    ")
    one = shim().start(source(worker + DEAF), grace=0.3)
    until(lambda: one.log().count("up") == 2)
    begun = time.monotonic()
    one.process.terminate()
    record = one.wait()
    assert record["signal"] == signal.SIGKILL
    assert time.monotonic() - begun >= 0.3
    assert one.living() == []
    assert record["survivors"] == 0


def test_repeated_signals_give_one_record_and_one_sigterm(shim, source, until):
    """However often a stop is asked for, the program is told once and exit.json is written once."""
    one = shim().start(source(SAVES))
    until(lambda: "up" in one.log())
    while one.process.poll() is None:
        one.process.terminate()
        time.sleep(0.001)
    record = one.wait()
    assert record["code"] == 75
    assert one.log().count("saving") == 1
    assert one.log().count("saved") == 1
    assert (one.attempt / "exit.json").stat().st_nlink == 1
    assert not list(one.attempt.glob("*.tmp")) + list(one.attempt.glob(".*.tmp"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_other_signals_are_passed_on_and_stop_nothing(shim, source, until, number):
    """INT, HUP, USR1 and USR2 reach the program; it decides, and the run goes on."""
    one = shim().start(
        source(
            "import signal, sys, time\n"
            f"signal.signal({int(number)}, lambda *_: (print('got it', flush=True), sys.exit(0)))\n"
            "print('up', flush=True)\n"
            "while True: time.sleep(0.05)\n"
        ),
        source("print('next', flush=True)"),
    )
    until(lambda: "up" in one.log())
    one.process.send_signal(number)
    assert one.wait()["code"] == 0
    assert one.log().splitlines() == ["up", "got it", "next"]


def test_stop_before_the_first_command_starts_nothing(shim, source):
    """A SIGTERM that is already pending is a stop: no command runs, and the record says so."""

    def pending():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        os.kill(os.getpid(), signal.SIGTERM)

    one = shim().start(source("print('never')"), preexec_fn=pending)
    record = one.wait()
    assert (record["code"], record["signal"]) == (None, signal.SIGTERM)
    assert record["phases"] == []
    assert record["error"] == "stopped before the first command"
    assert one.log() == ""


def test_closing_the_terminal_does_not_end_the_run(shim, source, until, tmp_path):
    """A shim whose output was a terminal survives that terminal, and so does its program."""
    master, terminal = pty.openpty()
    done = tmp_path / "go on"
    one = shim().start(
        source(
            "import pathlib, time\n"
            "print('up', flush=True)\n"
            f"while not pathlib.Path({str(done)!r}).exists(): time.sleep(0.02)\n"
            "print('ended', flush=True)\n"
        ),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    until(lambda: "up" in one.log())
    os.close(master)
    done.touch()
    one.process.wait(60)
    assert one.exit()["code"] == 0
    assert one.log().splitlines() == ["up", "ended"]


def test_killed_shim_leaves_no_record_but_its_identity_tells(shim, source, until):
    """After kill -9 of the shim there is no exit.json; proc.json names a process that is gone."""
    one = shim().start(source("import time; print('up', flush=True); time.sleep(300)"))
    until(lambda: "up" in one.log())
    one.process.kill()
    one.process.communicate()
    assert not (one.attempt / "exit.json").exists()
    assert len(one.living()) == 1
    identity = json.loads((one.attempt / "proc.json").read_text())
    stat = Path(f"/proc/{identity['pid']}/stat")
    ticks = stat.read_text().rpartition(")")[2].split()[19] if stat.exists() else None
    assert ticks != str(identity["start_ticks"])
    assert identity["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_launcher_that_dies_at_once_leaves_its_worker_time_to_save(shim, source, until, tmp_path):
    """A shell wrapper dies of SIGTERM; its orphan is told too and has the rest of the grace."""
    worker = tmp_path / "worker.py"
    worker.write_text(SAVES)
    one = shim().start(
        ["sh", "-c", f"{shlex.quote(sys.executable)} {shlex.quote(str(worker))} & wait"]
    )
    until(lambda: "up" in one.log())
    one.process.terminate()
    record = one.wait()
    assert record["signal"] == signal.SIGTERM
    assert one.log().splitlines() == ["up", "saving", "saved"]
    assert (record["leftovers"], record["survivors"]) == (1, 0)
