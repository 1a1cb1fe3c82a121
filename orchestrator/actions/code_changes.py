"""How the code of runs differs: the commits they started from, with their local changes."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain.run import RunRecord
from orchestrator.errors import EnvironmentFailure
from orchestrator.git import Difference, Repository, Version, differences, patch_between
from orchestrator.watch.reporting.changes import tool_writes
from orchestrator.workspace import RunFolder, Workspace

Ran = tuple[RunFolder, RunRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeChange:
    """Files that differ from one run to another; None if that is unknown, and `why`.

    Tickets and reports are left out. `patch` holds the lines, where they were asked for.
    """

    before: str
    after: str
    files: tuple[Difference, ...] | None
    why: str | None = None
    patch: str | None = None


def code_changes(
    workspace: Workspace, runs: Sequence[Ran], *, lines: bool
) -> tuple[CodeChange, ...]:
    """From the first of these runs to each of the others."""
    try:
        repository = Repository.find(workspace.root)
        return tuple(
            _change(workspace, repository, runs[0], other, lines=lines) for other in runs[1:]
        )
    except EnvironmentFailure as error:
        return tuple(_unknown(runs[0], other, str(error)) for other in runs[1:])


def _change(
    workspace: Workspace, repository: Repository | None, before: Ran, after: Ran, *, lines: bool
) -> CodeChange:
    then, now = _version(before), _version(after)
    if then is None or now is None:
        lacking = before if then is None else after
        return _unknown(before, after, f"{lacking[0].id} recorded no commit")
    if repository is None:
        return _unknown(before, after, "there is no repository here")
    found = differences(repository, then, now)
    if found is None:
        return _unknown(before, after, "a commit is not in this repository (git fetch)")
    ours = tool_writes(workspace, repository)
    files = tuple(each for each in found if not ours(each.path))
    wanted = [each.path for each in files] if lines else []
    patch = patch_between(repository, then, now, wanted) if wanted else None
    return CodeChange(before=before[0].id, after=after[0].id, files=files, patch=patch)


def _unknown(before: Ran, after: Ran, why: str) -> CodeChange:
    return CodeChange(before=before[0].id, after=after[0].id, files=None, why=why)


def _version(ran: Ran) -> Version | None:
    folder, record = ran
    if record.git is None or record.git.commit is None:
        return None
    return Version(commit=record.git.commit, patch=folder.patch if record.git.patch else None)
