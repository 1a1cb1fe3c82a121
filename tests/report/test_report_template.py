"""Templates of the status page, the notes that people keep in it, and what docs/ says of both."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.domain.report import ReportKind
from orchestrator.errors import InvalidFileError
from orchestrator.report import notes_of, render_report
from orchestrator.report.bars import bar_charts_of
from orchestrator.report.curves import charts_of
from orchestrator.report.page import FILTERS
from orchestrator.report.variables import VARIABLES
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
    page = render_report(rich, templates=tmp_path)["report.md"].decode()
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
        render_report(rich, templates=tmp_path)


def within(value):
    """Names within a value or within each of its rows; None of a text or of lines."""
    row = value[0] if isinstance(value, list) and value else value
    return set(row) if isinstance(row, dict) else None


@pytest.mark.parametrize("kind", list(ReportKind))
def test_the_view_gives_what_the_table_of_variables_says(rich, kind):
    """Each name of the table is in the view with these names within it, and no other is."""
    bars = bar_charts_of(rich)
    view = view_of(rich, kind, (charts_of(rich.metrics), bars), "a log")
    known = {variable.name: set(variable.within.split()) for variable in VARIABLES}
    assert {name for name in known if "." not in name} == {*view, "notes"}
    for name, keys in known.items():
        value = {**view, "notes": ""}
        for part in name.split("."):
            value = value[0] if isinstance(value, list) else value
            value = value[part]
        assert within(value) == (keys or None), name


def test_template_variables_are_documented():
    """The table of docs/reports.md is that of the code, line by line."""
    text = (ROOT / "docs" / "reports.md").read_text()
    table = text.split("### Variables", 1)[1]
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    assert lines == [
        f"| `{v.name}` | {v.holds} | {' '.join(f'`{key}`' for key in v.within.split()) or '—'} |"
        for v in VARIABLES
    ]


PARTS = sorted(path.name for path in (ROOT / "templates" / "report" / "parts").iterdir())
USED = {
    kind: re.findall(r"report/parts/([\w.]+)", (ROOT / "templates" / kind.template).read_text())
    for kind in ReportKind
}


def test_every_part_is_used():
    """Each partial template is shown on some page; the header is on all."""
    assert set(PARTS) == {"header.md.j2", "quotes.md.j2"}.union(*USED.values())


@pytest.mark.parametrize("kind", list(ReportKind))
def test_broken_part_is_named(rich, tmp_path, kind):
    """An error in a partial template of any kind of page names that file and its line."""
    for part in {*USED[kind], "header.md.j2"}:
        folder = tmp_path / part / "report" / "parts"
        folder.mkdir(parents=True)
        (folder / part).write_text("fine\n{{ no_such_fact }}")
        with pytest.raises(InvalidFileError, match=rf"parts/{re.escape(part)}, line 2"):
            render_report(rich, kind, tmp_path / part)


def test_filters_are_documented():
    """docs/reports.md names every filter that the tool adds."""
    text = (ROOT / "docs" / "reports.md").read_text()
    table = text.split("### Filters", 1)[1].split("###", 1)[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == {*FILTERS}
