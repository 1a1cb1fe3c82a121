"""`exp watch`: a watcher in the foreground, for a person, cron or systemd."""

import os
import shlex
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import PATIENT, wait_for

from orchestrator.fsio import try_lock


def left_alone(lab):
    """Start a run and kill the watcher that its start brought; the run's own programs go on."""
    lab.ticket()
    lab.experiment(PATIENT)
    lab.commit()
    assert lab.exp("ticket", "start", "1").returncode == 0
    wait_for(lambda: is_held(lab), what="the watcher")
    for pid in lab.processes():
        with suppress(OSError):
            if b"orchestrator.watch\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_held(lab), what="the end of the watcher")


def is_held(lab):
    """Whether a watcher is at work."""
    descriptor = try_lock(lab.root / ".exp/watcher.lock")
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


def test_a_job_of_cron_brings_a_run_to_its_end(lab):
    """`--until-idle` adopts what lives, writes its end down, and ends with 0; again is no harm."""
    left_alone(lab)
    job = lab.popen("watch", "--until-idle")
    wait_for(lambda: is_held(lab), what="the job")
    (lab.root / "go").touch()
    _, said = job.communicate(timeout=120)
    assert job.returncode == 0, said
    assert "R-000001 completed" in lab.text()
    assert lab.exp("watch", "--until-idle").returncode == 0


def test_a_second_watcher_says_that_one_is_at_work(lab):
    """A job of cron leaves quietly, a person is told; neither disturbs the one at work."""
    left_alone(lab)
    first = lab.popen("watch")
    wait_for(lambda: is_held(lab), what="the first watcher")
    job = lab.exp("watch", "--until-idle")
    assert (job.returncode, "another watcher is at work" in job.stderr) == (0, True)
    person = lab.exp("watch")
    assert person.returncode != 0
    assert "another watcher is at work" in person.stderr
    (lab.root / "go").touch()
    lab.published()
    assert first.poll() is None, "without --until-idle it waits for the next run"
    first.terminate()
    first.communicate(timeout=60)
    assert first.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_end_of_the_watching_is_not_the_end_of_the_runs(lab, number):
    """Ctrl-C and the end of a service leave the training alone, and its end is written down."""
    left_alone(lab)
    first = lab.popen("watch")
    wait_for(lambda: is_held(lab), what="the watcher")
    first.send_signal(number)
    first.communicate(timeout=60)
    os.kill(lab.json("attempt-1/proc.json")["pid"], 0)
    (lab.root / "go").touch()
    lab.published()  # by the one that the shim wakes at its end
    assert "R-000001 completed" in lab.text()


def test_the_unit_is_one_that_systemd_takes(lab, tmp_path):
    """--unit prints a unit whose command starts a watcher here, whatever the path is called."""
    unit = lab.exp("watch", "--unit")
    assert unit.returncode == 0
    assert "systemctl --user" in unit.stderr
    line = next(line for line in unit.stdout.splitlines() if line.startswith("ExecStart="))
    argv = shlex.split(line.removeprefix("ExecStart="))
    assert str(lab.root) in argv
    lab.ticket()
    lab.experiment()
    lab.exp("ticket", "start", "1", "--no-git")
    lab.published()
    wait_for(lambda: not lab.processes(), what="the watcher of the start to leave")
    with subprocess.Popen(argv, cwd="/", start_new_session=True) as service:
        wait_for(lambda: is_held(lab), what="the service")
        service.terminate()
    assert service.returncode == 0
    if shutil.which("systemd-analyze"):
        file = tmp_path / "exp-watch.service"
        file.write_text(unit.stdout)
        words = ["systemd-analyze", "verify", "--user", "--man=no", file]
        checked = subprocess.run(words, capture_output=True, text=True, check=False)
        assert "exp-watch.service" not in checked.stderr, checked.stderr
