"""Templates of the status page, the notes that people keep in it, and what docs/ says of both."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import InvalidFileError
from orchestrator.report import notes_of, render_report
from orchestrator.report.curves import charts_of
from orchestrator.report.page import FILTERS
from orchestrator.report.view import view_of

ROOT = Path(__file__).resolve().parents[2]

NOTES = [
    "",
    "\n",
    "one line\n",
    "  indented\n\n\n\n\ttab and trailing spaces   \n",
    "windows\r\nlines\r\n",
    "## My own heading\n\n| a | b |\n|---|---|\n| `x` | {{ not a template }} |\n",
    "<!-- a comment --> & <b>tags</b> and \x01 \x02 control\n",
    "secret-looking words of my own: API_KEY=mine12345 in /home/ada\n",
    "日本語 🙋 ünïcode\n",
]


@pytest.mark.parametrize("notes", NOTES)
def test_notes_survive(rich, notes):
    """A person's notes come back word for word after any number of renderings."""
    page = render_report(replace(rich, notes=notes))["report.md"]
    again = notes_of(page)
    assert again == (notes or "\n")
    assert render_report(replace(rich, notes=again))["report.md"] == page


def test_notes_that_are_no_utf8_survive(rich):
    """Notes in another encoding keep their bytes."""
    page = render_report(rich)["report.md"].replace(b"trust", b"tr\xfcst")
    again = render_report(replace(rich, notes=notes_of(page)))["report.md"]
    assert b"I tr\xfcst this **one**." in again


def test_workspace_template_wins(rich, tmp_path):
    """A workspace's own template may change sections and leave the rest."""
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "status.md.j2").write_text(
        '{% extends "report/base.md.j2" %}{% block title %}Mine: {{ ticket.id }}{% endblock %}'
    )
    page = render_report(rich, tmp_path)["report.md"].decode()
    assert page.startswith("# Mine: T-0017\n")
    assert notes_of(page.encode()) == rich.notes


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("line\n{% if %}", r"status\.md\.j2, line 2"),
        ("one\ntwo\n{{ no_such_fact }}{{ notes }}", r"status\.md\.j2, line 3.*no_such_fact"),
        ("no place for notes", "must hold"),
        ("{{ notes }} twice {{ notes }}", "must hold"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}{{ notes }}", "unsafe"),
    ],
)
def test_broken_template_is_named(rich, tmp_path, template, complaint):
    """A wrong, an unsafe or a lossy template is an error that names file and line."""
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "status.md.j2").write_text(template)
    with pytest.raises(InvalidFileError, match=complaint):
        render_report(rich, tmp_path)


def test_template_variables_are_documented(rich):
    """docs/reports.md names every variable of the template, every row's keys, and no other."""
    text = (ROOT / "docs" / "reports.md").read_text()
    table = text.split("### Variables", 1)[1]
    documented = {
        line.split("|")[1].strip(" `"): set(re.findall(r"`(\w+)`", line.split("|")[2]))
        for line in table.splitlines()
        if line.startswith("| `")
    }
    variables = view_of(rich, charts_of(rich.metrics), "a log")
    assert set(documented) == {*variables, "notes"}
    for name, value in variables.items():
        row = value[0] if isinstance(value, list) else value
        if isinstance(row, dict):
            assert documented[name] == set(row), name


def test_filters_are_documented():
    """docs/reports.md names every filter that the tool adds."""
    text = (ROOT / "docs" / "reports.md").read_text()
    table = text.split("### Filters", 1)[1].split("###", 1)[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == {*FILTERS}
