"""`exp ticket review`: a person's word beside the machine's, through the real command."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest
from conftest import PATIENT, QUICK, wait_for

from orchestrator.cli.review import Said, review_by_options
from orchestrator.errors import ExpError
from orchestrator.workspace import Workspace

CRITERIA = "- [ ] train/loss < 0.5\n- [ ] Curves look healthy\n- [ ] train/loss < 0.001"
QUESTION = "(a reason may follow):"


@pytest.fixture
def ended(lab):
    """A ticket whose run met C1, cannot read C2 and failed C3; another ticket waits for it."""
    lab.ticket(criteria=CRITERIA)
    lab.ticket(2, status="BLOCKED", after="T-0001")
    lab.experiment(QUICK)
    lab.commit()
    done = lab.exp("ticket", "start", "1", "--follow")
    assert done.returncode == 0, done.stderr
    return lab


def say(lab, *words):
    return lab.exp("ticket", "review", "1", "--non-interactive", *words)


def shown(lab):
    return json.loads(lab.exp("ticket", "show", "1", "--json").stdout)["criteria"]


def waiting(lab):
    rows = json.loads(lab.exp("ticket", "list", "--needs-review", "--json").stdout)
    return {row["id"]: row["waits"] for row in rows}


class Terminal:
    """A person at a terminal, who waits for the question before the answer."""

    def __init__(self, lab, *words):
        self.master, slave = pty.openpty()
        self.seen, self.mark = "", 0
        self.process = lab.popen(
            *words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
        )
        os.close(slave)

    def wait(self, text):
        """Read until `text` has come since the last answer; return what came."""
        deadline = time.monotonic() + 60
        while text not in self.seen[self.mark :]:
            assert time.monotonic() < deadline, self.seen[self.mark :]
            if select.select([self.master], [], [], 0.2)[0]:
                data = os.read(self.master, 1 << 16).decode(errors="replace")
                self.seen += re.sub(r"\x1b\[[0-9;]*m", "", data)
        return self.seen[self.mark :]

    def answer(self, question, answer):
        """Wait for the question; answer it; return what was on the screen before."""
        screen = self.wait(question)
        self.mark = len(self.seen)
        os.write(self.master, f"{answer}\n".encode())
        return screen

    def leave(self):
        """Wait for the end of the command; return its exit code."""
        code = self.process.wait(timeout=60)
        os.close(self.master)
        return code


def test_a_word_stands_in_ticket_views_and_commit_beside_the_verdict(ended):
    """What a script says is in the ticket, in every view and in one commit of our paths only."""
    lab = ended
    assert waiting(lab) == {"T-0001": ["C2: for a person to judge", "C3: failed"]}
    lab.write("mine.txt", "staged")
    lab.git("add", "mine.txt")
    done = say(lab, "--accept", "C2", "--reason", "Looked at \x1b[31mit", "--note", "1=odd")
    assert done.returncode == 0, done.stderr
    text = lab.text()
    assert "- [x] Curves look healthy" in text
    assert "- **accepted**: Curves look healthy\n  - by Ada <ada@example.org>, " in text
    assert "\x1b" not in text
    rows = shown(lab)
    assert [row["number"] for row in rows] == [1, 2, 3]
    assert rows[1]["verdict"]["state"] == "manual"
    assert rows[1]["reviews"][0]["review"]["decision"] == "accept"
    assert rows[1]["reviews"][0]["expired"] is None
    word = "accepted by Ada <ada@example.org>"
    for words in (["ticket", "show", "1"], ["ticket", "check", "1"], ["status"]):
        assert word in lab.exp(*words).stdout, words
    assert waiting(lab) == {"T-0001": ["C3: failed"]}
    report = (lab.root / "experiments/e/reports/T-0001/report.md").read_text()
    assert "| accept by Ada: Looked at" in report
    message = lab.git("log", "-1", "--format=%B")
    assert "C2 accepted, C1 noted" in message
    assert "Reviewed-by: Ada <ada@example.org>" in message
    assert "mine.txt" not in lab.git("show", "--name-only", "--format=", "HEAD")
    assert lab.git("diff", "--cached", "--name-only") == "mine.txt"


def test_both_words_decide_the_end_of_a_ticket(ended):
    """A rejection holds the ticket up and unticks nothing; waived lines do not gate."""
    lab = ended
    assert say(lab, "--accept", "2", "--waive", "3", "--reason", "not now").returncode == 0
    assert say(lab, "--reject", "C1", "--reason", "leaked").returncode == 0
    assert "- [x] train/loss < 0.5" in lab.text()
    refused = say(lab, "--decide", "done")
    assert refused.returncode == 5
    assert "C1 (rejected)" in refused.stderr
    assert "**Status**: ONGOING" in lab.text()
    done = say(lab, "--accept", "C1", "--reason", "no leak", "--decide", "done")
    assert done.returncode == 0, done.stderr
    assert "**Status**: DONE\n**Phase**: —" in lab.text()
    assert "**DONE** by Ada <ada@example.org> on " in lab.text()
    assert "2 passed, 1 waived of 3 required criteria. no leak" in lab.text()
    assert "**Status**: READY" in lab.text(2)
    assert lab.git("status", "--porcelain", "tickets") == ""
    assert lab.exp("ticket", "lint", "1").returncode == 0
    assert waiting(lab) == {}
    again = say(lab, "--reject", "C1", "--reason", "it leaked after all")
    assert "it is DONE, but for C1 (rejected)" in again.stderr
    assert "--decide failed" in again.stderr
    assert waiting(lab) == {"T-0001": ["C1: rejected, but the ticket is DONE"]}
    say(lab, "--decide", "failed", "--reason", "leaked")
    assert "**Status**: FAILED" in lab.text()
    assert "**FAILED** by Ada <ada@example.org> on " in lab.text()
    later = say(lab, "--note", "C2=for the record")
    assert "--decide" not in later.stderr


def test_a_review_expires_with_its_run_and_its_line(ended):
    """A new run, or an edited line, expires what was said; a clone without .exp still has it."""
    lab = ended
    say(lab, "--accept", "C2", "--waive", "C3", "--reason", "fine", "--decide", "done")
    lab.git("clone", "--quiet", ".", "clone")
    clone = json.loads(lab.exp("ticket", "show", "1", "--json", cwd=lab.root / "clone").stdout)[
        "criteria"
    ]
    assert clone[1]["reviews"][0]["review"]["by"] == "Ada <ada@example.org>"
    assert clone[1]["reviews"][0]["expired"] is None
    path = lab.root / "tickets/T-0001.md"
    path.write_text(
        path.read_text().replace("< 0.001", "< 0.001 <!-- exp: train/loss < 0.02 -->", 1)
    )
    assert waiting(lab) == {"T-0001": ["C3: review expired: the line was edited"]}
    path.write_text(path.read_text().replace("Curves look", "All curves look", 1))
    gone = "a reviewed line stands there no more: Curves look healthy"
    assert gone in waiting(lab)["T-0001"]
    path.write_text(path.read_text().replace("All curves look", "Curves look", 1))
    assert lab.exp("ticket", "start", "1", "--force", "--follow").returncode == 0
    assert "**Status**: ONGOING\n**Phase**: DEBUGGING" in lab.text()
    reasons = waiting(lab)["T-0001"]
    assert "C2: review expired: R-000002 tells of the ticket now, not R-000001" in reasons
    assert "expired: R-000002" in lab.exp("ticket", "check", "1").stdout


MISTAKES = [
    (Said(accept=("C4",)), 3, "no criterion C4: they are C1 to C3"),
    (Said(accept=("C0",)), 3, "no criterion C0"),
    (Said(accept=("two",)), 2, "no number of a criterion"),
    (Said(waive=("C3",)), 2, "without a reason"),
    (Said(reject=("C1",), reason="  "), 2, "without a reason"),
    (Said(notes=("C1",)), 2, "has no text"),
    (Said(notes=("C1=",)), 2, "without a reason"),
    (Said(accept=("C2,C2",)), 2, "decided twice"),
    (Said(decide="won"), 2, "no such end"),
    (Said(), 2, "nothing was said"),
    (Said(accept=("C2", "C3")), 5, "C3 failed by the evidence"),
    (Said(accept=("C2",), decide="done"), 5, "C3 (not met)"),
]


def test_what_a_script_says_wrongly_changes_nothing(ended_once):
    """Each mistake is named, and the ticket stays as it was; a pipe is not asked."""
    lab, before = ended_once
    for said, code, words in MISTAKES:
        with pytest.raises(ExpError, match=re.escape(words)) as refused:
            review_by_options(Workspace(lab.root), "1", said)
        assert refused.value.exit_code == code
    piped = lab.exp("ticket", "review", "1", stdin=subprocess.DEVNULL)
    assert (piped.returncode, "--non-interactive" in piped.stderr) == (2, True)
    assert lab.text() == before


@pytest.fixture
def ended_once(lab):
    """A ticket with three criteria and a run that has ended, without what a real end needs."""
    lab.ticket(criteria=CRITERIA)
    lab.experiment(QUICK)
    lab.exp("ticket", "start", "1", "--follow", "--no-git")
    return lab, lab.text()


def test_a_review_needs_a_run_a_name_and_an_end(lab):
    """Refused: before any run, by nobody, and a decision while the run goes on."""
    lab.ticket(criteria=CRITERIA)
    lab.experiment(PATIENT)
    never = say(lab, "--accept", "C2")
    assert (never.returncode, "was never started" in never.stderr) == (5, True)
    lab.exp("ticket", "start", "1")
    live = say(lab, "--decide", "failed")
    assert (live.returncode, "still goes on" in live.stderr) == (6, True)
    lab.git("config", "--unset", "user.name")
    lab.git("config", "--unset", "user.email")
    nobody = say(lab, "--accept", "C2")
    assert (nobody.returncode, "git config user.name" in nobody.stderr) == (5, True)
    assert "exp:begin review" not in lab.text()
    lab.git("config", "user.name", "Ada")
    lab.git("config", "user.email", "ada@example.org")
    wait_for(lambda: "- [ ] train/loss < 0.5" in lab.text(), what="the ticket")
    assert say(lab, "--reject", "C1", "--reason", "too early to tell").returncode == 0
    lab.write("go", "")
    lab.published()
    assert "- [ ] train/loss < 0.5" in lab.text()
    assert "**Phase**: DEBUGGING" in lab.text()


def test_answers_at_the_terminal_are_kept_one_by_one(ended):
    """Each answer is written at once; an edit meanwhile is shown again; Ctrl-C loses no word."""
    lab = ended
    terminal = Terminal(lab, "ticket", "review", "1")
    first = terminal.answer(QUESTION, "n looks odd")
    assert "C1 of 3" in first
    assert "train/loss  ─ target 0.5" in first
    assert "●" in first
    assert re.search(r"events-\S+\.jsonl:\d+", first)
    terminal.wait(QUESTION)
    path = lab.root / "tickets/T-0001.md"
    path.write_text(path.read_text().replace("Curves look healthy", "Curves look very healthy"))
    assert "C2 of 3" in terminal.answer(QUESTION, "a fine")
    again = terminal.answer(QUESTION, "a very fine")
    assert "somebody edited the line" in again
    assert "Curves look very healthy" in again
    assert "C3 of 3" in terminal.answer(QUESTION, "w")
    terminal.wait("why:")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.leave() == 130
    found = re.findall(r"- \*\*(\w+)\*\*: (.*)", lab.text())
    assert found == [("noted", "train/loss < 0.5"), ("accepted", "Curves look very healthy")]
    assert "- [x] Curves look very healthy" in lab.text()
    assert "C1 noted, C2 accepted" in lab.git("log", "-1", "--format=%s")
