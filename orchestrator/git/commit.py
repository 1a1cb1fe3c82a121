"""Commits that hold our files and nothing else, and leave what the user has staged as it is.

`git commit --only` means exactly that, except that a new file has to enter the index first, where
a failing hook would leave it behind. So the commit runs on a private copy of the index, under
git's own lock (`index.lock`, created as git creates it), and the copy replaces the index only
after the commit stands. Hooks and signing run as in any commit of the user.
"""

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import ConflictError, EnvironmentFailure, ExpError, RefusedError
from orchestrator.git.program import Answer, Git, quote, without_controls

_FOLDER = "exp-commit-"
_SIGNATURE = b"held by exp\n"
_LOCK_PATIENCE = 10.0
_LOCK_GLANCE = 2.0
_LOCK_PAUSE = 0.05


@contextmanager
def private_index(git_dir: Path) -> Iterator[Path]:
    """A copy of the index to work on; the caller may let it take the index's place.

    The lock file is created and removed as git itself does it, so that no git command of the user
    can change the index in between.

    Raises:
        ConflictError: another process kept the lock for ten seconds.
    """
    index = git_dir / "index"
    with own_folder(git_dir) as folder, _index_lock(git_dir, folder):
        copy = folder / "index"
        if index.exists():
            shutil.copy2(index, copy)
        yield copy


@contextmanager
def own_folder(git_dir: Path) -> Iterator[Path]:
    """A folder below `git_dir` for one commit of ours at a time; it goes in any case.

    Raises:
        ConflictError: another exp was committing for ten seconds.
        EnvironmentFailure: it cannot be made.
    """
    with _alone(git_dir):
        for stale in git_dir.glob(f"{_FOLDER}*"):
            shutil.rmtree(stale, ignore_errors=True)
        folder = _private_folder(git_dir)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _alone(git_dir: Path) -> Iterator[None]:
    """Hold what only committers of ours ask for, and the kernel frees when they die.

    Whatever else of ours lies in `git_dir` meanwhile was left by one that was killed.
    """
    descriptor = os.open(git_dir, os.O_RDONLY | os.O_CLOEXEC)
    deadline = time.monotonic() + _LOCK_PATIENCE
    try:
        while not _try_flock(descriptor):
            if time.monotonic() > deadline:
                raise ConflictError(
                    f"nothing committed: another exp is committing in {git_dir}", hint="try again"
                )
            time.sleep(_LOCK_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _try_flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _private_folder(git_dir: Path) -> Path:
    try:
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=git_dir))
        (folder / "lock").write_bytes(_SIGNATURE)
    except OSError as error:
        raise _cannot_lock(git_dir, error) from error
    return folder


@contextmanager
def _index_lock(git_dir: Path, folder: Path) -> Iterator[None]:
    """Hold index.lock, signed as ours from its first moment on."""
    lock = git_dir / "index.lock"
    deadline = time.monotonic() + _LOCK_PATIENCE
    while not _try_link(folder / "lock", lock):
        if _is_ours(lock):
            lock.unlink(missing_ok=True)
        elif time.monotonic() > deadline:
            raise ConflictError(
                f"nothing committed: another git process holds {lock}",
                hint="try again; if no git is running, remove that file",
            )
        else:
            time.sleep(_LOCK_PAUSE)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _try_link(source: Path, lock: Path) -> bool:
    try:
        os.link(source, lock)
    except FileExistsError:
        return False
    except OSError as error:
        raise _cannot_lock(lock.parent, error) from error
    return True


def _is_ours(lock: Path) -> bool:
    try:
        return lock.read_bytes() == _SIGNATURE
    except OSError:
        return False


def _cannot_lock(git_dir: Path, error: OSError) -> EnvironmentFailure:
    return EnvironmentFailure(
        f"nothing committed: cannot lock {git_dir / 'index.lock'}: {error.strerror}",
        hint=f"ls -ld {git_dir}",
    )


def index_stays_locked(git_dir: Path) -> bool:
    """Whether another git process holds the index for longer than most commands take.

    A lock of ours is short, or that of a dead process and no obstacle.
    """
    lock = git_dir / "index.lock"
    deadline = time.monotonic() + _LOCK_GLANCE
    while lock.exists() and not _is_ours(lock):
        if time.monotonic() > deadline:
            return True
        time.sleep(_LOCK_PAUSE)
    return False


def commit_only(git: Git, base: str, names: Sequence[str], message: str, limit: float) -> bool:
    """Commit `names` (relative to the root) as they stand on disk; False if `base` has them so.

    `git` works on a private index; `base` is HEAD or the empty tree; `limit` bounds the hooks.
    """
    changed = stage(git, base, names)
    if not changed:
        return False
    require_author(git)
    # Not --cleanup=strip: a line of the report's summary may start with `#`.
    how = ("--only", "--quiet", "--cleanup=whitespace", "--file=-")
    answer = git.tell("commit", *how, "--", *_specs(changed), stdin=message.encode(), limit=limit)
    insist(answer, "commit")
    return True


def stage(git: Git, base: str, names: Sequence[str]) -> list[str]:
    """Put `names` as they stand on disk into the index; those that `base` has otherwise.

    Raises:
        RefusedError: git refuses a file, for instance because it is ignored.
    """
    there = [name for name in names if os.path.lexists(git.folder / name)]
    gone = [name for name in names if name not in there]
    if there:
        insist(git.tell("add", "--", *_specs(there)), "add")
    if gone:
        git.ask("rm", "--cached", "--quiet", "--ignore-unmatch", "--", *_specs(gone))
    return staged(git, base, names)


def staged(git: Git, base: str, names: Sequence[str]) -> list[str]:
    """Those of `names` that the index holds otherwise than `base`."""
    how = ("--cached", "--name-only", "--no-renames", "-z")
    return git.ask("diff-index", *how, base, "--", *_specs(names)).names


def _specs(names: Sequence[str]) -> list[str]:
    """Pathspecs that mean these names and no pattern."""
    return [f":(top,literal){name}" for name in names]


def compose(subject: str, body: str, trailers: Mapping[str, str]) -> str:
    """The message: subject line, body, and the trailers as last paragraph, where git looks.

    It holds no control characters: what others wrote into a ticket must not drive a terminal.
    """
    lines = [f"{key}: {' '.join(value.split())}" for key, value in trailers.items()]
    parts = [without_controls(part) for part in (subject, body, "\n".join(lines))]
    parts = [" ".join(parts[0].split()), parts[1].strip(), parts[2]]
    return "\n\n".join(part for part in parts if part) + "\n"


def require_author(git: Git) -> None:
    """Refuse before git makes up a name.

    Raises:
        RefusedError: git knows no author or no committer.
    """
    if git.tell("var", "GIT_AUTHOR_IDENT").code or git.tell("var", "GIT_COMMITTER_IDENT").code:
        raise RefusedError(
            "nothing committed: git does not know who you are",
            hint='git config user.name "Your Name" && git config user.email you@example.org',
        )


def insist(answer: Answer, verb: str) -> None:
    """Raise what fits to a git command that said no, quoting it."""
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
