"""The live screen in a real terminal: tmux if it is there, else a bare pseudo-terminal."""

import fcntl
import os
import pty
import re
import shlex
import shutil
import signal
import struct
import subprocess
import termios
from contextlib import suppress

import pytest
from conftest import EXP, PATIENT, wait_for


class Tmux:
    """A session of a server of its own."""

    def __init__(self, lab):
        # A socket's path must be short: it lies in the system's folder for temporary files.
        self.server = f"exp-test-{os.getpid()}"
        command = shlex.join([str(EXP), "status", "--watch"])
        size = ("-x", "80", "-y", "24")
        self.tell("-f", os.devnull, "new-session", "-d", *size, "-c", str(lab.root), command)
        self.tell("set-option", "-g", "window-size", "manual")

    def tell(self, *words):
        done = subprocess.run(
            ["tmux", "-L", self.server, *words], capture_output=True, text=True, check=False
        )
        return done.stdout

    def seen(self):
        return self.tell("capture-pane", "-p")

    def press(self, key):
        self.tell("send-keys", key)

    def write(self, text):
        self.tell("send-keys", "-l", text)

    def resize(self, columns, rows):
        self.tell("resize-window", "-x", str(columns), "-y", str(rows))

    def has_left(self):
        return not self.tell("list-sessions")

    def close(self):
        self.tell("kill-server")


class Bare:
    """A pseudo-terminal: all that was ever written to it is what is seen."""

    def __init__(self, lab, *options, columns=80, rows=24):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(lab.root)
            os.execve(EXP, [str(EXP), "status", *options], {**os.environ, "TERM": "xterm-256color"})
        os.set_blocking(self.master, False)
        self.text = b""
        self.resize(columns, rows)

    def seen(self):
        with suppress(OSError):
            while data := os.read(self.master, 1 << 16):
                self.text += data
        return self.text.decode(errors="replace")

    def press(self, key):
        self.text = b""
        os.write(self.master, key.encode())

    write = press

    def resize(self, columns, rows):
        self.text = b""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def has_left(self):
        self.seen()
        return os.waitpid(self.pid, os.WNOHANG)[0] == self.pid

    def close(self):
        with suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
        os.close(self.master)


@pytest.fixture(params=["tmux", "bare"] if shutil.which("tmux") else ["bare"])
def terminal(lab, request, monkeypatch):
    """A terminal of 80 by 24 in which the live screen of a live run is open."""
    monkeypatch.delenv("COLUMNS")  # the terminal itself says how wide it is
    lab.ticket(title="Learn \x1b]0;owned\x07 it")
    lab.experiment(PATIENT)
    lab.commit()
    assert lab.exp("ticket", "start", "1").returncode == 0
    opened = Tmux(lab) if request.param == "tmux" else Bare(lab, "--watch")
    yield opened
    opened.close()


def test_a_run_is_watched_opened_and_stopped_from_a_terminal(lab, terminal):
    """It shows the run, survives a resize, stops the run when told yes, and leaves the terminal."""
    wait_for(lambda: "R-000001" in terminal.seen(), what="the run on the screen")
    wait_for(lambda: "train/loss" in terminal.seen(), what="its loss")
    terminal.resize(120, 40)
    wait_for(lambda: "needs a person" in terminal.seen(), what="the wide screen")
    terminal.press("s")
    wait_for(lambda: "Stop R-000001?" in terminal.seen(), what="the question")
    assert not (lab.run() / "attempt-1/stop.json").exists()
    terminal.press("y")
    lab.published()
    assert "live screen" in lab.json("attempt-1/stop.json")["why"]
    wait_for(lambda: "stopped" in terminal.seen(), what="the end on the screen")
    review_from_the_screen(lab, terminal)
    terminal.press("q")
    wait_for(terminal.has_left, what="the screen to leave")


def review_from_the_screen(lab, terminal):
    """r gives the terminal to the review: a word is written, Ctrl-C ends it, the screen is back."""
    terminal.press("r")
    wait_for(lambda: "[q]uit" in terminal.seen(), what="the review")
    terminal.write("n seen from the screen\r")
    wait_for(lambda: "seen from the screen" in lab.text(), what="the word in the ticket")
    terminal.write("\x03")
    wait_for(lambda: "back to the screen" in terminal.seen(), what="the end of the review")
    terminal.write("\r")
    wait_for(lambda: "needs a person" in terminal.seen(), what="the screen again")


def test_without_a_terminal_it_is_refused(lab):
    """A pipe is told of the command that prints once, and nothing is printed into it."""
    done = lab.exp("status", "--watch")
    assert done.returncode != 0
    assert done.stdout == ""
    assert "exp status" in done.stderr


@pytest.mark.parametrize("options", [(), ("--watch",)], ids=["once", "watch"])
def test_who_wants_no_colours_gets_none(lab, monkeypatch, options):
    """With NO_COLOR neither the page nor the screen has a hue, also in 60 by 15 characters.

    The screen may have shades of grey: those are the numbers from 232 on.
    """
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("COLUMNS")
    lab.ticket(status="READY")
    lab.commit()
    terminal = Bare(lab, *options, columns=60, rows=15)
    wait_for(lambda: "T-0001" in terminal.seen(), what="the ticket")
    text = terminal.seen()
    terminal.close()
    codes = re.findall(r"\x1b\[([0-9;]*)m", text)
    assert codes
    for code in codes:
        plain = re.sub(r"[34]8;5;(?:23[2-9]|24\d|25[0-5])", "", code)
        assert set(plain.split(";")) <= {"", "0", "1", "2", "3", "4", "7", "22"}, code
