"""`exp run stop` and `exp ticket stop`."""

import json

from conftest import PATIENT, wait_for

PROGRAM = "import os\nprint('pid', os.getpid(), flush=True)\n" + PATIENT


def test_a_program_that_cannot_be_killed_is_named_in_bounded_time(lab, freeze):
    """The stop comes back, the run has one end, and stop, status and ticket send to the host."""
    lab.ticket()
    lab.experiment(PROGRAM, "[stop]\ngrace = 0.2\n")
    lab.commit()
    lab.exp("ticket", "start", "1")
    log = lab.run() / "attempt-1/out.log"
    wait_for(lambda: log.exists() and "step" in log.read_text(), what="the training")
    freeze(int(log.read_text().split()[1]))
    stopped = lab.exp("run", "stop", "1")
    assert "needs attention" in stopped.stdout + stopped.stderr
    lab.published()
    assert lab.json("attempt-1/exit.json")["survivors"] == 1
    assert "needs attention" in lab.exp("status").stdout
    assert "needs attention" in lab.text()
    noticed = [json.loads(line) for line in (lab.run() / "notices.jsonl").read_text().splitlines()]
    titles = [line["notice"]["title"] for line in noticed if "notice" in line]
    assert any("host needs attention" in title for title in titles), titles


def test_a_ticket_is_stopped_by_its_name(lab):
    """Its live run ends with the reason that was given, no other one; then there is none."""
    lab.ticket()
    lab.ticket(2, experiment="e/b.toml")
    lab.experiment(PATIENT)
    lab.experiment(PATIENT, path="e/b.toml")
    lab.exp("ticket", "start", "1", "--no-git")
    lab.exp("ticket", "start", "2", "--no-git")
    wait_for((lab.run() / "attempt-1/proc.json").exists, what="the first run")
    done = lab.exp("ticket", "stop", "T-1", "--why", "enough")
    assert (done.returncode, "R-000001 stopped" in done.stderr) == (0, True), done.stderr
    assert lab.json("attempt-1/stop.json")["why"] == "enough"
    assert not (lab.run(2) / "attempt-1/exit.json").exists()
    again = lab.exp("ticket", "stop", "1")
    assert (again.returncode, "has no live run" in again.stderr) == (0, True)
    assert lab.exp("ticket", "stop", "9").returncode == 3
