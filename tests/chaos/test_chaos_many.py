"""Many at once: runs, commands, workspaces."""

import json
import subprocess
from dataclasses import replace

from conftest import EXP, PATIENT, QUICK, wait_for

TOGETHER = 20


def start_together(lab, *numbers):
    """Start tickets in the same moment; returns the exit codes."""
    started = [lab.popen("ticket", "start", str(number)) for number in numbers]
    return [process.wait(120) for process in started if process.communicate(timeout=120)]


def test_twenty_runs_at_once(lab):
    """Each has an id, a record, a commit and its verdict; one watcher looks after all of them."""
    for number in range(1, TOGETHER + 1):
        lab.ticket(number)
    lab.experiment(QUICK)
    lab.commit()
    assert start_together(lab, *range(1, TOGETHER + 1)) == [0] * TOGETHER
    commits = {lab.published(n, seconds=120)["commit"] for n in range(1, TOGETHER + 1)}
    assert len(commits - {None}) == TOGETHER
    assert sorted(lab.json("run.json", n)["ticket"]["id"] for n in range(1, TOGETHER + 1)) == [
        f"T-{number:04d}" for number in range(1, TOGETHER + 1)
    ]
    assert all("- [x] train/loss < 0.5" in lab.text(n) for n in range(1, TOGETHER + 1))
    wait_for(lambda: not lab.processes(), what="the watcher to leave")
    assert lab.git("status", "--porcelain") == ""
    assert (lab.root / ".exp/watcher.log").read_text().count("completed") == TOGETHER


def test_one_of_two_starts_of_a_ticket_wins(lab):
    """The other one is told that the ticket is being started or has a live run: one run."""
    lab.ticket()
    lab.experiment(PATIENT)
    lab.commit()
    assert sorted(start_together(lab, 1, 1)) == [0, 6]
    assert len(json.loads(lab.exp("run", "list", "--json").stdout)) == 1
    lab.write("go", "")
    assert lab.published()["commit"]


def test_two_stops_and_a_kill_give_one_record(lab):
    """However many ask for the end at once, it is recorded once and published once."""
    lab.ticket()
    lab.experiment(PATIENT)
    lab.commit()
    lab.exp("ticket", "start", "1")
    stops = [lab.popen("run", "stop", *words) for words in (["1"], ["--all"], ["1"])]
    assert {process.wait(120) for process in stops if process.communicate(timeout=120)} == {0}
    assert lab.published()["commit"]
    assert lab.json("attempt-1/exit.json")["recorded_by"] == "shim"
    assert len(lab.git("log", "--format=%H", "--grep=^Run: R-000001$").splitlines()) == 1


def test_two_workspaces_do_not_know_each_other(lab, tmp_path):
    """Both have an R-000001; to kill and to stop it in one leaves that of the other alone."""
    other = replace(lab, root=tmp_path / "another")
    other.root.mkdir()
    for one in (lab, other):
        one.git("init", "--quiet", "--initial-branch=main")
        one.git("config", "user.name", "Ada")
        one.git("config", "user.email", "ada@example.org")
        one.ticket()
        one.experiment(PATIENT)
        one.commit()
        assert one.exp("ticket", "start", "1").returncode == 0
    shim = lab.json("attempt-1/proc.json")["pid"]
    subprocess.run(["kill", "-9", str(shim)], check=True)
    assert lab.exp("run", "stop", "--all").returncode == 0
    assert lab.json("attempt-1/exit.json")["recorded_by"] == "watcher"
    state = subprocess.run(
        [EXP, "run", "list", "--json"], cwd=other.root, capture_output=True, check=True
    )
    assert [run["status"] for run in json.loads(state.stdout)] == ["running"]
    assert other.exp("run", "stop", "1").returncode == 0
    assert other.published()["commit"]
    wait_for(lambda: not lab.processes() and not other.processes(), what="everybody to leave")
