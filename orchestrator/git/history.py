"""What was committed last, for people who look."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from orchestrator.git.program import environment

_FORM = "--format=%h%x00%ct%x00%s"
_LIMIT = 5.0  # seconds; a repository on a share that hangs must not hold up a screen


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit: its short id, the time of the committer in seconds, the first line."""

    id: str
    time: float
    subject: str


def recent_commits(folder: Path, count: int) -> tuple[Commit, ...]:
    """The last commits of the branch at `folder`, newest first; none where git tells of none.

    Not through GitPython, whose import alone takes 80 ms: every `exp status` asks this.
    """
    words = [*environment(None), "git", "log", f"--max-count={count}", _FORM]
    try:
        answer = subprocess.run(
            words,
            cwd=folder,
            capture_output=True,
            check=False,
            timeout=_LIMIT,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    lines = (line.split("\0", 2) for line in answer.stdout.split("\n"))
    return tuple(
        Commit(id=line[0], time=float(line[1]), subject=line[2]) for line in lines if len(line) == 3
    )
