"""`exp ticket start` from end to end, through the command that people type."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import EXP, PATIENT, QUICK, wait_for

CRITERIA = """- [ ] train/loss < 0.5
- [ ] train/loss < 0.01
- [ ] No NaN in the losses
- [ ] Somebody has looked at the curves"""


@pytest.fixture
def ready(lab):
    """A ticket that can be started, committed."""
    lab.ticket(criteria=CRITERIA)
    lab.experiment()
    lab.commit()
    return lab


def test_a_ticket_is_run_judged_ticked_and_committed(ready):
    """Met criteria are ticked with evidence, others stay open, ticket and report are committed."""
    done = ready.exp("ticket", "start", "1", "--follow")
    assert done.returncode == 0, done.stderr
    text = ready.text()
    assert "- [x] train/loss < 0.5\n" in text
    assert "- [ ] train/loss < 0.01\n" in text
    assert "- [x] No NaN in the losses\n" in text
    assert "- [ ] Somebody has looked at the curves\n" in text
    assert "**Status**: ONGOING\n**Phase**: DEBUGGING" in text
    assert "Words of a person." in text
    log = ready.git("log", "-1", "--format=%B%n%N", "--stat")
    failed = "T-0001: train/loss 0.1 is not < 0.01, failed at step 10 and 2 more"
    assert log.startswith(f"{failed}\n\nR-000001 completed, 2 of 4 criteria met\n\n- ")
    assert "Ticket: T-0001\nRun: R-000001" in log
    assert "experiments/e/reports/T-0001/report.md" in ready.git("show", "--stat=200", "HEAD")
    assert ready.git("status", "--porcelain") == ""


def test_what_was_left_half_sealed_goes_at_the_end(ready):
    """The temporary file of a program that was killed while it sealed a checkpoint is removed."""
    script = ready.root / "experiments/e/a.py"
    litter = (
        "import os, pathlib\n"
        "step = pathlib.Path(os.environ['EXP_RUN_DIR'], 'checkpoints', 'step_9')\n"
        "step.mkdir(parents=True)\n"
        "(step / '.manifest.json.77.tmp').write_text('{')\n"
        "(step / 'weights.pt').write_text('half')\n"
    )
    script.write_text(litter + script.read_text())
    assert ready.exp("ticket", "start", "1", "--follow").returncode == 0
    step = ready.root / ".exp/runs/R-000001/checkpoints/step_9"
    assert [path.name for path in step.iterdir()] == ["weights.pt"]


def test_a_ticket_whose_criteria_are_all_met_is_done(lab):
    """DONE needs every required criterion met by evidence; what waited for it becomes READY."""
    lab.ticket()
    lab.ticket(2, after="T-0001", status="BLOCKED")
    lab.experiment()
    assert lab.exp("ticket", "start", "T-0001", "--follow").returncode == 0
    assert "**Status**: DONE\n**Phase**: —" in lab.text()
    assert "**Status**: READY" in lab.text(2)


def test_start_returns_while_training_goes_on(lab):
    """Without --follow the command comes back at once, and the run is finished without it."""
    lab.ticket()
    lab.experiment(PATIENT)
    assert lab.exp("ticket", "start", "1").returncode == 0
    assert "- [ ] train/loss" in lab.text()
    assert "**Status**: ONGOING\n**Phase**: IMPLEMENTING" in lab.text()
    lab.write("go", "")
    lab.published()
    assert "- [x] train/loss < 0.5" in lab.text()
    wait_for(lambda: not lab.processes(), what="watcher and shim to leave")


def test_parameters_reach_the_program_and_the_record(lab):
    """--set overrides a parameter for the program and in run.json."""
    lab.ticket()
    program = "from orchestrator import track\nrun = track.init(config={'lr': 1, 'n': 2})\n"
    lab.experiment(program + "print(run.config['lr'], run.config['n'])", "[params]\nlr = 0.1\n")
    lab.exp("ticket", "start", "1", "--follow", "--set", "lr=3e-4")
    assert (lab.run() / "attempt-1/out.log").read_text() == "0.0003 2\n"
    assert lab.json("run.json")["params"] == {"lr": 3e-4}


def test_evaluation_follows_training(lab):
    """[evaluate] runs after training ended well, in the same run."""
    lab.ticket(criteria="- [ ] eval/score > 5%")
    evaluate = "from orchestrator import track\ntrack.init().log({'eval/score': 0.1}, step=10)"
    lab.write("experiments/e/eval.py", evaluate)
    more = '[evaluate]\ncommand = ["{python}", "experiments/e/eval.py"]\n'
    lab.experiment(QUICK, more + '[metrics."eval/score"]\nunit = "fraction"\n')
    done = lab.exp("ticket", "start", "1", "--follow")
    assert done.returncode == 0, done.stderr
    assert [phase["phase"] for phase in lab.json("attempt-1/exit.json")["phases"]] == [
        "train",
        "eval",
    ]
    assert "- [x] eval/score > 5%" in lab.text()


@pytest.mark.parametrize(
    ("program", "outcome", "said"),
    [
        ("import sys; print('boom'); sys.exit(1)", "failed", "exit code 1 in train"),
        ("import os; os.kill(os.getpid(), 9)", "failed", "killed by SIGKILL in train"),
        (QUICK, "incomplete", "10 steps of 1,000 planned"),
        ("raise SystemExit(75)", "incomplete", "asks to be started again"),
    ],
)
def test_a_run_that_does_not_complete_says_so(lab, program, outcome, said):
    """--follow exits 8, the ticket's Obstacles name the cause, nothing untrue is ticked."""
    lab.ticket(criteria="- [ ] train/loss < 0.001")
    lab.experiment(program, "[params]\nsteps = 1000\n")
    done = lab.exp("ticket", "start", "1", "--follow")
    assert done.returncode == 8
    assert f"R-000001 {outcome}" in done.stderr
    assert said in done.stderr
    assert "exp run logs R-000001" in done.stderr
    obstacles = lab.text().split("## Obstacles")[1]
    assert f"R-000001 {outcome}" in obstacles
    assert said in obstacles
    assert "[x]" not in lab.text()


def test_ctrl_c_while_following_leaves_the_training_alone(lab):
    """Ctrl-C ends the following with 130, says how to come back, and training goes on."""
    lab.ticket()
    lab.experiment(PATIENT)
    following = lab.popen("ticket", "start", "1", "--follow")
    log = lab.run() / "attempt-1/out.log"
    assert following.stdout.readline() == "step 1\n"
    os.killpg(following.pid, signal.SIGINT)
    _, said = following.communicate(timeout=30)
    assert following.returncode == 130
    assert "R-000001 goes on without you" in said
    assert "exp run logs -f R-000001" in said
    before = log.stat().st_size
    wait_for(lambda: log.stat().st_size > before, what="the training to go on")
    lab.write("go", "")
    lab.published()
    assert "- [x] train/loss < 0.5" in lab.text()


def test_of_two_starts_at_once_one_wins(lab):
    """Two `exp ticket start` of one ticket make one run; the other says whose it is."""
    lab.ticket()
    lab.experiment(PATIENT)
    racers = [lab.popen("ticket", "start", "1") for _ in range(2)]
    said = [racer.communicate(timeout=60)[1] for racer in racers]
    codes = [racer.returncode for racer in racers]
    assert sorted(codes) == [0, 6], said
    loser = said[codes.index(6)]
    assert re.search("is being started by another|has a live run already: R-000001", loser)
    assert len(list((lab.root / ".exp/runs").iterdir())) == 1
    third = lab.exp("ticket", "start", "1")
    assert third.returncode == 6
    assert "exp run stop R-000001" in third.stderr
    lab.write("go", "")
    lab.published()


def test_a_ticket_edited_while_its_run_lives_keeps_the_edit(lab):
    """A person's edits survive; a line whose threshold changed is not ticked by the old claim."""
    lab.ticket(criteria="- [ ] train/loss < 0.5\n- [ ] train/loss < 0.4")
    lab.experiment(PATIENT)
    lab.exp("ticket", "start", "1")
    path = lab.root / "tickets/T-0001.md"
    edited = path.read_text().replace("< 0.5", "< 0.0001").replace("Words of a person", "New words")
    path.write_text(edited)
    lint = lab.exp("ticket", "lint")
    assert "edited-after-start" in lint.stdout
    log = lab.run() / "attempt-1/out.log"
    wait_for(lambda: log.exists() and "step 9" in log.read_text(), what="enough steps")
    lab.write("go", "")
    lab.published()
    text = lab.text()
    assert "- [ ] train/loss < 0.0001" in text
    assert "- [x] train/loss < 0.4" in text
    assert "New words" in text
    assert "Edited since the start" in text


def test_the_watcher_may_be_killed_at_any_time(lab):
    """After kill -9 of the watcher the end of the run is still noticed, once."""
    lab.ticket()
    lab.experiment(PATIENT)
    lab.commit()
    lab.exp("ticket", "start", "1")
    watchers = [pid for pid in lab.processes() if b"orchestrator.watch" in _command(pid)]
    assert len(watchers) == 1
    os.kill(watchers[0], signal.SIGKILL)
    lab.write("go", "")
    lab.published()
    assert "- [x] train/loss < 0.5" in lab.text()
    assert lab.git("log", "--format=%s", "--grep=R-000001").count("\n") == 0


def _command(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_lost_shim_is_noticed_and_its_training_ended(lab):
    """kill -9 of the shim ends as `lost`, with no process left and a record of it."""
    lab.ticket()
    lab.experiment(PATIENT)
    lab.exp("ticket", "start", "1")
    os.kill(lab.json("attempt-1/proc.json")["pid"], signal.SIGKILL)
    lab.published()
    assert lab.json("attempt-1/exit.json")["recorded_by"] == "watcher"
    assert "R-000001 lost" in lab.text()
    wait_for(lambda: not lab.processes(), what="the training to end")


def test_stop_ends_the_run_and_says_who(lab):
    """`exp run stop` lets the program save, and the outcome is stopped."""
    lab.ticket()
    lab.experiment(PATIENT)
    lab.exp("ticket", "start", "1")
    log = lab.run() / "attempt-1/out.log"
    wait_for(lambda: log.exists() and "step 3" in log.read_text(), what="the third step")
    stopped = lab.exp("run", "stop", "1", "--why", "seen enough")
    assert stopped.returncode == 0
    assert "R-000001 stopped: seen enough" in stopped.stderr
    lab.published()
    assert "R-000001 stopped" in lab.text()
    again = lab.exp("run", "stop", "1")
    assert again.returncode == 0
    assert "had ended" in again.stderr


def test_a_decided_ticket_stops_its_run(lab):
    """With stop.when = "decided" the run ends by itself once nothing can change any more."""
    lab.ticket(criteria="- [ ] `train/loss` is reported")
    lab.experiment(PATIENT, '[stop]\nwhen = "decided"\n[metrics."train/loss"]\n')
    done = lab.exp("ticket", "start", "1", "--follow", timeout=60)
    assert done.returncode == 8
    assert "decided: no required criterion can change any more" in done.stderr
    assert lab.json("attempt-1/stop.json")["by"] == "exp"
    assert "- [x] `train/loss` is reported" in lab.text()


def test_two_workers_start_through_torchrun(lab):
    """nproc = 2 starts two ranks, each with a file of its own."""
    pytest.importorskip("torch")
    program = (
        "import os\nfrom orchestrator import track\nrun = track.init()\n"
        "run.log({'rank': int(os.environ['RANK'])}, step=1)\n"
    )
    lab.ticket(criteria="- [ ] `rank` is reported")
    lab.experiment(program)
    spec = lab.root / "experiments/e/a.toml"
    spec.write_text(spec.read_text() + "nproc = 2\n")
    done = lab.exp("ticket", "start", "1", "--follow")
    assert done.returncode == 0, done.stdout + done.stderr
    names = [path.name for path in (lab.run() / "attempt-1").glob("events-*.jsonl")]
    assert len([name for name in names if "-shim-" not in name]) == 2


def test_a_full_disk_under_the_run_folder_loses_nothing(lab):
    """Training on a full disk still ends with an exit record, and later runs work again."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    state = lab.root / ".exp"
    state.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", state], check=False)
    if mounted.returncode:
        pytest.skip("this sandbox does not allow mounts")
    try:
        program = (
            "import os\nfrom orchestrator import track\nrun = track.init()\n"
            "run.log({'a': 1.0}, step=1)\nprint('x' * 4_000_000)\n"
        )
        lab.ticket(criteria="- [ ] `a` is reported")
        lab.experiment(program)
        lab.exp("ticket", "start", "1")
        wait_for((lab.run() / "attempt-1/exit.json").exists, what="the exit record")
        assert lab.json("attempt-1/exit.json")["phases"]
        second = lab.exp("ticket", "start", "1", "--force")
        assert second.returncode in {0, 7}
        (lab.run() / "attempt-1/out.log").write_text("")
        lab.exp("status")
        lab.published()
        wait_for(lambda: lab.exp("db", "rebuild").returncode == 0, what="a rebuild")
    finally:
        for pid in lab.processes():
            os.kill(pid, signal.SIGKILL)
        wait_for(
            lambda: subprocess.run(["umount", state], check=False).returncode == 0, what="umount"
        )


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize(("call", "file"), [("close", "request.json"), ("unlink", "waiting.json")])
def test_ctrl_c_while_starting_leaves_a_run_or_nothing(lab, call, file):
    """Whether the shim was up by then or not: no program lives on in a folder that is no run."""
    lab.ticket()
    lab.experiment(PATIENT)
    lab.commit()
    # The first time request.json is closed is at its reading, the second after the start.
    which = "when=2" if call == "close" else "when=1"
    place = lab.run() / "attempt-1" / file
    at = [f"--trace={call}", f"--inject={call}:signal=INT:{which}", "-P", place]
    # The suite may run in the background, where SIGINT is ignored.
    quietly = ["env", "--default-signal=INT", "strace", "-qq", "-o", os.devnull]
    subprocess.run(
        [*quietly, *at, EXP, "ticket", "start", "1"],
        cwd=lab.root,
        capture_output=True,
        check=False,
        timeout=60,
    )
    lives = (lab.run() / "run.json").exists()
    assert lives is (call == "close")
    assert bool(lab.processes()) is lives
    assert f"**Status**: {'ONGOING' if lives else 'READY'}" in lab.text()
