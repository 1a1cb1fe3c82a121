"""`exp report`: the documents of a ticket, or of all, now."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator import tickets
from orchestrator.domain.report import ReportKind
from orchestrator.errors import ExpError, RefusedError
from orchestrator.report.facts import Indexed
from orchestrator.watch.committing import repository_for_commits
from orchestrator.watch.daemon import ensure_watcher
from orchestrator.watch.live import has_pending
from orchestrator.watch.reporting import report_facts, since_of, write_report
from orchestrator.watch.reporting.write import Asked, pages_beside, write_index, write_pages
from orchestrator.workspace import Workspace

_NAMED = 3  # tickets in a commit's subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for: which page, since when, as HTML too, committed."""

    kind: ReportKind = ReportKind.STATUS
    since: str | None = None
    html: bool = False
    commit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport:
    """The page as it was written, and all files beside it, the page first.

    `commit` is None unless this call committed something; `problems` are of tickets whose page
    could not be written.
    """

    path: str
    text: str
    files: tuple[str, ...]
    commit: str | None
    problems: tuple[ExpError, ...] = ()


def report_ticket(workspace: Workspace, text: str, wish: Wish) -> WrittenReport:
    """Write a report of a ticket, and commit it with the ticket if asked to.

    Raises:
        NotFoundError: there is no such ticket, or nothing of the name that `since` gives.
        RefusedError: a commit was asked for and git is not in a state for it; a link leads out of
            the workspace.
        InvalidFileError: a template is wrong, or the notes of the earlier page are.
        EnvironmentFailure: it cannot be written.
    """
    ticket = tickets.find(workspace.tickets, text).ticket
    _look_after(workspace)
    now = time.time()
    asked = _asked(workspace, ticket.id, wish, now)
    paths = write_report(workspace, ticket.id, now=now, asked=asked)
    made = None
    if wish.commit:
        subject = f"{ticket.id}: {wish.kind} report"
        made = _commit(workspace, [ticket.path, *paths], subject, [ticket.id])
    return _written(workspace, paths, made)


def report_all(workspace: Workspace, wish: Wish) -> WrittenReport:
    """Write the page of every ticket that has a run, and the index of all.

    A ticket whose page cannot be written does not keep the others from theirs.

    Raises:
        RefusedError: a commit was asked for and git is not in a state for it.
        ExpError: the index cannot be written.
    """
    _look_after(workspace)
    now = time.time()
    paths: list[str] = []
    indexed: list[Indexed] = []
    problems: list[ExpError] = []
    for ticket in tickets.load_all(workspace.tickets):
        try:
            asked = _asked(workspace, ticket.id, wish, now)
            facts = report_facts(workspace, ticket.id, now=now, since=asked.since)
            if facts.run is None:
                continue
            paths += write_pages(workspace, facts, asked)
            indexed.append(Indexed(facts=facts, pages=pages_beside(workspace, facts)))
        except ExpError as error:
            problems.append(error)
    index = write_index(workspace, indexed)
    names = [each.facts.ticket.id for each in indexed]
    made = None
    if wish.commit:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        subject = f"Status reports: {', '.join(names[:_NAMED])}{more}"
        made = _commit(workspace, [index, *paths], subject, names)
    return _written(workspace, [index, *paths], made, problems)


def _asked(workspace: Workspace, ticket_id: str, wish: Wish, now: float) -> Asked:
    since = None if wish.since is None else since_of(workspace, ticket_id, wish.since, now=now)
    return Asked(kind=wish.kind, since=since, html=wish.html)


def _look_after(workspace: Workspace) -> None:
    if workspace.state.is_dir() and has_pending(workspace):
        ensure_watcher(workspace)


def _written(
    workspace: Workspace,
    paths: Sequence[str],
    commit: str | None,
    problems: Sequence[ExpError] = (),
) -> WrittenReport:
    page = (workspace.root / paths[0]).read_text(errors="replace")
    return WrittenReport(
        path=paths[0], text=page, files=tuple(paths), commit=commit, problems=tuple(problems)
    )


def _commit(
    workspace: Workspace, paths: Sequence[str], subject: str, names: Sequence[str]
) -> str | None:
    repository = repository_for_commits(workspace)
    if repository is None:
        raise RefusedError("no git repository here: nothing committed", hint="git init")
    return repository.commit(
        [workspace.root / path for path in paths],
        subject=subject,
        trailers={"Ticket": ", ".join(names)} if names else {},
    )
