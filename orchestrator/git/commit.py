"""Commits that hold our files and nothing else, and leave what the user has staged as it is.

`git commit --only` means exactly that, except that a new file has to enter the index first, where
a failing hook would leave it behind. So the commit runs on a private copy of the index, under
git's own lock (`index.lock`, created as git creates it), and the copy replaces the index only
after the commit stands. Hooks and signing run as in any commit of the user.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import ConflictError, EnvironmentFailure, ExpError, RefusedError
from orchestrator.git.program import Answer, Git, quote

_LOCK_PATIENCE = 10.0
_LOCK_GLANCE = 2.0
_LOCK_PAUSE = 0.05


@contextmanager
def private_index(git_dir: Path) -> Iterator[Path]:
    """A copy of the index to work on; the caller may let it take the index's place.

    The lock file is created and removed as git itself does it, so that no git command of the user
    can change the index in between.

    Raises:
        ConflictError: another git process kept the lock for ten seconds.
    """
    lock = _take_index_lock(git_dir)
    index = git_dir / "index"
    folder = None
    try:
        folder = Path(tempfile.mkdtemp(prefix="exp-commit-", dir=git_dir))
        copy = folder / "index"
        if index.exists():
            shutil.copy2(index, copy)
        yield copy
    finally:
        lock.unlink(missing_ok=True)
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _take_index_lock(git_dir: Path) -> Path:
    lock = git_dir / "index.lock"
    deadline = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666))
        except FileExistsError:
            if time.monotonic() > deadline:
                raise ConflictError(
                    f"nothing committed: another git process holds {lock}",
                    hint="try again; if no git is running, remove that file",
                ) from None
            time.sleep(_LOCK_PAUSE)
        except OSError as error:
            raise EnvironmentFailure(
                f"nothing committed: cannot lock {lock}: {error.strerror}", hint=f"ls -ld {git_dir}"
            ) from error
        else:
            return lock


def index_stays_locked(git_dir: Path) -> bool:
    """Whether another git process holds the index for longer than most commands take."""
    deadline = time.monotonic() + _LOCK_GLANCE
    while (git_dir / "index.lock").exists():
        if time.monotonic() > deadline:
            return True
        time.sleep(_LOCK_PAUSE)
    return False


def commit_only(git: Git, base: str, names: Sequence[str], message: str, limit: float) -> bool:
    """Commit `names` (relative to the root) as they stand on disk; False if `base` has them so.

    `git` works on a private index; `base` is HEAD or the empty tree; `limit` bounds the hooks.
    """
    there = [name for name in names if os.path.lexists(git.folder / name)]
    gone = [name for name in names if name not in there]
    if there:
        _insist(git.tell("add", "--", *_specs(there)), "add")
    if gone:
        git.ask("rm", "--cached", "--quiet", "--ignore-unmatch", "--", *_specs(gone))
    how = ("--cached", "--name-only", "--no-renames", "-z")
    changed = git.ask("diff-index", *how, base, "--", *_specs(names)).names
    if not changed:
        return False
    _require_author(git)
    # Not --cleanup=strip: a line of the report's summary may start with `#`.
    how = ("--only", "--quiet", "--cleanup=whitespace", "--file=-")
    answer = git.tell("commit", *how, "--", *_specs(changed), stdin=message.encode(), limit=limit)
    _insist(answer, "commit")
    return True


def _specs(names: Sequence[str]) -> list[str]:
    """Pathspecs that mean these names and no pattern."""
    return [f":(top,literal){name}" for name in names]


def compose(subject: str, body: str, trailers: Mapping[str, str]) -> str:
    """The message: subject line, body, and the trailers as last paragraph, where git looks."""
    lines = [f"{key}: {' '.join(value.split())}" for key, value in trailers.items()]
    parts = (" ".join(subject.split()), body.strip(), "\n".join(lines))
    return "\n\n".join(part for part in parts if part) + "\n"


def _require_author(git: Git) -> None:
    if git.tell("var", "GIT_AUTHOR_IDENT").code or git.tell("var", "GIT_COMMITTER_IDENT").code:
        raise RefusedError(
            "nothing committed: git does not know who you are",
            hint='git config user.name "Your Name" && git config user.email you@example.org',
        )


def _insist(answer: Answer, verb: str) -> None:
    if answer.code:
        raise _refusal(verb, quote(f"{os.fsdecode(answer.out)}\n{answer.err}"))


def _refusal(verb: str, said: str) -> ExpError:
    """The error for a git command that said no, quoting it."""
    if re.search(r"No space left|Read-only file system|insufficient permission", said):
        return EnvironmentFailure(f"nothing committed: {said}", hint="df -h .; ls -ld .git")
    if "cannot lock ref" in said:
        return ConflictError(f"nothing committed: {said}", hint="try again")
    if re.search(r"failed to sign|gpg failed|signing|(public|private|secret) key", said):
        hint = "set user.signingkey, or: git config commit.gpgsign false"
    elif "ignored by one of your .gitignore" in said:
        hint = "take the file out of .gitignore, then exp report TICKET --commit"
    else:
        hint = "do what git or its hook asks for, then exp report TICKET --commit"
    return RefusedError(f"nothing committed, git {verb} said:\n{said}", hint=hint)
