"""`exp ticket check`: a ticket against a run, from the files of both."""

import json

import pytest
from conftest import PATIENT, wait_for

from orchestrator.actions.wording import in_words
from orchestrator.cli.views.words import verdict_mark
from orchestrator.criteria import parse_predicate
from orchestrator.criteria.predicates.flat import flat
from orchestrator.domain.criterion import Decidable, Kind, Reading, State, Verdict

LOSS = "- [ ] Learns well <!-- exp: train/loss < 0.5 -->"


def started(lab, criteria, program=None):
    """A ticket whose run has ended."""
    lab.ticket(criteria=criteria)
    lab.experiment(*([program] if program else []))
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 0
    wait_for(lambda: not lab.processes(), what="the watcher to leave")


def checked(lab, *words):
    """The check as data, with its exit code."""
    done = lab.exp("ticket", "check", "1", "--json", *words)
    return done.returncode, json.loads(done.stdout)


def test_before_any_run_only_the_readings_are_shown(lab):
    """Without a run there is a reading for each line, no verdict, and exit code 9."""
    lab.ticket(criteria=f"{LOSS}\n- [ ] Somebody has looked at the curves")
    done = lab.exp("ticket", "check", "1")
    assert done.returncode == 9
    assert "never started" in done.stdout
    assert "train/loss < 0.5" in done.stdout
    assert "a person decides" in done.stdout
    code, found = checked(lab)
    assert (code, found["run"]) == (9, None)
    assert [row["verdict"] for row in found["criteria"]] == [None, None]


@pytest.mark.parametrize(
    ("criteria", "code", "said"),
    [
        (LOSS, 0, "every required criterion is met: 1 of 1"),
        (f"{LOSS}\n- [ ] train/loss < 0.01", 1, "a required criterion has failed: 1 of 2"),
        (f"{LOSS}\n- [ ] A person has looked", 9, "not decided: 1 of 2"),
        ("Nothing yet.", 9, "no criteria"),
    ],
)
def test_the_exit_code_is_the_result(lab, criteria, code, said):
    """0 if all required criteria are met, 1 if one has failed for good, 9 if that is open."""
    started(lab, criteria)
    done = lab.exp("ticket", "check", "1")
    assert done.returncode == code, done.stdout
    assert said in done.stdout


def test_an_explanation_shows_what_led_to_the_verdict(lab):
    """Reading, predicate, series, and the points around the deciding one with file and line."""
    started(lab, LOSS)
    done = lab.exp("ticket", "check", "1", "--explain")
    assert done.returncode == 0
    assert "the latest value of train/loss is below 0.5" in done.stdout
    assert "train/loss < 0.5" in done.stdout
    assert "exact key" in done.stdout
    _, found = checked(lab)
    (row,) = found["criteria"]
    assert row["verdict"]["state"] == "met"
    assert row["verdict"]["margin"] == pytest.approx(0.4)
    assert [bound["series"] for bound in row["series"]] == ["train/loss"]
    assert [(p["step"], p["value"], p["decides"]) for p in row["points"]] == [
        (8, 1 / 8, False),
        (9, 1 / 9, False),
        (10, 1 / 10, True),
    ]
    place = row["points"][2]
    line = (lab.run() / place["source"]).read_text().splitlines()[place["line"] - 1]
    assert json.loads(line)["metrics"] == {"train/loss": 0.1}


def test_points_after_the_deciding_one_are_shown_too(lab):
    """A verdict that an early point decided has two points on either side."""
    started(lab, "- [ ] Fast <!-- exp: train/loss < 0.3 by step 8 -->")
    _, found = checked(lab)
    assert [(p["step"], p["decides"]) for p in found["criteria"][0]["points"]] == [
        (2, False), (3, False), (4, True), (5, False), (6, False),
    ]  # fmt: skip


def test_without_an_index_the_files_are_judged(lab):
    """Files are the truth: a lost index changes neither verdict nor exit code."""
    started(lab, LOSS)
    before = checked(lab)
    for path in (lab.root / ".exp").glob("exp.db*"):
        path.unlink()
    (lab.root / ".exp/watcher.lock").touch()
    assert checked(lab) == before
    assert before[0] == 0


def test_a_live_run_is_judged_so_far(lab):
    """While training goes on, what is met can still change."""
    lab.ticket(criteria=LOSS)
    lab.experiment(PATIENT)
    lab.exp("ticket", "start", "1")
    log = lab.run() / "attempt-1/out.log"
    wait_for(lambda: log.exists() and "step 5" in log.read_text(), what="some steps")
    done = wait_for(
        lambda: (d := lab.exp("ticket", "check", "1")).returncode == 0 and d, what="the verdict"
    )
    assert "met so far" in done.stdout
    lab.write("go", "")
    lab.published()


def test_an_edit_after_the_start_is_shown_beside_the_verdict(lab):
    """The run is judged by the old text; old and new threshold are named, and the exit is open."""
    started(lab, "- [ ] train/loss < 50%\n- [ ] `train/loss` is reported")
    path = lab.root / "tickets/T-0001.md"
    text = path.read_text().replace("< 50%", "< 40%").replace("`train/loss` is", "Words: it is")
    path.write_text(text + "\n## Acceptance Criteria\n- [ ] brand new line\n")
    done = lab.exp("ticket", "check", "1")
    assert done.returncode == 9
    assert "after the start  (50% → 40%); now: train/loss < 40%" in done.stdout
    assert "this run does not judge it" in done.stdout
    _, found = checked(lab)
    assert [row["added"] for row in found["criteria"]] == [False, False, True]
    assert found["criteria"][0]["was"] == "train/loss < 50%"


def test_a_tick_against_the_evidence_is_named(lab):
    """A person's tick that the evidence contradicts is said, and stays."""
    started(lab, "- [ ] train/loss < 0.01")
    path = lab.root / "tickets/T-0001.md"
    path.write_text(path.read_text().replace("- [ ] train", "- [x] train"))
    done = lab.exp("ticket", "check", "1")
    assert done.returncode == 1
    assert "although this evidence says no" in done.stdout
    assert "- [x] train/loss < 0.01" in lab.text()


def test_an_older_run_can_be_named_and_a_foreign_one_is_refused(lab):
    """--run judges by that run; a run of another ticket is refused with the next command."""
    started(lab, LOSS)
    lab.ticket(criteria="- [ ] train/loss < 0.2")
    lab.ticket(2)
    lab.exp("ticket", "start", "1", "--follow")
    lab.exp("ticket", "start", "2", "--follow")
    assert checked(lab)[1]["run"] == "R-000002"
    assert checked(lab, "--run", "1")[1]["criteria"][0]["predicate"] == "train/loss < 0.5"
    refused = lab.exp("ticket", "check", "1", "--run", "3")
    assert refused.returncode == 5
    assert "R-000003 is a run of T-0002, not of T-0001" in refused.stderr
    assert lab.exp("ticket", "check", "1", "--run", "99").returncode == 3


def test_text_of_others_cannot_drive_the_terminal(lab):
    """Control characters of a ticket are shown, not obeyed; markup is text."""
    lab.ticket(criteria="- [ ] evil \x1b[2J \u202e [bold]text[/bold]")
    for words in ([], ["--explain"]):
        done = lab.exp("ticket", "check", "1", *words)
        assert "\x1b" not in done.stdout
        assert "\u202e" not in done.stdout
        assert "[bold]text[/bold]" in done.stdout


def test_an_alarm_that_is_true_is_red_and_one_that_is_not_is_fine():
    """`met` says that the condition of an alarm holds: bad news."""
    rang = verdict_mark(Verdict(state=State.MET, final=True, why=""), "inverted")
    quiet = verdict_mark(Verdict(state=State.FAILED, final=True, why=""), "inverted")
    assert ("alarm: true" in rang.plain, "red" in str(rang.style)) == (True, True)
    assert ("alarm: not true" in quiet.plain, str(quiet.style)) == (True, "green")


@pytest.mark.parametrize(
    ("predicate", "words"),
    [
        ("eval/acc > 50% best", "the best value of eval/acc is above 50%"),
        ("p95(latency) < 10 ms", "the 95th percentile of latency is below 10 ms"),
        ("loss in 2..3", "the latest value of loss is between 2 and 3"),
        ("grids > 85 of 172", "the latest value of grids is above 85 of 172"),
        ("acc > 0.8 for 3 consecutive", "acc is above 0.8, 3 points in a row"),
        ("loss < 2 by step 2000", "some point of loss is below 2, by step 2000"),
        ("each acc/* > 70%", "for each series acc/*, the latest value of it is above 70%"),
        ("eval/loss < train/loss", "the latest value of eval/loss is below train/loss"),
        ("loss decreasing steps 0..500", "loss falls, steps 0..500"),
        ("acc >= 1.05 * R-000012:acc", "the latest value of acc is at least 1.05 times R-000012"),
        ("acc > previous:acc", "the latest value of acc is above that of previous"),
        ("no nan in a and no oom", "no point of a is nan; and no log shows out of memory"),
        ("event eval exists", "evaluation ends well"),
        ("checkpoints >= 3", "the number of checkpoints is at least 3"),
        ('command "pytest -q" passes', "the command pytest -q passes"),
        ('log contains "DONE"', "the log contains 'DONE'"),
        ("duration < 2 h", "the run's time is below 2 h"),
        ("exit code == 0", "the exit code is exactly 0"),
        ("resources released", "no process of the run is left"),
    ],
)  # fmt: skip
def test_readings_in_words(predicate, words):
    """Every form of a test is said in words that name series, operator, bound and time."""
    clauses = flat(parse_predicate(predicate))
    reading = Reading(kind=Kind.THRESHOLD, clauses=clauses, decidable=Decidable.YES)
    assert in_words(reading) == words
