"""The end of a run, written down for people: boxes, evidence, report, commit. Exactly once.

Each step gives the same bytes when it is done again, and published.json is written last: a
watcher killed in between leaves nothing lost and nothing twice.
"""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from orchestrator.codec import encode
from orchestrator.domain.run import Published
from orchestrator.errors import DamagedIndexError, ExpError
from orchestrator.fsio import sweep, write_atomic
from orchestrator.watch.committing import repository_for_commits
from orchestrator.watch.milestones import note_end, told_so_far, trailers_of
from orchestrator.watch.observer import Observation
from orchestrator.watch.reporting import write_report
from orchestrator.watch.subjects import body, subject_of_end
from orchestrator.watch.ticketing import write_end
from orchestrator.workspace import Workspace

log = logging.getLogger(__name__)
T = TypeVar("T")


def publish_end(
    workspace: Workspace, seen: Observation, tell: Callable[[Published], None], *, now: float
) -> Published:
    """Write an ended run into its ticket and its report, commit both, and note that it is done.

    `tell` hears of it before the note: after that nobody looks at this run again.

    What stands in the way (a hook, a rebase, a missing ticket) is recorded and not raised: the
    run's own facts are safe, and `exp report --commit` can be asked again.
    """
    problems: list[str] = []
    changed: list[str] = []
    paths: list[str] = []
    commit = None
    ticket = seen.record.ticket
    if ticket is not None:
        changed = _attempt(problems, lambda: write_end(workspace, ticket, seen)) or []
        paths = _attempt(problems, lambda: write_report(workspace, ticket.id, now=now)) or []
    if seen.record.commit_policy == "milestones" and (changed or paths):
        commit = _attempt(problems, lambda: commit_run(workspace, seen, [*changed, *paths], now))
    published = Published(
        time=now, commit=commit, report=paths[0] if paths else None, problems=tuple(problems)
    )
    tell(published)
    # A program that is killed as it seals a checkpoint cannot clear up after itself.
    for manifest in seen.folder.checkpoints.glob("*/.manifest.json.*.tmp"):
        sweep(manifest.with_name("manifest.json"))
    write_atomic(seen.folder.published_file, encode(published))
    return published


def commit_run(
    workspace: Workspace, seen: Observation, paths: Sequence[str], now: float
) -> str | None:
    """Commit the files that a run's end changed, unless a watcher that was killed has done so.

    None without a repository, or if git has the files as they are for another reason.

    Raises:
        RefusedError: git is in the middle of something, detached, or a hook said no.
    """
    repository = repository_for_commits(workspace)
    if repository is None or seen.record.ticket is None:
        return None
    told, trailers = told_so_far(seen.folder), trailers_of(seen)
    files = [workspace.root / path for path in paths]
    subject = subject_of_end(seen, frozenset(told.criteria))
    made = repository.commit(files, subject, body(seen), trailers)
    found = made or repository.find_commit(files, trailers, since=seen.record.created)
    note_end(seen, now=now)
    return found if found != told.commit else None


def _attempt(problems: list[str], step: Callable[[], T]) -> T | None:
    try:
        return step()
    except DamagedIndexError:
        raise  # the end is written down once the index has been made again
    except ExpError as error:
        log.warning("publish: %s", error, exc_info=True)
        problems.append(f"{error}; {error.hint}" if error.hint else str(error))
    except Exception as error:
        # Whatever one step meets, the others are done and the run's end is written down.
        log.exception("publish")
        problems.append(f"{type(error).__name__}: {error}; see .exp/watcher.log")
    return None
