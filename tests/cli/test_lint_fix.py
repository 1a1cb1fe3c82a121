"""`exp ticket lint --fix` and --readings: what is offered, what is written, what stays."""

import json
import os
import pty
import subprocess

import pytest
from conftest import EXP, QUICK

from orchestrator.actions.fixing import Fix, write_fixes
from orchestrator.errors import InvalidFileError
from orchestrator.tickets import parse
from orchestrator.workspace import Workspace

SPEC = '[metrics.score]\nkey = "eval/score"\n[criteria]\n"Good" = "score > 1"\n'


def fix_all(lab, *words):
    return lab.exp("ticket", "lint", "--fix", *words)


@pytest.fixture
def words(lab):
    """A ticket with a line whose words the spec binds to another key."""
    lab.ticket(criteria="- [ ] score > 0.5  \n  over all grids - 0.4 so far\n- [ ] nothing here")
    lab.experiment(more='[metrics.score]\nkey = "eval/score"\n')
    return lab


def answering(lab, answers):
    """`--fix` on a terminal with these lines typed; returns what was shown."""
    keyboard, terminal = pty.openpty()
    os.write(keyboard, answers.encode())
    done = subprocess.run(
        [EXP, "ticket", "lint", "--fix"], cwd=lab.root, stdin=terminal, text=True,
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(keyboard)
    os.close(terminal)
    return done


def test_nobody_is_asked_without_a_terminal(lab):
    """Without --yes and without a terminal nothing is written, and the way out is named."""
    lab.ticket(criteria="- [ ] train/loss < 0.5")
    lab.experiment()
    before = lab.text()
    assert "nothing to fix" in fix_all(lab).stderr
    assert lab.exp("ticket", "lint", "--yes").returncode == 2
    assert lab.text() == before


def test_readings_are_shown_before_any_run(lab):
    """Each criterion with its predicate, or with the question."""
    lab.ticket(criteria="- [ ] Fine <!-- exp: train/loss < 0.5 -->\n- [ ] Training is stable")
    lab.experiment()
    done = lab.exp("ticket", "lint", "--readings")
    assert done.returncode == 0
    assert "tickets/T-0001.md:15" in done.stdout
    assert "train/loss < 0.5" in done.stdout
    assert "Training is stable" in done.stdout
    found = json.loads(lab.exp("ticket", "lint", "--readings", "--json").stdout)
    assert [row["line"] for row in found["readings"]] == [15, 16]
    assert found["findings"] == []


def test_what_the_spec_or_a_comment_says_is_not_offered(lab):
    """A line with a predicate of its own, or one in [criteria], needs none."""
    lab.ticket(criteria="- [ ] Good\n- [ ] Fine <!-- exp: score > 2 -->")
    lab.experiment(more=SPEC)
    assert "nothing to fix" in fix_all(lab, "--yes").stderr


def fix(key, predicate="a > 1"):
    return Fix(
        path="tickets/T-0001.md", line=1, key=key, text=key, predicate=predicate, why="", sure=True
    )


def test_writing_changes_the_end_of_the_line_and_nothing_else(lab):
    """CRLF, trailing spaces, notes and continued lines stay; keys stay; again is no change."""
    text = (
        b"\xef\xbb\xbf# T-0001: x\r\n\r\n## Acceptance Criteria\r\n"
        b"- [ ] good enough - 0.4 so far  \r\n  and more words\r\n* [x] other\t\r\n\xff\r\n"
    )
    path = lab.write("tickets/T-0001.md", text)
    keys = [box.key for box in parse(text, "tickets/T-0001.md").ticket.checkboxes]
    workspace = Workspace(lab.root)
    wanted = [fix(keys[0]), fix(keys[1], "b < `two words`")]
    assert write_fixes(workspace, wanted) == 1
    after = path.read_bytes()
    assert after == text.replace(b"so far  ", b"so far <!-- exp: a > 1 -->  ").replace(
        b"other\t", b"other <!-- exp: b < `two words` -->\t"
    )
    now = parse(after, "tickets/T-0001.md").ticket.checkboxes
    assert [box.key for box in now] == keys
    assert write_fixes(workspace, wanted) == 0
    assert path.read_bytes() == after


def test_a_line_that_is_gone_or_has_a_predicate_is_left(lab):
    """What changed between the question and the answer is not touched."""
    path = lab.write("tickets/T-0001.md", "## C\n- [ ] a <!-- exp: c > 3 -->\n- [ ] b\n")
    before = path.read_bytes()
    assert write_fixes(Workspace(lab.root), [fix("a"), fix("gone")]) == 0
    assert path.read_bytes() == before


def test_lines_that_cannot_be_told_apart_are_not_written():
    """A comment must not change which key is whose."""
    document = parse(b"- [ ] same\n- [ ] same (achieved 3)\n", "tickets/T-0001.md")
    first = document.ticket.checkboxes[0].key
    with pytest.raises(InvalidFileError, match="without harm"):
        document.set_predicates({first: "a > 1"})


def test_questions_on_a_terminal(words):
    """y writes one, n leaves it, a writes the rest, q ends; a second run finds nothing to do."""
    words.ticket(
        criteria="- [ ] one: `score` > 1\n- [ ] two: `score` > 2\n"
        "- [ ] three: `score` > 3\n- [ ] four: `score` > 4"
    )
    assert fix_all(words).returncode == 2
    answering(words, "q\n")
    assert "<!-- exp:" not in words.text()
    answering(words, "y\nwhat\nn\nq\n")
    assert words.text().count("<!-- exp: eval/score") == 1
    answering(words, "a\n")
    assert words.text().count("<!-- exp: eval/score") == 4
    assert "nothing to fix" in fix_all(words, "--yes").stderr


def test_series_of_the_last_run_are_offered(lab):
    """After a run, words that its series answer to can be made exact; a live run's stay."""
    lab.ticket(criteria="- [ ] Accuracy > 0.5")
    lab.experiment(QUICK.replace("train/loss", "eval/accuracy"))
    lab.exp("ticket", "start", "1", "--follow")
    done = fix_all(lab, "--yes")
    assert "1 line written in 1 ticket" in done.stderr
    assert "- [ ] Accuracy > 0.5 <!-- exp: eval/accuracy > 0.5 -->" in lab.text()
    assert "nothing to fix" in fix_all(lab, "--yes").stderr
