"""What is ticked, and what is not: a false tick is worse than an open box."""

import json
import os

from conftest import PATIENT, QUICK, wait_for

DECLARED = '[metrics."train/loss"]\n'


def test_a_box_that_a_person_opened_again_stays_open(lab):
    """The tool ticks a box once; opening it is a person's word and keeps the ticket from DONE."""
    lab.ticket(criteria="- [ ] `train/loss` is reported\n- [ ] train/loss < 0.5")
    lab.experiment(PATIENT, DECLARED)
    lab.exp("ticket", "start", "1")
    wait_for(lambda: "- [x] `train/loss` is reported" in lab.text(), what="the first tick")
    path = lab.root / "tickets/T-0001.md"
    path.write_text(path.read_text().replace("- [x] `train/loss`", "- [ ] `train/loss`"))
    lab.write("go", "")
    lab.published()
    assert "- [ ] `train/loss` is reported" in lab.text()
    assert "- [x] train/loss < 0.5" in lab.text()
    assert "Opened again by a person" in lab.text()
    assert "**Status**: ONGOING\n**Phase**: VERIFYING" in lab.text()


def test_a_file_that_was_there_before_proves_nothing(lab):
    """An artefact of the workspace counts only if it is younger than the run."""
    lab.ticket(criteria="- [ ] `old.pt` exists\n- [ ] `new.pt` exists")
    os.utime(lab.write("old.pt", "weights"), (1e9, 1e9))
    lab.experiment("open('new.pt', 'w').write('weights')")
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 0
    assert "- [ ] `old.pt` exists" in lab.text()
    assert "- [x] `new.pt` exists" in lab.text()


def test_a_changed_claim_keeps_a_ticket_from_done(lab):
    """A criterion that was edited during the run has no evidence: the ticket is not DONE."""
    lab.ticket()
    lab.experiment(PATIENT)
    lab.exp("ticket", "start", "1")
    path = lab.root / "tickets/T-0001.md"
    path.write_text(path.read_text().replace("< 0.5", "< 0.4"))
    lab.write("go", "")
    lab.published()
    assert "- [ ] train/loss < 0.4" in lab.text()
    assert "**Status**: ONGOING\n**Phase**: VERIFYING" in lab.text()


def test_a_ticket_without_criteria_is_never_done(lab):
    """Nothing claimed is nothing proved; the start says so."""
    lab.ticket(criteria="Nothing yet.")
    lab.experiment()
    done = lab.exp("ticket", "start", "1", "--follow")
    assert "no acceptance criteria" in done.stderr
    assert "**Status**: ONGOING" in lab.text()


def test_a_program_that_prints_nothing_has_no_errors(lab):
    """An empty log is a log in which nothing was found."""
    lab.ticket(criteria="- [ ] No errors")
    lab.experiment()
    lab.exp("ticket", "start", "1", "--follow")
    assert "- [x] No errors" in lab.text()
    assert "**Status**: DONE" in lab.text()


def test_a_run_stopped_because_all_was_met_leaves_its_ticket_done(lab):
    """stop.when = "decided" ends the run early, and the ticket well."""
    lab.ticket(criteria="- [ ] `train/loss` is reported")
    lab.experiment(PATIENT, '[stop]\nwhen = "decided"\n' + DECLARED)
    lab.exp("ticket", "start", "1")
    lab.published()
    assert "**Status**: DONE" in lab.text()


def test_a_ticket_renamed_during_its_run_is_committed_under_its_new_name(lab):
    """The commit holds the whole move, not a second copy."""
    lab.ticket()
    lab.experiment(PATIENT)
    lab.commit()
    lab.exp("ticket", "start", "1")
    lab.git("mv", "tickets/T-0001.md", "tickets/T-0001-learn.md")
    lab.write("go", "")
    lab.published()
    names = lab.git("ls-tree", "--name-only", "HEAD", "tickets/").splitlines()
    assert names == ["tickets/T-0001-learn.md"]


def test_a_ticket_removed_during_its_run_does_not_hide_the_end(lab):
    """The run still ends, and what could not be written is said."""
    lab.ticket()
    lab.experiment(PATIENT, DECLARED)
    lab.exp("ticket", "start", "1")
    (lab.root / "tickets/T-0001.md").unlink()
    lab.write("go", "")
    published = lab.published()
    assert "T-0001" in published["problems"][0]
    shown = lab.exp("run", "show", "1")
    assert "completed" in shown.stdout
    assert "problem 1" in shown.stdout


def test_a_launch_that_failed_keeps_its_number_and_leaves_the_ticket(lab):
    """Nothing ran, nothing is listed, and no later run can be taken for it."""
    lab.ticket()
    lab.experiment(QUICK, f'[env]\nTOO_MUCH = "{"x" * 200_000}"\n')  # for any program to start
    before = lab.text()
    refused = lab.exp("ticket", "start", "1")
    assert refused.returncode == 7
    assert "the shim of R-000001 cannot be started: Argument list too long" in refused.stderr
    assert lab.text() == before
    assert json.loads(lab.exp("run", "list", "--json").stdout) == []
    lab.experiment()
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 0
    assert [run["id"] for run in json.loads(lab.exp("run", "list", "--json").stdout)] == [
        "R-000002"
    ]


def test_one_broken_record_does_not_hide_the_others(lab):
    """A torn run.json is shown as unreadable; other runs start, end and are listed."""
    lab.ticket()
    lab.experiment()
    broken = lab.run(7)
    broken.mkdir(parents=True)
    (broken / "run.json").write_text('{"id": "R-0')
    done = lab.exp("ticket", "start", "1", "--follow")
    assert done.returncode == 0, done.stderr
    rows = json.loads(lab.exp("run", "list", "--json").stdout)
    assert {row["id"]: row["outcome"] or row["status"] for row in rows} == {
        "R-000008": "completed",
        "R-000007": "unreadable",
    }
    assert lab.exp("status").returncode == 0


def test_what_stood_in_the_way_of_the_commit_is_said_until_it_is_done(lab):
    """A failing hook is quoted in status; `exp report --commit` does what was left undone."""
    lab.ticket()
    lab.experiment()
    lab.commit()
    hook = lab.write(".git/hooks/pre-commit", "#!/bin/sh\necho no commits on Fridays\nexit 1\n")
    hook.chmod(0o755)
    done = lab.exp("ticket", "start", "1", "--follow")
    assert done.returncode == 0
    assert "no commits on Fridays" in done.stderr
    assert "problem 1" in lab.exp("run", "show", "1").stdout
    hook.unlink()
    assert lab.exp("report", "1", "--commit").returncode == 0
    assert lab.git("status", "--porcelain") == ""


def test_an_explicit_predicate_changed_during_the_run_is_another_claim(lab):
    """The words of the line stay, its predicate does not: the old run must not tick it."""
    lab.ticket(criteria="- [ ] Good <!-- exp: train/loss < 0.5 -->\n- [ ] train/loss < 0.5")
    lab.experiment(PATIENT)
    lab.exp("ticket", "start", "1")
    path = lab.root / "tickets/T-0001.md"
    path.write_text(path.read_text().replace("loss < 0.5 -->", "loss < 0.00001 -->"))
    lab.write("go", "")
    lab.published()
    assert "- [ ] Good <!-- exp: train/loss < 0.00001 -->" in lab.text()
    assert "Edited since the start (0.5 → 0.00001)" in lab.text()
    assert "- [x] train/loss < 0.5" in lab.text()


def test_a_decided_run_says_what_it_saved(lab):
    """Outcome and report name the time that the planned rest would have taken."""
    lab.ticket(criteria="- [ ] `train/loss` is reported")
    lab.experiment(PATIENT, '[stop]\nwhen = "decided"\n[params]\nsteps = 100000\n' + DECLARED)
    lab.exp("ticket", "start", "1")
    lab.published()
    assert lab.json("attempt-1/stop.json")["saved"] > 0
    assert "saved." in lab.text().split("## Outcome")[1]
    report = (lab.root / "experiments/e/reports/T-0001/report.md").read_text()
    assert "**Ended early**: about" in report


ALARMS = """- [ ] train/loss < 0.5

### Warning signs
- [ ] train/loss > 0.05
- [ ] train/loss > 100
"""


def test_an_alarm_is_shown_and_never_ticked(lab):
    """Lines under warning signs gate nothing, are ticked by nobody, and are told when true."""
    lab.ticket(criteria=ALARMS)
    lab.experiment()
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 0
    text = lab.text()
    assert "- [x] train/loss < 0.5" in text
    assert "- [ ] train/loss > 0.05" in text
    assert "- train/loss > 0.05: **alarm: true**." in text
    assert "- train/loss > 100: alarm: not true." in text
    assert "1 of 1 criteria met, 1 alarm true." in text
    assert "**Status**: DONE" in text
    checked = lab.exp("ticket", "check", "1")
    assert checked.returncode == 0
    assert "alarm: true" in checked.stdout
    assert "alarm: not true" in lab.exp("status").stdout
    row = json.loads(lab.exp("ticket", "list", "--json").stdout)[0]
    assert (row["met"], row["criteria"]) == (1, 1)
    report = (lab.root / "experiments/e/reports/T-0001/report.md").read_text()
    assert "alarm: true" in report
    assert "Look into the alarm" in report


def test_files_of_exp_prove_nothing_and_odd_patterns_harm_nothing(lab):
    """Its own records are no artefacts; a pattern that is none fails alone."""
    boxes = "- [ ] `config.json` exists\n- [ ] `a/**.pt` exists\n- [ ] Training completes"
    lab.ticket(criteria=boxes)
    lab.experiment()
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 0
    text = lab.text()
    assert "- [ ] `config.json` exists" in text
    assert "- [ ] `a/**.pt` exists" in text
    assert "- [x] Training completes" in text


TABLE = """| Metric | Target | Before |
|---|---|---|
| train/loss | < 0.5 | 0.9 |

- [ ] If train/loss > 100: stop
"""


def test_a_row_of_a_table_gates_without_a_box(lab):
    """A row is judged and told; a rule is told and gates nothing; neither is edited."""
    lab.ticket(criteria=TABLE)
    lab.experiment()
    before = lab.text()
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 0
    text = lab.text()
    assert TABLE in before
    assert TABLE in text
    assert "- | train/loss | < 0.5 | 0.9 |: met." in text
    assert "- If train/loss > 100: stop: rule: not true." in text
    assert "**Status**: DONE" in text
