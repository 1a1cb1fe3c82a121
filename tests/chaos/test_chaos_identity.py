"""Who is who after reboots, reused pids, jumps of the clock, and on other machines."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import EXP, PATIENT, QUICK, wait_for

# Adds the number of seconds in a file to every wall clock time of a process.
JUMP = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long jump(void) {
  long value = 0; FILE *file = fopen(getenv("JUMP_FILE"), "r");
  if (file) { if (fscanf(file, "%ld", &value) != 1) value = 0; fclose(file); }
  return value;
}
int clock_gettime(clockid_t id, struct timespec *out) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int done = real(id, out);
  if (id == CLOCK_REALTIME) out->tv_sec += jump();
  return done;
}
"""
REUSE = """
import json, os, pathlib, subprocess, sys, time
root, shim = map(pathlib.Path, sys.argv[1:])
run = root / ".exp/runs/R-000001"
training = [sys.executable, "-c", "import time; time.sleep(300)"]
record = json.loads((run / "run.json").read_text())
record["commands"] = [{"phase": "train", "argv": training}]
record["created"] = time.time()
(run / "run.json").write_text(json.dumps(record))
env = dict(os.environ, EXP_RUN_DIR=str(run))
first = subprocess.Popen([sys.executable, "-I", shim, str(run), "1"], env=env)
proc = run / "attempt-1/proc.json"
while not proc.exists():
    time.sleep(0.01)
first.kill()
first.wait()
pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text(str(first.pid - 1))
stranger = subprocess.Popen(["sleep", "300"])
subprocess.run([sys.executable, "-m", "orchestrator.watch", str(root)], check=True)
print(json.dumps({"same": stranger.pid == first.pid, "alive": stranger.poll() is None}))
"""


@pytest.fixture
def jumping(lab, tmp_path, monkeypatch):
    """A function that lets the wall clock of everything started from here on jump."""
    (tmp_path / "jump.c").write_text(JUMP)
    library = tmp_path / "jump.so"
    compiler = ["cc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "jump.c"), "-ldl"]
    if subprocess.run(compiler, capture_output=True, check=False).returncode:
        pytest.skip("needs a C compiler")
    file = tmp_path / "seconds"
    file.write_text("0")
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("JUMP_FILE", str(file))
    return lambda seconds: file.write_text(str(seconds))


@pytest.mark.parametrize("seconds", [90_000, -90_000])
def test_a_jump_of_the_clock_ends_nothing(lab, jumping, seconds):
    """A day forward or back while a run lives: no budget is used up, every point counts once."""
    lab.ticket(criteria="- [ ] train/loss < 0.5\n- [ ] No NaN")
    lab.experiment(PATIENT, "[budget]\nwall = '1h'\nidle = '30min'\n")
    lab.commit()
    lab.exp("ticket", "start", "1")
    log = lab.run() / "attempt-1/out.log"
    wait_for(lambda: log.exists() and "step 9" in log.read_text(), what="some points")
    jumping(seconds)
    here = log.read_text().count("step")
    wait_for(lambda: log.read_text().count("step") > here + 100, what="points after the jump")
    listed = json.loads(lab.exp("run", "list", "--json").stdout)
    assert [run["status"] for run in listed] == ["running"]
    lab.write("go", "")
    assert lab.published()["commit"]
    wait_for(lambda: not lab.processes(), what="the watcher to leave")
    last = log.read_text().count("step")
    (run,) = json.loads(lab.exp("run", "list", "--json").stdout)
    assert (run["outcome"], run["step"]) == ("completed", last)
    assert "- [x] train/loss < 0.5" in lab.text()


def unlike(lab, **values):
    """Change the identity in proc.json of a live run; returns the true one."""
    path = lab.run() / "attempt-1/proc.json"
    identity = json.loads(path.read_text())
    path.write_text(json.dumps(identity | values))
    return identity


def test_a_reboot_ends_a_run_and_signals_nobody(lab):
    """Another boot of this machine: the run is lost, and who has its pid now is left alone."""
    lab.ticket()
    lab.experiment(PATIENT)
    lab.commit()
    lab.exp("ticket", "start", "1")
    identity = unlike(lab, boot_id="00000000-0000-0000-0000-000000000000")
    assert lab.published()["problems"] == []
    assert lab.json("attempt-1/exit.json")["recorded_by"] == "watcher"
    os.kill(identity["pid"], 0)
    (run,) = json.loads(lab.exp("run", "list", "--json").stdout)
    assert run["outcome"] == "lost"


def test_a_reused_pid_is_not_the_shim(lab):
    """In a pid namespace the shim's pid goes to a stranger: the run is lost, the stranger lives."""
    lab.ticket()
    lab.experiment(QUICK)
    lab.commit()
    lab.exp("ticket", "start", "1", "--follow")
    wait_for(lambda: not lab.processes(), what="the watcher to leave")
    run = lab.run()
    kept = {"request.json", "lease.json"}
    made = [path for path in (run / "attempt-1").iterdir() if path.name not in kept]
    for path in [run / "published.json", *made]:
        path.unlink()
    for path in (lab.root / ".exp").glob("exp.db*"):
        path.unlink()
    import orchestrator.shim

    space = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    words = [sys.executable, "-c", REUSE, str(lab.root), orchestrator.shim.__file__]
    done = subprocess.run(
        [*space, *words], capture_output=True, text=True, check=False, timeout=120
    )
    if "unshare" in done.stderr:
        pytest.skip("needs a pid namespace")
    assert json.loads(done.stdout) == {"same": True, "alive": True}
    assert lab.json("attempt-1/exit.json")["recorded_by"] == "watcher"
    assert "lost" in lab.exp("run", "list").stdout


def test_a_run_of_another_machine_is_unknown_and_can_be_declared_lost(lab):
    """Nothing is claimed of it, a stop explains, and a person's word ends it."""
    lab.ticket()
    lab.experiment(PATIENT)
    lab.commit()
    lab.exp("ticket", "start", "1")
    identity = unlike(lab, boot_id="another", host="far-away")
    (run,) = json.loads(lab.exp("run", "list", "--json").stdout)
    assert run["status"] == "running"
    assert run["why"] == "unknown: on host far-away, which cannot be asked from here"
    os.kill(identity["pid"], signal.SIGKILL)
    stopped = lab.exp("run", "stop", "1")
    assert stopped.returncode == 7
    assert "far-away" in stopped.stderr
    assert "--lost" in stopped.stderr
    assert lab.json("attempt-1/stop.json")["why"] == "stopped by hand"
    assert lab.exp("run", "stop", "1", "--lost").returncode == 0
    assert "far-away is gone" in lab.json("attempt-1/exit.json")["error"]
    assert lab.published()["commit"]
    again = lab.exp("run", "stop", "1", "--lost")
    assert again.returncode == 5


def watchers(lab):
    """Ids of the watchers of a workspace, in whatever pid namespace they are."""
    found = []
    for pid in lab.processes():
        with suppress(OSError):
            if b"orchestrator.watch" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def test_a_run_in_a_container_is_not_buried_from_outside(lab):
    """Pids of another pid namespace mean nothing here: what lives there is left to itself."""
    lab.ticket()
    lab.experiment(PATIENT)
    lab.commit()
    space = ["unshare", "--pid", "--uts", "--fork", "--mount-proc", "--kill-child"]
    inside = f"hostname box && '{EXP}' ticket start 1 && sleep 300"
    container = subprocess.Popen([*space, "sh", "-c", inside], cwd=lab.root)
    log = lab.run() / "attempt-1/out.log"
    try:
        if container.poll() is not None:
            pytest.skip("needs a pid namespace")
        wait_for(lambda: log.exists() and "step 9" in log.read_text(), what="some points")
        for pid in wait_for(lambda: watchers(lab), what="its watcher"):
            os.kill(pid, signal.SIGKILL)
        (run,) = json.loads(lab.exp("run", "list", "--json").stdout)
        assert run["status"] == "running"
        assert "on host box" in run["why"]
        lab.exp("status")
        wait_for(lambda: watchers(lab), what="a watcher outside")
        here = log.read_text().count("step")
        wait_for(lambda: log.read_text().count("step") > here + 100, what="points under its eyes")
        assert not (lab.run() / "attempt-1/exit.json").exists()
        # It cannot be signalled from here, but its program finds the request.
        assert "box" in lab.exp("run", "stop", "1").stderr
        lab.published()
        assert lab.json("attempt-1/exit.json")["recorded_by"] == "shim"
    finally:
        container.kill()
        container.wait()


def test_a_run_whose_container_is_gone_is_lost(lab):
    """The lock of its request ended with the shim, however the container did."""
    lab.ticket()
    lab.experiment(PATIENT)
    lab.commit()
    space = ["unshare", "--pid", "--uts", "--fork", "--mount-proc", "--kill-child"]
    inside = f"hostname box && '{EXP}' ticket start 1"
    done = subprocess.run(
        [*space, "sh", "-c", inside], cwd=lab.root, capture_output=True, text=True, check=False
    )
    if "unshare" in done.stderr:
        pytest.skip("needs a pid namespace")
    lab.exp("status")
    lab.published()
    assert lab.json("attempt-1/exit.json")["recorded_by"] == "watcher"
