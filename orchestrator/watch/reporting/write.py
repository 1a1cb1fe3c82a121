"""A report rendered and put in its place."""

from orchestrator import report
from orchestrator.fsio import write_atomic
from orchestrator.report.changes import Since
from orchestrator.watch.reporting.gather import report_facts
from orchestrator.workspace import Workspace


def write_report(
    workspace: Workspace, ticket_id: str, *, now: float, since: Since | None = None
) -> list[str]:
    """Render the status report of a ticket and write it; return its files, the page first.

    A person's notes in an earlier report are kept. Files that would not change are not touched.

    Raises:
        NotFoundError: there is no such ticket.
        InvalidFileError: the earlier report's notes cannot be told apart; nothing is written.
        EnvironmentFailure: the folder cannot be written.
    """
    facts = report_facts(workspace, ticket_id, now=now, since=since)
    page = workspace.root / facts.path
    files = report.render_status(facts, workspace.templates)
    page.parent.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        target = page.parent / name
        if not target.exists() or target.read_bytes() != content:
            write_atomic(target, content)
    names = sorted(files, key=lambda name: name != page.name)
    return [str((page.parent / name).relative_to(workspace.root)) for name in names]
