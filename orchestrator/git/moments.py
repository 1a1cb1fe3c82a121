"""Commits by name and by time."""

from orchestrator.git.program import Git
from orchestrator.git.repository import Repository


def commit_named(repository: Repository, text: str) -> tuple[str, float] | None:
    """The id of the commit that `text` names (an id, a branch, a tag), and its time in seconds.

    None if the repository has no such commit.
    """
    name = f"{text}^{{commit}}"
    git = Git(folder=repository.root)
    found = git.tell("rev-parse", "--quiet", "--verify", "--end-of-options", name)
    if found.code:
        return None
    commit = found.text
    return commit, float(git.ask("show", "--no-patch", "--format=%ct", commit).text)


def commit_at(repository: Repository, time: float) -> str | None:
    """The commit that HEAD's history had reached by a time, in seconds; None before the first."""
    git = Git(folder=repository.root)
    answer = git.tell("rev-list", "--max-count=1", f"--before={int(time)}", "HEAD", "--")
    return answer.text or None if answer.code == 0 else None
