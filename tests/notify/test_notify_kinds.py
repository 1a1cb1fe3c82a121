"""What is told of each end, and what is not."""

import os
import pty

from conftest import PATIENT, QUICK, wait_for
from notify.people import is_gone

MANUAL = "- [ ] train/loss < 0.5\n- [ ] A person has looked at the curve"


def ended(lab, criteria="- [ ] train/loss < 0.5", program=QUICK, more=""):
    """Run a ticket to its end, and wait until everything of it is told."""
    lab.ticket(criteria=criteria)
    lab.experiment(program, more)
    lab.exp("ticket", "start", "1", "--follow")
    is_gone(lab)


def test_a_ticket_that_is_done_is_told_as_decided(lab, person):
    """Good news is news too, and not loud."""
    person.listen()
    ended(lab)
    (notice,) = person.heard()
    assert notice["title"].startswith("T-0001 is DONE after ")
    assert (notice["kind"], notice["level"]) == ("decided", "info")


def test_criteria_left_to_a_person_are_told(lab, person):
    """All that can be measured is met; the rest waits."""
    person.listen()
    ended(lab, MANUAL)
    (notice,) = person.heard()
    assert notice["kind"] == "person"
    assert notice["title"].endswith("1 of 2 criteria met, 1 for a person to judge")


def test_a_claim_that_failed_is_told_even_if_the_program_did_not(lab, person):
    """A completed run with a failed criterion is a warning."""
    person.listen()
    ended(lab, "- [ ] train/loss < 0.001\n- [ ] A person has looked")
    (notice,) = person.heard()
    assert (notice["kind"], notice["level"]) == ("decided", "warn")
    assert "completed after" in notice["title"]
    assert "0 of 2 criteria met" in notice["title"]


def test_a_zero_exit_that_is_no_success_is_told(lab, person):
    """Fewer steps than planned."""
    person.listen()
    ended(lab, more="[params]\nsteps = 500\n")
    (notice,) = person.heard()
    assert notice["kind"] == "incomplete"
    assert "exit 0 after 10 steps of 500 planned" in notice["title"]


def test_a_budget_is_told_before_and_when_it_is_used_up(lab, person):
    """At 80%, and at the stop."""
    person.listen()
    ended(lab, program=PATIENT, more="[budget]\nwall = 10\n")
    assert person.kinds() == ["budget", "budget"]
    early, late = person.heard()
    assert early["title"] == "T-0001 has used 80% of its wall budget of 10 s"
    assert late["title"].startswith("T-0001 stopped after ")
    assert late["title"].endswith("wall budget of 10 s is used up")


def test_an_end_by_decision_says_what_it_saved(lab, person):
    """stop.when = "decided"."""
    person.listen()
    more = '[stop]\nwhen = "decided"\n[params]\nsteps = 100000\n'
    ended(lab, "- [ ] `train/loss` is reported", PATIENT, more)
    notice = person.heard()[-1]
    assert notice["kind"] == "decided"
    assert notice["title"].startswith("T-0001 is DONE after ")
    assert "saved" in notice["text"]


def test_a_run_that_goes_on_after_its_answer_is_told_once(lab, person):
    """All is decided and much of the plan is left: somebody may want the machine."""
    person.listen()
    lab.ticket(criteria="- [ ] `train/loss` is reported")
    lab.experiment(PATIENT, "[params]\nsteps = 10000000\n")
    lab.exp("ticket", "start", "1")
    notice = person.hears("decided")
    assert "T-0001 is decided (1 of 1 criteria met), with " in notice["title"]
    assert "exp run stop R-000001" in notice["text"]
    lab.write("go", "")
    lab.published()
    is_gone(lab)
    assert person.kinds() == ["decided", "incomplete"]


def test_what_a_person_asked_for_is_no_news(lab, person):
    """`exp run stop` tells nobody."""
    person.listen()
    lab.ticket()
    lab.experiment(PATIENT)
    lab.exp("ticket", "start", "1")
    lab.exp("run", "stop", "1")
    lab.published()
    is_gone(lab)
    assert person.heard() == []


def test_a_commit_that_failed_waits_for_a_person(lab, person):
    """The hook's words, and the command that does what was left undone."""
    person.listen()
    lab.ticket()
    lab.commit()
    hook = lab.write(".git/hooks/pre-commit", "#!/bin/sh\necho no commits on Fridays\nexit 1\n")
    hook.chmod(0o755)
    ended(lab)
    decided, problem = sorted(person.heard(), key=lambda notice: notice["kind"])
    assert (decided["kind"], problem["kind"]) == ("decided", "person")
    assert "no commits on Fridays" in problem["text"]
    assert problem["text"].endswith("exp report T-0001 --commit")


def test_an_alarm_of_the_ticket_is_told(lab, person):
    """A line under warning signs that has become true."""
    person.listen('on = ["alert"]\n')
    ended(lab, "- [ ] train/loss < 0.5\n\n### Warning signs\n- [ ] train/loss > 0.05\n")
    (notice,) = person.heard()
    assert notice["title"] == "T-0001: alarm: train/loss > 0.05"


def test_a_lost_run_is_told_as_such(lab, person):
    """The shim and all its programs were killed: nobody knows when, so no duration is claimed."""
    person.listen()
    lab.ticket()
    lab.experiment(PATIENT)
    lab.exp("ticket", "start", "1")
    os.kill(lab.json("attempt-1/proc.json")["pid"], 9)
    notice = person.hears("crash")
    assert notice["title"].startswith("T-0001 was lost after ")


def test_a_program_that_alerts_without_end_is_cut_off(lab, person):
    """Twenty different alerts of a run are told, the same one once."""
    person.listen('on = ["alert"]\n')
    alerts = "for n in range(40):\n    run.alert(f'{n % 30} is bad', level='error')\n"
    ended(lab, program=QUICK.replace("run.finish()", alerts + "run.finish()"))
    (notice,) = person.heard()
    assert notice["title"].startswith("20 alerts: ")


def test_followers_hear_the_bell(lab):
    """`--follow` on a terminal rings and sends the title to terminals that show it."""
    lab.ticket()
    lab.experiment()
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    lab.exp(
        *("ticket", "start", "1", "--follow"),
        capture_output=False,
        stdout=follower,
        stderr=follower,
        env=environment,
    )
    os.close(follower)
    shown = b""
    while chunk := read(leader):
        shown += chunk
    os.close(leader)
    assert b"\x1b]9;T-0001 is DONE after " in shown
    assert b"\x1b\\\a" in shown
    wait_for(lambda: not lab.processes(), what="the watcher to leave")


def read(leader):
    """What the terminal shows; nothing once nobody writes to it any more."""
    try:
        return os.read(leader, 1 << 16)
    except OSError:
        return b""
