"""Where pages are written, and where never: a ticket without a run is enough for that."""

import json
import os

import pytest

from orchestrator.cli.reports import report
from orchestrator.domain.report import ReportKind
from orchestrator.errors import EnvironmentFailure, InvalidFileError, RefusedError, UsageError
from orchestrator.watch.reporting import write_report
from orchestrator.watch.reporting.write import Asked
from orchestrator.workspace import Workspace

TICKET = "# T-0001: Learn\n\n**Status**: READY\n\n## Acceptance Criteria\n\n- [ ] loss < 1\n"
FOLDER = "reports/T-0001"
OPTIONS = {
    "ticket": None,
    "everything": False,
    "kind": "status",
    "since": None,
    "commit": False,
    "html": False,
    "list_variables": False,
}


@pytest.fixture
def workspace(tmp_path):
    """A workspace with one ticket that was never started, in a folder with a difficult name."""
    root = tmp_path / "my work's é"
    (root / "tickets").mkdir(parents=True)
    (root / "tickets" / "T-0001.md").write_text(TICKET)
    return Workspace(root)


def write(workspace, kind=ReportKind.STATUS, **more):
    return write_report(workspace, "T-0001", now=1e9, asked=Asked(kind=kind, **more))


def everything_in(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_each_kind_is_a_page_of_its_own(workspace):
    """Each kind is written beside the others, the page first, with HTML where asked for."""
    assert write(workspace) == [f"{FOLDER}/report.md"]
    assert write(workspace, ReportKind.LOG, html=True) == [f"{FOLDER}/log.md", f"{FOLDER}/log.html"]
    names = {path.name for path in (workspace.root / FOLDER).iterdir()}
    assert names == {"report.md", "log.md", "log.html"}


def test_each_page_keeps_its_own_notes(workspace):
    """A person's words in one page survive there, and stay out of the other pages."""
    for kind in ReportKind:
        page = workspace.root / write(workspace, kind)[0]
        text = page.read_text().replace("exp:notes -->\n", f"exp:notes -->\nmine of {kind}", 1)
        page.write_text(text)
    for kind in ReportKind:
        text = (workspace.root / write(workspace, kind)[0]).read_text()
        assert text.count("mine of") == 1
        assert f"mine of {kind}" in text


def test_what_would_not_change_is_not_touched(workspace):
    """The same page is not written again."""
    page = workspace.root / write(workspace)[0]
    os.utime(page, ns=(1, 1))
    write(workspace)
    assert page.stat().st_mtime_ns == 1


@pytest.mark.parametrize(
    "what", ["reports", FOLDER, f"{FOLDER}/report.md", f"{FOLDER}/report.html"]
)
@pytest.mark.parametrize("dangling", [False, True])
def test_links_out_of_the_workspace_are_refused(workspace, tmp_path, what, dangling):
    """A file, folder or parent that is a link to elsewhere is refused, and nothing is written."""
    outside = tmp_path / "outside"
    outside.mkdir()
    target = outside / "there"
    if not dangling:
        target.write_text("theirs") if what.endswith(("md", "html")) else target.mkdir()
    link = workspace.root / what
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
    before = everything_in(tmp_path)
    with pytest.raises(RefusedError, match="leads out of the workspace") as caught:
        write(workspace, html=True)
    assert caught.value.exit_code == 5
    assert "ls -ld" in caught.value.hint
    assert everything_in(tmp_path) == before


def test_links_into_git_are_refused(workspace):
    """A link into the repository's own folder is refused: a page there could be a program."""
    (workspace.root / ".git" / "hooks").mkdir(parents=True)
    (workspace.root / "reports").symlink_to(workspace.root / ".git" / "hooks")
    with pytest.raises(RefusedError):
        write(workspace)


def test_links_within_the_workspace_are_followed(workspace):
    """A folder of reports may be a link to another folder of the workspace."""
    (workspace.root / "docs").mkdir()
    (workspace.root / "reports").symlink_to("docs")
    write(workspace)
    assert (workspace.root / "docs" / "T-0001" / "report.md").is_file()


def test_a_folder_that_cannot_be_made(workspace):
    """Where no folder can be made the error says so and what lies there is untouched."""
    (workspace.root / "reports").write_text("a file")
    with pytest.raises(EnvironmentFailure, match="reports") as caught:
        write(workspace)
    assert caught.value.hint
    assert (workspace.root / "reports").read_text() == "a file"


def test_notes_without_an_end_stop_that_page_only(workspace):
    """A page whose notes have lost their end is left as it is; other kinds are written."""
    page = workspace.root / write(workspace)[0]
    page.write_text("<!-- exp:notes -->\nmy words\n")
    with pytest.raises(InvalidFileError, match="closing line"):
        write(workspace)
    assert page.read_text().endswith("my words\n")
    assert write(workspace, ReportKind.LOG)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "one ticket, or all"),
        ({"ticket": "T-0001", "everything": True}, "one ticket, or all"),
    ],
)
def test_options_that_contradict_each_other(options, complaint):
    """No ticket, and a ticket with --all, are errors of usage."""
    with pytest.raises(UsageError, match=complaint):
        report(**{**OPTIONS, **options})


def test_variables_are_listed(capsys):
    """--list-variables needs no workspace and names what a template can show."""
    report(**{**OPTIONS, "list_variables": True})
    said = capsys.readouterr().out
    assert "decision.options" in said
    assert "criteria" in said


def test_all_reports_of_a_real_workspace(lab):
    """--all writes each ticket that has a run, an index of them, and commits both once."""
    lab.experiment()
    lab.ticket()
    lab.ticket(2)
    lab.write("tickets/T-0003.md", TICKET.replace("T-0001", "T-0003"))
    lab.commit()
    for ticket in ("T-0001", "T-0002"):
        assert lab.exp("ticket", "start", ticket, "--follow").returncode == 0
    lab.published(1)
    lab.published(2)
    page = lab.root / "experiments/e/reports/T-0001/analysis.md"
    page.write_text("<!-- exp:notes -->\nwithout an end\n")
    done = lab.exp("report", "--all", "--kind", "analysis", "--html", "--commit")
    assert done.returncode == 4, done.stderr
    assert "closing line" in done.stderr
    assert page.read_text().endswith("without an end\n")
    index = (lab.root / "reports/README.md").read_text()
    assert done.stdout == index
    assert "T-0002" in index
    assert "analysis.md](../experiments/e/reports/T-0002/analysis.md)" in index
    assert "T-0003" not in index
    changed = lab.git("show", "--name-only", "--format=%s", "HEAD").splitlines()
    assert changed[0] == "Status reports: T-0002"
    assert {"reports/README.md", "experiments/e/reports/T-0002/analysis.html"} <= set(changed)
    assert json.loads((lab.run(2) / "run.json").read_text())["ticket"]["id"] == "T-0002"
    again = lab.exp("report", "T-0002", "--since", "R-000001")
    assert again.returncode == 3, "a run of another ticket is nothing to compare with"
