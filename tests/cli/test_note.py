"""`exp note`: what a person says stands in the ticket, and in the report, with their name."""

import os

import pytest
from typer.testing import CliRunner

from orchestrator import tickets
from orchestrator.cli.app import app
from orchestrator.cli.notes import note as command
from orchestrator.domain.remark import RemarkKind
from orchestrator.errors import ExpError
from orchestrator.watch.reporting import report_facts
from orchestrator.workspace import Workspace


@pytest.fixture
def note(lab, monkeypatch):
    """Call `exp note` in this process, in a workspace with one ticket."""
    lab.ticket(experiment=None)
    monkeypatch.chdir(lab.root)

    def call(*words, stdin=None):
        done = CliRunner().invoke(app, ["note", *words], input=stdin)
        if isinstance(done.exception, ExpError):
            raise done.exception
        return done.exit_code

    return call


@pytest.fixture
def terminal():
    """A real terminal to read from."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as file:
        yield file
    os.close(ours)


def said(lab):
    return tickets.remarks_at(lab.root / "tickets/T-0001.md")


def test_a_note_is_written_with_name_and_kind(lab, note):
    """Typed or piped, it stands in the ticket once, and in what a report is made of."""
    assert note("T-0001", "The <b>rate</b> was too high", "--kind", "cause") == 0
    assert note("1", "-", stdin="First.\n\nSecond.\x1b[31m\n") == 0
    cause, piped = said(lab)
    assert (cause.kind, cause.by) == ("cause", "Ada <ada@example.org>")
    assert (piped.kind, piped.text, piped.run) == ("note", "First.\n\nSecond. [31m", None)
    assert report_facts(Workspace(lab.root), "T-0001", now=0.0).remarks == (cause, piped)
    assert lab.git("status", "--porcelain", "-uno") == ""


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("T-0002", "x"), 3, "no ticket T-0002"),
        (("T-0001", " \n\t"), 2, "an empty note"),
        (("T-0001", "x" * 20_001), 2, "20,001 characters"),
        (("T-0001", "x", "--run", "7"), 3, "no run R-000007"),
        (("T-0001",), 2, "no terminal for an editor"),
    ],
)
def test_what_cannot_be_noted(lab, note, words, code, says):
    """Each refusal names what is wrong, and the ticket stays as it was."""
    before = lab.text()
    with pytest.raises(ExpError, match=says) as caught:
        note(*words)
    assert caught.value.exit_code == code
    assert caught.value.hint
    assert lab.text() == before


def test_a_note_needs_a_name(lab, note):
    """What git would make up of user and host is nobody's name."""
    lab.git("config", "--unset", "user.email")
    with pytest.raises(ExpError, match="who you are"):
        note("T-0001", "x")
    assert said(lab) == ()


def test_a_run_of_another_ticket(lab, note):
    """A note about a run stands in the ticket of that run."""
    run = lab.run(3)
    run.mkdir(parents=True)
    with pytest.raises(ExpError, match="R-000003 is no run of T-0001"):
        note("T-0001", "x", "--run", "3")


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ('(echo "Typed."; cat "$1") > "$1.n"; mv "$1.n" "$1"', "Typed."),
        ("true", None),
        ("exit 3", None),
        ('echo "# only a comment" > "$1"', None),
    ],
)
@pytest.mark.usefixtures("note")
def test_without_text_the_editor_is_asked(lab, terminal, monkeypatch, script, text):
    """$EDITOR gets a page that says what it is for; unsaved or empty, nothing is written."""
    editor = lab.write("editor", f'#!/bin/sh\ncp "$1" seen\n{script}\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", "./editor")
    monkeypatch.setattr("sys.stdin", terminal)
    if text is None:
        with pytest.raises(ExpError):
            command("T-0001", None, RemarkKind.RISK, None)
        assert said(lab) == ()
    else:
        command("T-0001", None, RemarkKind.RISK, None)
        assert [one.text for one in said(lab)] == [text]
        assert "# A risk on T-0001: Learn" in (lab.root / "seen").read_text()
