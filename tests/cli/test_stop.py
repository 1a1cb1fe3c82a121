"""`exp run stop` when the machine does not do what it is told."""

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
