"""Completion: what a tab offers, in a real shell."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pexpect
import pytest
from conftest import EXP
from made_runs import line, make_run

from orchestrator.cli import completing
from orchestrator.workspace import Workspace

FILE = "attempt-1/events-h-0-1.jsonl"
HEAVY = {"sqlmodel", "sqlalchemy", "pydantic", "rich", "jinja2", "git", "lark", "plotext"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three tickets, one with a terrible title, and two runs, of which the index knows."""
    from orchestrator.store.index import Index
    from orchestrator.watch.live import state_of

    workspace = Workspace(tmp_path_factory.mktemp("a lab's é"))
    workspace.tickets.mkdir()
    for name, title in (("T-0001", "Learn"), ("T-0012", "\x1b[31mRed\tand `$(x)`"), ("T-0123", "")):
        (workspace.tickets / f"{name}-slug.md").write_text(f"# {name}: {title}\n")
    (workspace.tickets / "notes.md").write_text("nothing")
    names = {"eval/pass_AT_1": 0.1, "eval/pass_AT_10": 0.2, "train/loss": 1.0}
    folders = [make_run(workspace, {FILE: line(1, **values)}) for values in (names, {"other": 1.0})]
    with Index(workspace.database) as index:
        for folder in folders:
            from orchestrator.watch.lifecycle import read_run

            record = read_run(folder)
            index.ingest(folder)
            index.put_run(record, state_of(folder, record), folder)
    return workspace


@pytest.fixture
def inside(made, monkeypatch):
    """The workspace, which the shell is in."""
    monkeypatch.chdir(made.root)
    return made


IDS = [
    ("", ["T-0001", "T-0012", "T-0123"]),
    ("T-00", ["T-0001", "T-0012"]),
    ("t-01", ["T-0123"]),
    ("1", ["1", "12", "123"]),
    ("12", ["12", "123"]),
    ("x", []),
    ("é", []),
]


@pytest.mark.parametrize(("typed", "offered"), IDS)
def test_tickets_are_offered_as_they_are_typed(inside, typed, offered):
    """Whole ids, in small letters too, or numbers where a number was begun."""
    assert [text for text, _ in completing.tickets(typed)] == offered


def test_what_is_offered_is_described_without_control_characters(inside):
    """Titles, and states of runs, in one line."""
    assert dict(completing.tickets("T-001")) == {"T-0012": "[31mRed and `$(x)`"}
    assert completing.runs("R-") == [
        ("R-000002", "incomplete T-0001 Learn"),
        ("R-000001", "incomplete T-0001 Learn"),
    ]
    assert [text for text, _ in completing.tickets_and_runs("1")] == ["1", "12", "123", "1"]


SERIES = [
    ({"name": "R-1"}, "", ["eval/pass@1", "eval/pass@10", "train/loss"]),
    ({"name": "1", "series": ["train/loss"]}, "eval", ["eval/pass@1", "eval/pass@10"]),
    ({"name": "1", "series": ["eval/pass", "@"]}, "", ["1", "10"]),
    ({"name": "T-1"}, "", ["other"]),
    ({"name": "T-99"}, "", []),
    ({"name": "R-99"}, "", []),
    ({"name": "nonsense"}, "", []),
    ({}, "", []),
]


@pytest.mark.parametrize(("params", "typed", "offered"), SERIES)
def test_metrics_are_those_of_the_run_that_was_named(inside, params, typed, offered):
    """Of a run, or of a ticket's newest one, also where bash cuts names at `@`."""
    context = SimpleNamespace(params=params)
    assert [text for text, _ in completing.metrics(context, typed)] == offered


def test_where_something_is_wrong_nothing_is_offered(tmp_path, monkeypatch):
    """No workspace, no tickets, a damaged index: nothing, and not a word."""
    for name, text in ((".exp", None), ("exp.db", b"no database")):
        monkeypatch.chdir(tmp_path)
        for offer in (completing.tickets, completing.runs, completing.tickets_and_runs):
            assert offer("") == []
        assert completing.metrics(SimpleNamespace(params={"name": "R-1"}), "") == []
        if text is None:
            (tmp_path / name).mkdir()
        else:
            (tmp_path / ".exp" / name).write_bytes(text)


def test_offering_loads_no_heavy_library(inside):
    """A tab must not take longer than the eye."""
    code = (
        "import sys\nfrom orchestrator.cli import completing as c\n"
        "from types import SimpleNamespace as S\n"
        "assert c.tickets('') and c.runs('') and c.metrics(S(params={'name': 'R-1'}), '')\n"
        f"print(sorted({HEAVY} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


TABS = [
    # what is typed before the tab, what stands there then
    ("exp ticket show T-01", "exp ticket show T-0123 "),
    ("exp run compare R-000001 R-000002 T-000", "R-000002 T-0001 "),
    ("exp ticket sto", "exp ticket stop "),
    ("exp metrics R-1 eval/p", "ass@1"),
    ("exp metrics R-1 eval/pass@10", "10 "),
    ("exp metrics R-1 eval/pass@10 tr", "eval/pass@10 train/loss "),
    ("exp ticket list --needs", "--needs-review "),
]


def test_tab_in_a_real_bash(inside, tmp_path):
    """The script that `exp --show-completion` prints completes commands, options, ids and names."""
    script = tmp_path / "completion.sh"
    printed = subprocess.run(
        [EXP, "--show-completion", "bash"],
        env=os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    script.write_text(f"PATH='{EXP.parent}':$PATH\nPS1='$ '\n{printed.stdout}")
    shell = pexpect.spawn(
        "bash",
        ["--noprofile", "--rcfile", str(script), "-i"],
        encoding="utf-8",
        timeout=30,
        dimensions=(24, 200),
        cwd=inside.root,
        env=os.environ | {"TERM": "dumb"},
    )
    shell.expect_exact("$ ")
    for typed, completed in TABS:
        shell.send(f"{typed}\t")
        shell.expect_exact(completed)
        assert "rror" not in shell.before
        shell.sendcontrol("c")
        shell.expect_exact("$ ")
    shell.close(force=True)
