"""Attempts of real runs: what is tried again, what is not, and what is kept of each."""

import json
import os
import signal

import pytest
from attempts.logs import OOM_NOW, SEED_VALIDATION
from attempts.programs import RETRY, resuming
from conftest import PATIENT, wait_for

from orchestrator.store.index import Index

CRITERIA = "- [ ] train/loss < 0.2"
ALWAYS_75 = "save() if step % 2 == 0 else None\nif step % 2 == 0 and step < 6: sys.exit(75)"


def started(lab, program, more="[params]\nsteps = 6\n", criteria=CRITERIA):
    """Start a ticket and wait for its end; the finished command is returned."""
    lab.ticket(criteria=criteria)
    lab.experiment(program, more)
    lab.commit()
    return lab.exp("ticket", "start", "1", "--follow")


def failure(lab, attempt=1):
    return lab.json(f"attempt-{attempt}/failure.json")


def attempts(lab):
    return sorted(path.name for path in lab.run().glob("attempt-*"))


def output(lab, attempt=1):
    return (lab.run() / f"attempt-{attempt}/out.log").read_text()


def test_exit_code_75_goes_on_from_the_checkpoint_until_it_is_done(lab):
    """Two requeues without any [retry] are no failures: the run completes, its boxes are ticked."""
    done = started(lab, resuming(ALWAYS_75))
    assert done.returncode == 0, done.stderr
    assert attempts(lab) == ["attempt-1", "attempt-2", "attempt-3"]
    assert [failure(lab, n)["cause"] for n in (1, 2)] == ["requeue", "requeue"]
    assert [failure(lab, n)["checkpoint"] for n in (1, 2)] == [2, 4]
    assert output(lab, 3) == "attempt 3 begins behind step 4\n"
    assert not (lab.run() / "attempt-3/failure.json").exists()
    assert lab.json("attempt-2/request.json")["delay"] == 0
    assert "- [x] train/loss < 0.2" in lab.text()
    assert "R-000001 completed" in lab.text()
    assert lab.git("log", "--format=%s", "--grep=R-000001").count("\n") == 0
    assert lab.git("status", "--porcelain") == ""


def test_75_without_a_newer_checkpoint_ends_after_three(lab):
    """A program that only goes round in circles is stopped, and the reason is said."""
    done = started(lab, "raise SystemExit(75)")
    assert done.returncode == 8
    assert len(attempts(lab)) == 3
    assert failure(lab, 3)["retry"] is False
    assert (
        "3 times in a row (requeue, requeue, requeue) and no newer checkpoint"
        in failure(lab, 3)["why"]
    )


@pytest.mark.parametrize(
    ("body", "cause", "said"),
    [
        ("save(); sys.exit(93)", "no_retry", "exit code 93"),
        ("save(); raise ValueError('bad sample 7')", "program", "ValueError: bad sample 7 at a.py"),
        ("save(); raise FloatingPointError('loss is nan')", "nan", "loss is nan"),
        ("if step == 3: sys.exit(0)", "short", "3 steps of 6 planned"),
    ],
)
def test_what_would_happen_again_is_not_tried_again(lab, body, cause, said):
    """93, errors of the program, NaN and early ends are final, whatever [retry] allows."""
    done = started(lab, resuming(body), RETRY.format(attempts=5))
    assert done.returncode == 8
    assert attempts(lab) == ["attempt-1"]
    assert (failure(lab)["cause"], failure(lab)["retry"]) == (cause, False)
    assert said in failure(lab)["evidence"]
    obstacles = lab.text().split("## Obstacles")[1]
    assert said in obstacles


KILLED_ONCE = "{save}\nif step == 3 and attempt == 1: os.kill(os.getpid(), signal.SIGKILL)"


def test_a_kill_is_tried_again_if_it_got_further(lab):
    """kill -9 of a training that has saved: the next attempt goes on from there."""
    done = started(lab, resuming(KILLED_ONCE.format(save="save()")), RETRY.format(attempts=2))
    assert done.returncode == 0, done.stderr
    assert (failure(lab)["cause"], failure(lab)["step"], failure(lab)["checkpoint"]) == (
        "killed",
        3,
        3,
    )
    assert "newest checkpoint: step 3, before none" in failure(lab)["why"]
    assert output(lab, 2) == "attempt 2 begins behind step 3\n"
    request = lab.json("attempt-2/request.json")
    assert request["by"] == "exp"
    assert 0.1 <= request["delay"] <= 0.2


def test_a_kill_without_progress_is_not_tried_again(lab):
    """The same without a checkpoint would only lose the same again."""
    done = started(lab, resuming(KILLED_ONCE.format(save="")), RETRY.format(attempts=9))
    assert done.returncode == 8
    assert attempts(lab) == ["attempt-1"]
    assert "no progress" in failure(lab)["why"]
    assert "exp run resume R-000001" in failure(lab)["why"]


def test_a_lost_shim_is_replaced(lab):
    """kill -9 of the shim: what it left is ended, and the next attempt completes the run."""
    body = "if attempt == 1: save(); time.sleep(60)"
    lab.ticket(criteria=CRITERIA)
    lab.experiment(resuming(body), RETRY.format(attempts=2))
    lab.commit()
    lab.exp("ticket", "start", "1")
    wait_for((lab.run() / "checkpoints/step_1/manifest.json").exists, what="a checkpoint")
    os.kill(lab.json("attempt-1/proc.json")["pid"], signal.SIGKILL)
    lab.published()
    assert lab.json("attempt-1/exit.json")["recorded_by"] == "watcher"
    assert failure(lab)["cause"] == "lost"
    assert output(lab, 2) == "attempt 2 begins behind step 1\n"
    assert "R-000001 completed" in lab.text()
    wait_for(lambda: not lab.processes(), what="everything to end")


OOM = """
text = {text!r}
if attempt == 1:
    sys.stderr.write(text)
    sys.exit(1)
print(sorted(v for k, v in os.environ.items() if k.endswith("ALLOC_CONF")), run.config["batch"])
"""


def test_fragmented_memory_is_tried_again_with_another_allocator(lab):
    """The message's own numbers explain it: the child of the next attempt sees the variable."""
    more = RETRY.format(attempts=2).replace("[retry]", "batch = 8\n[retry]")
    more += "[retry.oom]\nexpandable_segments = true\nsettings = {{ batch = 4 }}\n".format()
    done = started(lab, resuming(OOM.format(text=OOM_NOW)), more)
    assert done.returncode == 0, done.stderr
    assert failure(lab)["cause"] == "cuda_oom"
    assert "fragmentation" in failure(lab)["evidence"]
    assert "['expandable_segments:True', 'expandable_segments:True'] 8" in output(lab, 2)


def test_memory_that_is_short_is_tried_again_with_smaller_settings(lab):
    """0.22 GiB are missing: no allocator helps, the smaller batch that the spec allows does."""
    more = RETRY.format(attempts=2).replace("[retry]", "batch = 8\n[retry]")
    more += "[retry.oom]\nexpandable_segments = true\nsettings = {{ batch = 4 }}\n".format()
    done = started(lab, resuming(OOM.format(text=SEED_VALIDATION)), more)
    assert done.returncode == 0, done.stderr
    assert "0.22 GiB short" in failure(lab)["evidence"]
    assert "[] 4" in output(lab, 2)
    assert lab.json("run.json")["params"]["batch"] == 8


def test_only_the_evaluation_is_repeated(lab):
    """An evaluation that failed once is tried again without the training before it."""
    evaluate = """
import os, sys
from orchestrator import track
if os.environ["EXP_ATTEMPT"] == "1":
    raise ConnectionError("the data server is away")
track.init().log({"eval/score": 0.5}, step=6)
"""
    lab.write("experiments/e/eval.py", evaluate)
    more = RETRY.format(attempts=2)
    more += '[evaluate]\ncommand = ["{python}", "experiments/e/eval.py"]\n'
    more += '[metrics."eval/score"]\nunit = "fraction"\n'
    done = started(lab, resuming("save()"), more, "- [ ] eval/score > 5%")
    assert done.returncode == 0, done.stderr
    assert (failure(lab)["cause"], failure(lab)["evidence"]) == (
        "network",
        "ConnectionError: the data server is away at eval.py:<module>, in eval",
    )
    phases = [p["phase"] for p in lab.json("attempt-2/exit.json")["phases"]]
    assert phases == ["eval"]
    assert "- [x] eval/score > 5%" in lab.text()


def test_a_crash_loop_ends_after_three_attempts_alike(lab):
    """The same failure at the same step is no bad luck the third time."""
    body = "if step == 2: raise ConnectionError('no route to 10.0.0.%d' % attempt)"
    done = started(lab, resuming(body), RETRY.format(attempts=9))
    assert done.returncode == 8
    assert len(attempts(lab)) == 3
    assert "the same failure 3 times at step 2: ConnectionError at a.py" in failure(lab, 3)["why"]
    assert "R-000001 failed" in lab.text()
    assert lab.text().count("R-000001 failed") >= 1
    report = (lab.root / "experiments/e/reports/T-0001/report.md").read_text()
    assert "| 3 |" in report
    assert "the same failure 3 times" in report


def test_a_run_of_many_attempts_is_rebuilt_from_its_files(lab):
    """The index that grew over several attempts equals the one made anew, verdicts included."""
    body = "save()\nif step == 2 * attempt and step < 6: os.kill(os.getpid(), signal.SIGKILL)"
    criteria = f"{CRITERIA}\n- [ ] No crashes\n- [ ] Training completes without error"
    done = started(lab, resuming(body), RETRY.format(attempts=4), criteria)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: not lab.processes(), what="the watcher to leave")
    with Index(lab.root / ".exp/exp.db") as index:
        grown = index.dump()
    assert lab.exp("db", "rebuild").returncode == 0
    with Index(lab.root / ".exp/exp.db") as index:
        rebuilt = index.dump()
    for dump in (grown, rebuilt):
        dump.pop("ticket")
    assert len(grown["attempt"]) == 3
    assert rebuilt == grown


def test_attempts_are_shown(lab):
    """`exp run show` and `exp run explain` tell cause, evidence, steps and decision of each."""
    body = KILLED_ONCE.format(save="save()")
    started(lab, resuming(body), RETRY.format(attempts=2))
    detail = json.loads(lab.exp("run", "show", "1", "--json").stdout)
    first, second = detail["story"]
    assert (first["first_step"], first["last_step"], first["cause"]) == (1, 3, "killed")
    assert (second["first_step"], second["last_step"], second["cause"]) == (4, 6, None)
    assert first["retried"] is True
    assert "SIGKILL" in lab.exp("run", "show", "1").stdout
    told = lab.exp("run", "explain", "1").stdout
    assert "cause      killed: killed by SIGKILL in train" in told
    assert "none at its start, step 3 at its end" in told
    assert "tried again: failure 1 of 2, newest checkpoint: step" in told
    assert "pause" in told
    report = (lab.root / "experiments/e/reports/T-0001/report.md").read_text()
    assert "| 1 to 3 | SIGKILL |" in report
    assert "| 4 to 6 | exit code 0 |" in report
    obstacle = lab.text().split("## Obstacles")[1]
    assert "R-000001, attempt 1, failed: killed by SIGKILL in train" in obstacle
    assert "Tried again: failure 1 of 2" in obstacle


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("save()\nif attempt == 1 and step == 2: sys.exit(75)", "[x]"),
        ("save()\nif attempt == 1 and step == 2: os.kill(os.getpid(), signal.SIGTERM)", "[x]"),
        ("save()\nif attempt == 1 and step == 2: raise ConnectionError('away')", "[ ]"),
    ],
)
def test_a_crash_counts_although_it_was_tried_again(lab, body, verdict):
    """A claim that there was no error is about every attempt; requeues and preemptions are none."""
    criteria = "- [ ] Training completes without error\n- [ ] train/loss < 0.2"
    done = started(lab, resuming(body), RETRY.format(attempts=2), criteria)
    assert done.returncode == 0, done.stderr
    assert len(attempts(lab)) == 2
    assert f"- {verdict} Training completes without error" in lab.text()
    assert "- [x] train/loss < 0.2" in lab.text()


def test_secrets_in_a_traceback_stay_out_of_the_records(lab):
    """What a program prints as it dies is quoted in git: not what looks like a secret."""
    token = "hf_" + "a1B2c3D4" * 4
    body = f"raise ConnectionError('denied for token={token}')"
    started(lab, resuming(body))
    assert failure(lab)["cause"] == "network"
    assert token not in (lab.run() / "attempt-1/failure.json").read_text() + lab.text()


def test_a_run_that_is_stopped_stays_stopped(lab):
    """`exp run stop` is the end, whatever the policy allows."""
    lab.ticket()
    lab.experiment(PATIENT.replace("not run.should_stop() and", ""), RETRY.format(attempts=5))
    lab.commit()
    lab.exp("ticket", "start", "1")
    log = lab.run() / "attempt-1/out.log"
    wait_for(lambda: log.exists() and "step 3" in log.read_text(), what="the third step")
    assert lab.exp("run", "stop", "1", "--why", "seen enough").returncode == 0
    lab.published()
    assert attempts(lab) == ["attempt-1"]
    assert failure(lab)["cause"] == "stopped"
    assert "seen enough" in failure(lab)["evidence"]
    assert "R-000001 stopped" in lab.text()
