"""Nobody is left behind: daemons, sessions of their own, orphans; and nobody else is touched."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from orchestrator.shim import send, stat_of

DAEMON = (
    "import os, sys, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        {before}\n"
    "        print('daemon', os.getpid(), flush=True)\n"
    "        time.sleep(300)\n"
    "    os._exit(0)\n"
    "os.wait()\n"
)


def test_daemon_is_ended_and_counted(shim, source):
    """A double fork into a session of its own does not escape: it ends with the run."""
    one = shim().start(source(DAEMON.format(before="pass")))
    record = one.wait()
    assert record["code"] == 0
    assert (record["leftovers"], record["survivors"]) == (1, 0)
    assert one.living() == []


def test_daemon_deaf_to_sigterm_is_killed(shim, source, until):
    """What ignores SIGTERM gets SIGKILL after a short wait that the grace bounds."""
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    one = shim().start(source(DAEMON.format(before=deaf)), grace=0.2)
    record = one.wait()
    assert (record["leftovers"], record["survivors"]) == (1, 0)
    assert one.living() == []


def test_grandchildren_in_their_own_sessions_are_all_found(shim, source):
    """Ten workers, each a session leader with a child of its own, all end with their launcher."""
    one = shim().start(
        source(
            "import subprocess, sys\n"
            "for _ in range(10):\n"
            "    argv = ['sh', '-c', 'sleep 300 & exec sleep 300']\n"
            "    subprocess.Popen(argv, start_new_session=True)\n"
        )
    )
    record = one.wait()
    assert record["leftovers"] == 20
    assert record["survivors"] == 0
    assert one.living() == []


def test_children_with_a_clean_environment_are_found_by_descent(shim, source):
    """Without EXP_RUN_DIR in its environment a descendant still belongs to the run."""
    one = shim().start(source("import subprocess; subprocess.Popen(['sleep', '300'], env={})"))
    record = one.wait()
    assert (record["leftovers"], record["survivors"]) == (1, 0)


def test_process_outside_the_tree_that_bears_the_run_id_is_found(shim, source):
    """A process started elsewhere on behalf of the run is part of it: it bears EXP_RUN_DIR."""
    one = shim()
    other = subprocess.Popen(["sleep", "300"], env={**os.environ, "EXP_RUN_DIR": str(one.run)})
    one.start(source("pass"))
    record = one.wait()
    assert record["leftovers"] == 1
    assert other.wait(60) == -signal.SIGTERM


def test_processes_of_other_runs_and_strangers_are_left_alone(shim, source, tmp_path):
    """A run started from inside this one outlives it, and so does its namesake elsewhere."""
    one = shim()
    namesake = {"EXP_RUN_ID": one.run.name, "EXP_RUN_DIR": str(tmp_path / "runs" / one.run.name)}
    stranger = subprocess.Popen(["sleep", "300"], env=namesake)
    one.start(
        source(
            "import os, subprocess\n"
            f"env = dict(os.environ, EXP_RUN_DIR={str(one.run) + '9'!r})\n"
            "p = subprocess.Popen(['sleep', '300'], env=env, start_new_session=True)\n"
            "print(p.pid, flush=True)\n"
        )
    )
    record = one.wait()
    other = int(one.log())
    alive = Path(f"/proc/{other}").exists()
    os.kill(other, signal.SIGKILL)
    assert alive
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    assert record["leftovers"] == 0


def test_workers_that_end_by_themselves_are_no_leftovers(shim, source):
    """A worker that outlives its launcher by a moment is waited for, not counted."""
    one = shim().start(
        source("import subprocess; subprocess.Popen(['sh', '-c', 'sleep 0.15; echo bye'])")
    )
    record = one.wait()
    assert record["leftovers"] == 0
    assert one.log() == "bye\n"


def test_orphans_are_reaped_while_the_command_runs(shim, source, until):
    """Adopted children leave no zombies behind while the training goes on."""
    one = shim().start(
        source(
            "import subprocess, time\n"
            "for _ in range(20): subprocess.run(['sh', '-c', 'sleep 0 &'])\n"
            "print('up', flush=True)\n"
            "time.sleep(300)\n"
        )
    )
    until(lambda: "up" in one.log())
    children = Path(f"/proc/{one.process.pid}/task/{one.process.pid}/children")
    assert until(lambda: len(children.read_text().split()) == 1)
    one.process.terminate()
    assert one.wait()["signal"] == signal.SIGTERM


def test_torchrun_like_launcher_is_stopped_with_its_workers(shim, source, until, tmp_path):
    """Workers that ignore SIGTERM in their own sessions fall after the grace."""
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('worker', flush=True)\n"
        "time.sleep(300)\n"
    )
    one = shim().start(
        source(
            "import subprocess, sys\n"
            f"argv = [{sys.executable!r}, {str(worker)!r}]\n"
            "all_ = [subprocess.Popen(argv, start_new_session=True) for _ in range(3)]\n"
            "[p.wait() for p in all_]\n"
        ),
        grace=0.5,
    )
    until(lambda: one.log().count("worker") == 3)
    begun = time.monotonic()
    one.process.terminate()
    record = one.wait()
    assert record["signal"] == signal.SIGTERM
    assert record["leftovers"] == 3
    assert time.monotonic() - begun >= 0.5
    assert one.living() == []


def test_batch_script_that_started_the_shim_is_left_alone(shim, source, tmp_path):
    """Under a scheduler the shim's own parent bears EXP_RUN_DIR too; it is not a leftover."""
    one = shim()
    one.start(source("pass"))
    one.wait()
    again = one.run.parent / (one.run.name + "1")
    (again / "attempt-1").mkdir(parents=True)
    for name in ("run.json", "attempt-1/request.json"):
        (again / name).write_bytes((one.run / name).read_bytes())
    script = '"$@"; echo "shim ended with $?"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *one.process.args[:-2], str(again), "1"],
        env={**os.environ, "EXP_RUN_DIR": str(again)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "shim ended with 0\n"
    assert json.loads((again / "attempt-1" / "exit.json").read_text())["leftovers"] == 0


def test_a_signal_reaches_nobody_but_the_process_that_was_seen():
    """A pid that has gone to another process meanwhile is left alone."""
    with subprocess.Popen(["sleep", "300"]) as process:
        _, ticks = stat_of(process.pid)
        send(process.pid, ticks - 1, signal.SIGKILL)
        send(process.pid, ticks, signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
