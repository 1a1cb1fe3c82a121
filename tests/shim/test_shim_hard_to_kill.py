"""What the kernel will not end is told, in bounded time; what hides is found."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

MEMORY = Path("/sys/fs/cgroup/memory")
WAITS = "import time; print('up', flush=True); time.sleep(300)"
SAVES = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(75)))\n"
    "print('up', flush=True)\n"
    "while True: time.sleep(0.05)\n"
)
# Its first thread ends at once, the second one goes on: /proc shows a zombie that works.
HEADLESS = """
#include <pthread.h>
#include <unistd.h>
static void *work(void *_) { write(1, "up\\n", 3); sleep(300); return 0; }
int main(void) { pthread_t t; pthread_create(&t, 0, work, 0); pthread_exit(0); }
"""


@pytest.fixture
def small_memory():
    """A control group that may hold 60 MB."""
    group = MEMORY / f"exp-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text("60M")
    except OSError:
        pytest.skip("needs the memory controller of control groups version 1")
    yield group
    group.rmdir()


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_an_unkillable_program_does_not_hang_the_shim(shim, source, until, freeze):
    """A program that takes no SIGKILL: the record is written all the same, and names it."""
    one = shim().start(source(WAITS), grace=0.2)
    until(lambda: "up" in one.log())
    (child,) = children(one.process.pid)
    freeze(child)
    one.process.terminate()
    record = one.wait()
    assert (record["code"], record["signal"]) == (None, None)
    assert record["survivors"] == 1
    assert record["error"] == f"process {child} could not be killed"


def test_an_unkillable_worker_is_a_survivor(shim, source, until, freeze, tmp_path):
    """The launcher ends well, its worker cannot be ended: code 0 and one survivor."""
    go = tmp_path / "go"
    launcher = (
        "import pathlib, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {WAITS!r}])\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
    )
    one = shim().start(source(launcher), grace=0.2)
    until(lambda: "up" in one.log())
    (parent,) = children(one.process.pid)
    freeze(*children(parent))
    go.touch()
    record = one.wait()
    assert record["code"] == 0
    assert (record["leftovers"], record["survivors"]) == (1, 1)


def test_a_kill_for_want_of_memory_is_told_by_the_kernel(shim, source, small_memory):
    """SIGKILL with a count of the control group is an OOM kill; the shim itself survives."""
    one = shim().start(
        source("x = bytearray(500_000_000)"),
        preexec_fn=lambda: (small_memory / "cgroup.procs").write_text("0"),
    )
    record = one.wait()
    assert record["signal"] == signal.SIGKILL
    assert record["oom_kill"] == 1
    assert one.process.returncode == 137


def test_a_sigkill_by_somebody_is_no_want_of_memory(shim, source, small_memory):
    """The same signal without a count of the kernel: zero, so that nobody blames memory."""
    one = shim().start(
        source("import os; os.kill(os.getpid(), 9)"),
        preexec_fn=lambda: (small_memory / "cgroup.procs").write_text("0"),
    )
    record = one.wait()
    assert (record["signal"], record["oom_kill"]) == (signal.SIGKILL, 0)


def test_a_process_whose_first_thread_has_ended_is_found(shim, source, until, tmp_path):
    """It shows as a zombie, holds memory and GPUs, and is ended with the run."""
    program = tmp_path / "headless"
    (tmp_path / "headless.c").write_text(HEADLESS)
    compiler = ["cc", "-pthread", "-o", str(program), str(tmp_path / "headless.c")]
    if subprocess.run(compiler, capture_output=True, check=False).returncode:
        pytest.skip("needs a C compiler")
    one = shim().start(
        source(
            "import subprocess, time\n"
            f"p = subprocess.Popen([{str(program)!r}], start_new_session=True, env={{}})\n"
            "while open(f'/proc/{p.pid}/stat').read().rpartition(')')[2].split()[0] != 'Z':\n"
            "    time.sleep(0.01)\n"
            "print(p.pid, flush=True)\n"
        )
    )
    record = one.wait()
    assert (record["leftovers"], record["survivors"]) == (1, 0)
    pid = int(next(line for line in one.log().splitlines() if line.isdecimal()))
    assert not Path(f"/proc/{pid}").exists()


def test_a_stopped_program_hears_of_the_end(shim, source, until):
    """A training that somebody has stopped with SIGSTOP goes on, saves and ends by itself."""
    one = shim().start(source(SAVES), grace=60)
    until(lambda: "up" in one.log())
    (child,) = children(one.process.pid)
    os.kill(child, signal.SIGSTOP)
    one.process.terminate()
    record = one.wait()
    assert record["code"] == 75
    assert one.log() == "up\nsaved\n"


def test_a_daemon_without_descriptors_and_environment_is_ended(shim, source):
    """Double fork, session of its own, no environment, every descriptor closed: still ours."""
    daemon = "import os, time; os.closerange(0, 100); time.sleep(300)"
    one = shim().start(
        source(
            "import os, sys\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            "    if os.fork() == 0:\n"
            f"        os.execve(sys.executable, [sys.executable, '-c', {daemon!r}], {{}})\n"
            "    os._exit(0)\n"
            "os.wait()\n"
        )
    )
    record = one.wait()
    assert record["code"] == 0
    assert (record["leftovers"], record["survivors"]) == (1, 0)


def test_a_program_that_closes_everything_is_waited_for(shim, source):
    """Without stdout and stderr a program still has its exit code, and the shim its end."""
    one = shim().start(
        source("import os, time; os.closerange(0, 100); time.sleep(0.3); os._exit(5)")
    )
    record = one.wait()
    assert (record["code"], record["leftovers"]) == (5, 0)


def test_the_shim_holds_nothing_of_what_programs_print(shim, source, until, tmp_path):
    """While a program prints 200 MB the shim needs no more memory than before."""
    go = tmp_path / "go"
    one = shim().start(
        source(
            "import os, pathlib, time\n"
            "for n in range(2000): os.write(1, b'x' * 99_999 + b'\\n')\n"
            "os.write(1, b'done')\n"
            f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
        )
    )
    log = one.attempt / "out.log"
    until(lambda: log.exists() and log.stat().st_size == 200_000_004)
    peak = Path(f"/proc/{one.process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
    go.touch()
    one.wait()
    log.unlink()
    assert int(peak) * 1024 < 60_000_000


def test_a_run_that_was_taken_over_starts_nothing(shim, source, tmp_path):
    """If somebody else already stands for the attempt, a shim that comes late runs no command."""
    one = shim()
    one.attempt.mkdir()
    (one.attempt / "proc.json").write_text("{}")
    one.start(source(f"open({str(tmp_path / 'mark')!r}, 'w')"))
    _, said = one.process.communicate(timeout=60)
    assert b"proc.json" in said
    assert not (tmp_path / "mark").exists()
    assert (one.attempt / "proc.json").read_text() == "{}"
