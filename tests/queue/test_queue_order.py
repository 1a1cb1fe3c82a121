"""Runs that wait for their turn, with real processes."""

import fcntl
import os
import signal

from conftest import QUICK, wait_for


def test_runs_on_one_slot_take_turns(slot):
    """Of three runs on one slot the first starts at once, the others one after the other."""
    for number in (1, 2, 3):
        slot.start(number)
    assert slot.status(1) == "running"
    wait_for(lambda: "R-000001" in slot.run(2)["why"], what="the reason to wait")
    assert [slot.status(number) for number in (2, 3)] == ["queued", "queued"]
    slot.lab.write("go", "")
    for number in (1, 2, 3):
        slot.lab.published(number)
    records = [slot.exit(number) for number in (1, 2, 3)]
    assert [record["code"] for record in records] == [0, 0, 0]
    assert records[0]["ended"] <= records[1]["started"]
    assert records[1]["ended"] <= records[2]["started"]


def test_a_larger_priority_goes_first(slot):
    """A run that was asked for later overtakes one of a smaller priority, not one that runs."""
    slot.start(1)
    slot.start(2)
    told = slot.start(3, "--priority", "5")
    assert "queued R-000003" in told.stderr
    assert "exp queue" in told.stderr
    seen = slot.queue()
    assert [(row["position"], row["run"], row["priority"]) for row in seen["waiting"]] == [
        (1, "R-000003", 5),
        (2, "R-000002", 0),
    ]
    assert [(row["run"], row["slots"]) for row in seen["holding"]] == [("R-000001", 1)]
    assert seen["slots_free"] == 0
    slot.lab.write("go", "")
    slot.lab.published(2)
    assert slot.exit(3)["ended"] <= slot.exit(2)["started"]


def test_what_takes_more_slots_is_not_starved(watched):
    """A run that needs both slots starts before a later one that would fit at once."""
    watched.lab.write("exp.toml", "[queue]\ncpus = 2\n")
    watched.lab.experiment(QUICK, "[resources]\ncpus = 2\n", path="e/wide.toml")
    watched.lab.ticket(2, experiment="e/wide.toml")
    watched.start(1)
    watched.start(2)
    watched.start(3)
    wait_for(lambda: "R-000002 goes first" in watched.run(3)["why"], what="the third to wait")
    assert "2 CPU slots, 1 free (taken by R-000001)" in watched.run(2)["why"]
    watched.lab.write("go", "")
    watched.lab.published(3)
    assert watched.exit(2)["ended"] <= watched.exit(3)["started"]


def test_a_run_that_can_never_fit_is_refused(slot):
    """More slots than there are is an error at the start, with the limit, and leaves no run."""
    slot.lab.experiment(QUICK, "[resources]\ncpus = 2\n")
    done = slot.lab.exp("ticket", "start", "1", "--no-git")
    assert done.returncode == 7
    assert "takes 2 CPU slots, exp.toml has [queue] cpus = 1" in done.stderr
    assert slot.lab.exp("run", "list", "--json").stdout.strip() == "[]"
    assert "READY" in slot.lab.text()


def test_a_run_starts_when_the_one_before_it_has_completed(watched):
    """`--after` a ticket waits for its live run, and starts once that has completed."""
    watched.start(1)
    told = watched.start(2, "--after", "T-1")
    assert "waits for R-000001 to complete" in told.stderr
    assert watched.queue()["waiting"][0]["after"] == ["R-000001"]
    watched.lab.write("go", "")
    watched.lab.published(2)
    assert watched.exit(1)["ended"] <= watched.exit(2)["started"]
    assert watched.run(2)["outcome"] == "completed"


def test_a_run_after_one_that_failed_never_starts(watched):
    """It ends as stopped, says why, and leaves exactly one terminal record and no process file."""
    watched.start(1)
    watched.start(2, "--after", "R-1")
    os.kill(watched.shim(1), signal.SIGKILL)
    watched.lab.published(2)
    end = watched.run(2)
    assert (end["status"], end["outcome"]) == ("ended", "stopped")
    assert "R-000001, which it comes after, ended lost" in end["why"]
    assert not (watched.lab.run(2) / "attempt-1" / "proc.json").exists()
    assert watched.exit(2)["recorded_by"] == "queue"
    assert "R-000002 stopped" in watched.lab.text(2)


def test_nobody_waits_for_what_has_failed_already(watched):
    """`--after` a run that has ended badly, or a ticket without a live run, is refused."""
    watched.start(1)
    watched.lab.exp("run", "stop", "1")
    watched.lab.published(1)
    done = watched.lab.exp("ticket", "start", "2", "--no-git", "--after", "R-1")
    assert done.returncode == 5
    assert "R-000001: it has ended stopped" in done.stderr
    done = watched.lab.exp("ticket", "start", "2", "--no-git", "--after", "T-1")
    assert done.returncode == 3


def test_stop_of_a_queued_run_ends_it_unstarted(slot):
    """It never starts, its end is published, and the run behind it is not held up by it."""
    slot.start(1)
    slot.start(2)
    slot.start(3)
    done = slot.lab.exp("run", "stop", "2", "--why", "not needed")
    assert "R-000002 stopped: not needed" in done.stderr
    slot.lab.published(2)
    assert slot.run(2)["started"] is None
    assert not (slot.lab.run(2) / "attempt-1" / "proc.json").exists()
    slot.lab.write("go", "")
    slot.lab.published(3)
    assert not (slot.lab.run(2) / "attempt-1" / "out.log").exists()
    assert slot.run(3)["outcome"] == "completed"


def test_starts_at_the_same_instant_never_exceed_the_slots(lab, watched):
    """Of ten starts at once on two slots at most two run at any moment, and all complete."""
    lab.experiment(QUICK.replace("run.finish()", "import time; time.sleep(0.2); run.finish()"))
    lab.write("exp.toml", "[queue]\ncpus = 2\n")
    for number in range(1, 11):
        lab.ticket(number)
    starts = [lab.popen("ticket", "start", str(number), "--no-git") for number in range(1, 11)]
    for start in starts:
        _, said = start.communicate(timeout=120)
        assert start.returncode == 0, said
    for number in range(1, 11):
        lab.published(number, seconds=120)
    records = [watched.exit(number) for number in range(1, 11)]
    assert {record["code"] for record in records} == {0}
    for one in records:
        beside = [r for r in records if r["started"] <= one["started"] < r["ended"]]
        assert len(beside) <= 2


def test_a_dead_watcher_loses_nobody(slot):
    """A run that was asked for while no watcher lives starts once somebody looks, exactly once."""
    slot.start(1)
    slot.start(2)
    wait_for(slot.watchers, what="a watcher")
    slot.kill_watchers()
    slot.lab.write("go", "")
    wait_for((slot.lab.run(1) / "attempt-1" / "exit.json").exists, what="the end of the first")
    slot.kill_watchers()
    assert slot.lab.exp("queue").returncode == 0
    slot.lab.published(2)
    assert slot.run(2)["outcome"] == "completed"
    assert len(list((slot.lab.run(2) / "attempt-1").glob("events-*-shim-*.jsonl"))) == 1


def test_a_starter_killed_before_its_shim_leaves_a_run_that_starts(slot):
    """What a dispatcher wrote before it died (a lease, nothing else) is no obstacle."""
    slot.start(1)
    slot.start(2)
    slot.kill_watchers()
    attempt = slot.lab.run(2) / "attempt-1"
    (attempt / "lease.json").write_text('{"time": 1.0, "gpus": null, "cpus": 1}')
    assert slot.status(2) == "starting"
    slot.lab.write("go", "")
    wait_for((slot.lab.run(1) / "attempt-1" / "exit.json").exists, what="the end of the first")
    slot.lab.exp("status")
    slot.lab.published(2)
    assert slot.run(2)["outcome"] == "completed"


def test_a_shim_that_is_coming_up_is_not_started_again(slot):
    """While somebody holds an attempt's request it counts as started: its slot is taken."""
    slot.start(1)
    slot.start(2)
    slot.start(3)
    attempt = slot.lab.run(2) / "attempt-1"
    slot.kill_watchers()
    with (attempt / "request.json").open("rb") as request:
        fcntl.flock(request, fcntl.LOCK_EX)
        (attempt / "lease.json").write_text('{"time": 1.0, "gpus": null, "cpus": 1}')
        slot.lab.write("go", "")
        slot.lab.exp("status")
        slot.lab.published(1)
        wait_for(lambda: "(taken by R-000002)" in slot.run(3)["why"], what="the third to wait")
        assert not (attempt / "proc.json").exists()
    slot.lab.published(3)
    assert slot.run(2)["outcome"] == "completed"


def test_following_a_queued_run_waits_for_it(slot):
    """`--follow` goes on over the wait, and ends with the run's own end."""
    slot.start(1)
    following = slot.lab.popen("ticket", "start", "2", "--no-git", "--follow")
    wait_for((slot.lab.run(2) / "run.json").exists, what="the second run")
    assert following.poll() is None
    slot.lab.write("go", "")
    out, said = following.communicate(timeout=60)
    assert following.returncode == 0, said
    assert "step 1\n" in out
    assert "R-000002 completed" in said


def test_an_empty_queue_says_so(lab):
    """Nothing waiting and nothing running is told in words, and as JSON with empty lists."""
    assert "nothing waits" in lab.exp("queue").stdout
    assert '"waiting": []' in lab.exp("queue", "--json").stdout
