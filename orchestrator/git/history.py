"""What was committed last, for people who look."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.git.program import Git

_FORM = "--format=%h%x00%ct%x00%s"
_LIMIT = 5.0  # seconds; a repository on a share that hangs must not hold up a screen


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit: its short id, the time of the committer in seconds, the first line."""

    id: str
    time: float
    subject: str


def recent_commits(folder: Path, count: int) -> tuple[Commit, ...]:
    """The last commits of the branch at `folder`, newest first; none where git knows of none.

    Raises:
        EnvironmentFailure: git is not installed.
    """
    answer = Git(folder=folder).tell("log", f"--max-count={count}", _FORM, limit=_LIMIT)
    if answer.code:
        return ()
    lines = (line.split("\0", 2) for line in answer.text.split("\n"))
    return tuple(
        Commit(id=line[0], time=float(line[1]), subject=line[2]) for line in lines if len(line) == 3
    )
