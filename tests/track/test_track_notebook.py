"""At a prompt and in a notebook: cells run again, are interrupted, and fail; the run goes on."""

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def ended(run: Path) -> tuple[int, str | None]:
    """Code and error of a local run's exit record."""
    record = json.loads((run / "attempt-1" / "exit.json").read_text())
    return record["code"], record["error"]


def logged(run: Path) -> list[float]:
    """Values of the metric `a`, in order; every line must be whole."""
    values = []
    for file in sorted((run / "attempt-1").glob("events-*.jsonl")):
        records = map(json.loads, file.read_text().splitlines())
        values += [line["metrics"]["a"] for line in records if "metrics" in line]
    return values


def own_terminal() -> None:
    """Let ^C on stdin interrupt this process, also where pytest itself ignores SIGINT."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Prompt:
    """An interactive Python on a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        self.terminal, inner = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-i", "-q"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            preexec_fn=own_terminal,  # noqa: PLW1509 - ^C needs a controlling terminal
        )
        os.close(inner)
        self.seen = ""

    def until(self, text: str) -> None:
        """Read up to `text`."""
        while text not in self.seen:
            self.seen += os.read(self.terminal, 4096).decode(errors="replace")
        self.seen = self.seen.partition(text)[2]

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def cell(self, source: str) -> None:
        """Type one line and wait for the next prompt."""
        self.until(">>> ")
        self.type(source + "\n")


@pytest.fixture
def prompt(tmp_path):
    begun = Prompt(tmp_path)
    yield begun
    begun.process.kill()
    begun.process.wait()
    os.close(begun.terminal)


def test_a_session_at_a_prompt(prompt, tmp_path):
    """Init twice is one run, ^C and an error end a line only, and quitting is no failure."""
    prompt.cell("from orchestrator import track")
    prompt.cell("import itertools")
    for _ in range(2):
        prompt.cell("run = track.init(config={'lr': 1})")
    prompt.cell(
        "_ = [run.log({'a': n}) or n == 50 and print('spin' + 'ning') for n in itertools.count()]"
    )
    prompt.until("spinning")
    prompt.type("\x03")
    prompt.until("KeyboardInterrupt")
    prompt.cell("1 / 0")
    prompt.until("ZeroDivisionError")
    prompt.cell("run.log({'a': -1})")
    prompt.cell("exit()")
    assert prompt.process.wait(60) == 0
    (run,) = (tmp_path / ".exp" / "runs").glob("R-*")
    values = logged(run)
    assert values == [*range(len(values) - 1), -1]
    assert len(values) > 50
    assert ended(run) == (0, None)


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A real Jupyter kernel in an empty folder; ended with the test."""
    manager = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    begun = manager.KernelManager(kernel_name="python3")
    begun.start_kernel(cwd=str(tmp_path))
    client = begun.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield begun, client
    client.stop_channels()
    begun.shutdown_kernel(now=True)


def run_cell(client, source: str) -> tuple[str, str]:
    """Status of a cell and all that it printed."""
    printed = []

    def take(message):
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    status = "aborted"
    while status == "aborted":  # a kernel passes over what comes close behind an error
        reply = client.execute_interactive(source, output_hook=take, timeout=60)
        status = reply["content"]["status"]
    return status, "".join(printed)


INIT = "from orchestrator import track\nrun = track.init(config={'lr': 1})\nprint(run.id)"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_cells_of_a_notebook(kernel, tmp_path, until):
    """Re-run, failed and interrupted cells stay in one run; init after finish begins the next."""
    manager, client = kernel
    assert run_cell(client, INIT) == ("ok", "R-000001\n")
    assert run_cell(client, INIT) == ("ok", "R-000001\n")
    first = tmp_path / ".exp" / "runs" / "R-000001"
    client.execute("n = 0\nwhile True:\n    run.log({'a': n})\n    n += 1")
    until(lambda: len(logged_so_far(first)) > 50)
    manager.interrupt_kernel()
    assert client.get_shell_msg(timeout=60)["content"]["ename"] == "KeyboardInterrupt"
    assert run_cell(client, "1 / 0")[0] == "error"
    _, said = run_cell(client, "run.log({'a': -1})\nrun.log({'grid': [1, 2]})")
    assert said == "exp track: 'grid' is no number (list); kept as a text event\n"
    assert run_cell(client, "track.finish()\n" + INIT) == ("ok", "R-000002\n")
    values = logged(first)
    assert values == [*range(len(values) - 1), -1]
    assert ended(first) == (0, None)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_restart_of_a_kernel(kernel, tmp_path):
    """A restart after an error closes the run; that cell is no reason to call it failed."""
    manager, client = kernel
    run_cell(client, INIT + "\nrun.log({'a': 1})")
    assert run_cell(client, "1 / 0")[0] == "error"
    manager.restart_kernel()
    client.wait_for_ready(timeout=60)
    assert run_cell(client, INIT) == ("ok", "R-000002\n")
    first = tmp_path / ".exp" / "runs" / "R-000001"
    assert logged(first) == [1]
    assert ended(first) == (0, None)
    manager.signal_kernel(signal.SIGKILL)


def logged_so_far(run: Path) -> list[str]:
    files = (run / "attempt-1").glob("events-*.jsonl")
    return [line for file in files for line in file.read_text().splitlines() if "metrics" in line]
