"""`exp run resume`: what is done is not done again, and the end is written anew."""

import json
import os
import signal

import pytest
from conftest import PATIENT, QUICK, wait_for

# Saves a checkpoint every step, goes on from the newest one, and trains until `go` appears.
SAVING = """
import time
from pathlib import Path
from orchestrator import track
run = track.init()
found = track.resume_path()
step = int(found.read_text()) if found else 0
print("from", step, flush=True)
while step < 20 and not (step >= 5 and run.should_stop()):
    step += 1
    run.log({"train/loss": 1 / step}, step=step)
    file = run.checkpoint_dir(step) / "state"
    file.write_text(str(step))
    run.checkpoint(file, step=step)
    while step == 5 and not Path("go").exists():
        time.sleep(0.02)
run.finish()
"""


def lines(lab, name):
    """What programs left in a file of the workspace."""
    path = lab.root / name
    return path.read_text().splitlines() if path.exists() else []


def test_a_failed_evaluation_is_done_again_without_training(trained):
    """Resume starts at the evaluation, with its setting; ticket, boxes and report tell the end."""
    lab = trained.lab
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 8
    assert "- [ ] eval/acc > 0.8" in lab.text()
    commits = lab.git("rev-list", "--count", "HEAD")
    lab.write("ok", "")
    done = lab.exp("run", "resume", "1", "--set", "lr=0.2", "--follow")
    assert done.returncode == 0, done.stderr
    assert "attempt 2: eval" in done.stderr
    assert len(lines(lab, "trained")) == 1
    assert lines(lab, "evaluated") == [
        "['0.1'] {'steps': 10, 'lr': 0.1}",
        "['0.2'] {'steps': 10, 'lr': 0.2}",
    ]
    text = lab.text()
    assert "**Status**: DONE" in text
    assert "- [x] train/loss < 0.5" in text
    assert "- [x] eval/acc > 0.8" in text
    assert text.count("exp:begin outcome-R-000001") == 1
    assert "R-000001 completed" in text
    assert "R-000001, attempt 1, failed: exit code 1 in eval" in text
    assert int(lab.git("rev-list", "--count", "HEAD")) == int(commits) + 1
    assert lab.git("status", "--porcelain", "--", "tickets") == ""
    assert trained.run()["params"] == {"steps": 10, "lr": 0.2}
    assert (trained.run()["attempts"], trained.run()["outcome"]) == (2, "completed")


def test_a_rebuilt_index_tells_the_same_of_a_resumed_run(trained):
    """After `exp db rebuild` state, attempts and verdicts are those of before."""
    lab = trained.lab
    lab.exp("ticket", "start", "1", "--no-git", "--follow")
    lab.write("ok", "")
    lab.exp("run", "resume", "1", "--follow")
    before = trained.run()
    assert lab.exp("db", "rebuild").returncode == 0
    assert trained.run() == before


def test_training_that_was_killed_goes_on_from_its_checkpoint(lab, trained):
    """After kill -9 of the shim the next attempt trains from the newest checkpoint to the plan."""
    lab.experiment(SAVING, "steps = 20\n")
    lab.ticket()
    trained.start(1)
    wait_for((lab.run() / "checkpoints/step_5/manifest.json").exists, what="a checkpoint")
    os.kill(trained.shim(), signal.SIGKILL)
    lab.published()
    assert trained.run()["outcome"] == "lost"
    lab.write("go", "")
    done = lab.exp("run", "resume", "1", "--follow")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "from 5\n"
    assert (trained.run()["step"], trained.run()["outcome"]) == (20, "completed")
    assert [trained.exit(attempt=n)["recorded_by"] for n in (1, 2)] == ["watcher", "shim"]


def test_training_is_not_repeated_after_a_shim_was_lost_in_the_evaluation(lab, trained):
    """What the lost shim had noted of the training's end counts."""
    lab.write(
        "experiments/e/evaluate.py", "import time\nprint('on', flush=True)\ntime.sleep(600)\n"
    )
    trained.start(1)
    log = lab.run() / "attempt-1" / "out.log"
    wait_for(lambda: log.exists() and "on" in log.read_text(), what="the evaluation")
    os.kill(trained.shim(), signal.SIGKILL)
    lab.published()
    lab.write("experiments/e/evaluate.py", QUICK)
    assert lab.exp("run", "resume", "1", "--follow").returncode == 0
    assert len(lines(lab, "trained")) == 1


def test_too_few_steps_bring_training_again(lab, trained):
    """A run that ended with fewer steps than planned goes on training, all its programs in turn."""
    lab.experiment(QUICK, "steps = 20\n")
    lab.ticket()
    trained.start(1)
    lab.published()
    assert trained.run()["outcome"] == "incomplete"
    lab.experiment(QUICK.replace("range(1, 11)", "range(11, 21)"), "steps = 20\n")
    done = lab.exp("run", "resume", "1", "--follow")
    assert "attempt 2: train" in done.stderr
    assert trained.run()["outcome"] == "completed"


def test_what_must_not_be_resumed_is_refused(lab, trained):
    """A live run, a completed one, and one whose program is gone: each with its own reason."""
    lab.write("ok", "")
    lab.experiment(SAVING)
    lab.ticket()
    trained.start(1)
    live = lab.exp("run", "resume", "1")
    assert (live.returncode, "R-000001 is running" in live.stderr) == (6, True)
    lab.write("go", "")
    lab.published()
    completed = lab.exp("run", "resume", "1")
    assert (completed.returncode, "has completed" in completed.stderr) == (5, True)
    assert "--force" in completed.stderr
    (lab.root / "experiments/e/a.py").rename(lab.root / "experiments/e/b.py")
    gone = lab.exp("run", "resume", "1", "--force")
    assert (gone.returncode, "no script" in gone.stderr) == (3, True)
    assert not lab.run().joinpath("attempt-2").exists()
    (lab.root / "experiments/e/b.py").rename(lab.root / "experiments/e/a.py")
    assert lab.exp("run", "resume", "1", "--force", "--follow").returncode == 0
    typo = lab.exp("run", "resume", "1", "--force", "--set", "lrr=1")
    assert typo.returncode == 2


def test_a_ticket_has_one_live_run(trained):
    """No run is resumed beside a live one of its ticket, none started beside a resumed one."""
    lab = trained.lab
    lab.exp("ticket", "start", "1", "--no-git", "--follow")
    lab.experiment(PATIENT)
    trained.start(1)
    refused = lab.exp("run", "resume", "1")
    assert refused.returncode == 6
    assert "T-0001 has another live run: R-000002" in refused.stderr
    lab.exp("run", "stop", "2")
    lab.published(2)
    lab.exp("run", "resume", "2")
    second = lab.exp("ticket", "start", "1", "--no-git")
    assert second.returncode == 6
    assert "R-000002" in second.stderr


def test_a_resumed_older_run_tells_of_its_ticket_again(trained):
    """After a resume ticket, list, check and report speak of that run, not of the newest number."""
    lab = trained.lab
    for _ in range(2):
        lab.exp("ticket", "start", "1", "--no-git", "--follow")
    assert lab.exp("ticket", "check", "1").returncode == 9
    lab.write("ok", "")
    assert lab.exp("run", "resume", "1", "--follow").returncode == 0
    (row,) = json.loads(lab.exp("ticket", "list", "--json").stdout)
    assert (row["run"], row["run_status"], row["met"]) == ("R-000001", "completed", 2)
    assert json.loads(lab.exp("ticket", "show", "1", "--json").stdout)["run"] == "R-000001"
    assert lab.exp("ticket", "check", "1").returncode == 0
    report = (lab.root / "experiments/e/reports/T-0001/report.md").read_text()
    assert "`R-000001`, attempt 2" in report


def test_a_stopped_run_may_wait_for_its_turn_again(slot):
    """A resumed run queues like any other, and its priority counts."""
    slot.start(1)
    slot.lab.exp("run", "stop", "1")
    slot.lab.published(1)
    slot.start(2)
    slot.start(3)
    done = slot.lab.exp("run", "resume", "1", "--priority", "2")
    assert "queued R-000001, attempt 2: train" in done.stderr
    assert "ONGOING" in slot.lab.text()
    assert [row["run"] for row in slot.queue()["waiting"]] == ["R-000001", "R-000003"]
    slot.lab.write("go", "")
    slot.lab.published(3)
    assert slot.exit(1, attempt=2)["ended"] <= slot.exit(3)["started"]


@pytest.mark.parametrize("published", [True, False])
def test_a_resume_that_died_halfway_is_carried_on(trained, published):
    """An attempt that was asked for is started by the next watcher, whatever else was not done."""
    lab = trained.lab
    lab.exp("ticket", "start", "1", "--no-git", "--follow")
    lab.write("ok", "")
    trained.kill_watchers()
    second = lab.run() / "attempt-2"
    second.mkdir()
    request = lab.json("attempt-1/request.json")
    (second / "request.json").write_text(json.dumps(request))
    if not published:
        (lab.run() / "published.json").unlink()
    assert trained.status() == "queued"
    lab.exp("status")
    wait_for((second / "exit.json").exists, what="the end of the second attempt")
    wait_for(lambda: "completed" in lab.text(), what="the end in the ticket")
    assert len(lines(lab, "trained")) == 2
