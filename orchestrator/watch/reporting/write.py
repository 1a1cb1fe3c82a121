"""Reports rendered and put in their place; nothing outside of the workspace is ever written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator import report
from orchestrator.domain.report import ReportKind
from orchestrator.errors import EnvironmentFailure, RefusedError
from orchestrator.fsio import write_atomic
from orchestrator.report import ReportFacts
from orchestrator.report.changes import Since
from orchestrator.report.facts import INDEX, Indexed
from orchestrator.watch.reporting.gather import report_facts
from orchestrator.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which page: its kind, what it compares with, and whether also as HTML."""

    kind: ReportKind = ReportKind.STATUS
    since: Since | None = None
    html: bool = False


_STATUS = Asked()


def write_report(
    workspace: Workspace,
    ticket_id: str,
    *,
    now: float,
    asked: Asked = _STATUS,
) -> list[str]:
    """Render a report of a ticket and write it; return its files, the page first.

    A person's notes in an earlier page are
    kept. Files that would not change are not touched, and the page is written last: until then
    the earlier one is whole.

    Raises:
        NotFoundError: there is no such ticket.
        InvalidFileError: the earlier report's notes cannot be told apart, or a template is wrong;
            nothing is written.
        RefusedError: a link leads the report out of the workspace; nothing is written.
        EnvironmentFailure: the folder cannot be written.
    """
    facts = report_facts(workspace, ticket_id, now=now, since=asked.since)
    return write_pages(workspace, facts, asked)


def write_pages(workspace: Workspace, facts: ReportFacts, asked: Asked) -> list[str]:
    """Render these facts and write the page, as `write_report` does.

    Raises:
        ExpError: as `write_report`, but for NotFoundError.
    """
    folder = (workspace.root / facts.path).parent
    page = folder / asked.kind.page
    _stay_inside(workspace, page)
    told = replace(facts, notes=_notes(page))
    files = report.render_report(told, asked.kind, workspace.templates)
    if asked.html:
        pictures = {name: content for name, content in files.items() if name != page.name}
        web = report.as_html(files[page.name], pictures, workspace.templates)
        files[f"{page.stem}.html"] = web
    return _write(workspace, folder, files)


def write_index(workspace: Workspace, indexed: Sequence[Indexed]) -> str:
    """Write the index of these reports; return its path.

    Raises:
        ExpError: as `write_pages`.
    """
    page = workspace.root / INDEX
    _stay_inside(workspace, page)
    content = report.render_index(indexed, _notes(page), workspace.templates)
    return _write(workspace, page.parent, {page.name: content})[0]


def pages_beside(workspace: Workspace, facts: ReportFacts) -> tuple[str, ...]:
    """Names of the pages that lie in the folder of a ticket's reports."""
    folder = (workspace.root / facts.path).parent
    return tuple(kind.page for kind in ReportKind if (folder / kind.page).is_file())


def _stay_inside(workspace: Workspace, target: Path) -> None:
    root = workspace.root.resolve()
    real = target.resolve()
    if not real.is_relative_to(root) or ".git" in real.relative_to(root).parts:
        shown = target.relative_to(workspace.root)
        raise RefusedError(
            f"{shown} leads out of the workspace, to {real}: nothing was written",
            hint=f"ls -ld {shown} {shown.parent}",
        )


def _write(workspace: Workspace, folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Write what is another than on the disk, the first file last."""
    for name in files:
        _stay_inside(workspace, folder / name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot make the folder of the report, {folder}: {error.strerror}",
            hint=f"ls -ld {folder.parent}",
        ) from error
    for name, content in reversed(list(files.items())):
        target = folder / name
        if not target.exists() or target.read_bytes() != content:
            write_atomic(target, content)
    return [str((folder / name).relative_to(workspace.root)) for name in files]


def _notes(page: Path) -> str:
    try:
        return report.notes_of(page.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return ""
