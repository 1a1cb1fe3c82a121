"""Running git: what it is told, what it must not inherit, and how its words are quoted."""

import ctypes
import os
import re
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import EnvironmentFailure

# A git hook exports these to its children; they would point our commands at its index and folder.
_HOOK_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_EXTERNAL_DIFF",
)
_QUOTED_LINES = 12
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_COMMAND_NOT_FOUND = 127  # env(1)'s exit code


@dataclass(frozen=True, slots=True)
class Answer:
    """What a git command said; names in `out` keep bytes that are no UTF-8."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Standard output without its final newline."""
        return os.fsdecode(self.out).removesuffix("\n")

    @property
    def names(self) -> list[str]:
        """Standard output of a command with `-z`."""
        return [name for name in os.fsdecode(self.out).split("\0") if name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """git, run in `folder`; `index` takes the place of the repository's own index.

    `objects` are two folders: where new objects go, and where those of the repository are.
    """

    folder: Path
    index: Path | None = None
    objects: tuple[Path, Path] | None = None

    def tell(self, *words: str, stdin: bytes = b"", limit: float | None = None) -> Answer:
        """Run a git command, whatever its exit code; it is killed after `limit` seconds.

        Raises:
            EnvironmentFailure: git is not installed.
        """
        answer = self._run(words, stdin, limit)
        if answer is None:
            raise EnvironmentFailure("git is not installed", hint="install git, or use --no-git")
        return answer

    def ask(self, *words: str, stdin: bytes = b"") -> Answer:
        """Run a git command that has no reason to fail.

        Raises:
            EnvironmentFailure: it failed nevertheless (quoted), or git is not installed.
        """
        answer = self.tell(*words, stdin=stdin)
        if answer.code:
            raise EnvironmentFailure(
                f"git {words[0]} failed in {self.folder}: {quote(answer.err)}", hint="git status"
            )
        return answer

    def installed(self) -> bool:
        """Whether there is a git program at all."""
        return self._run(("--version",), b"", None) is not None

    def _run(self, words: tuple[str, ...], stdin: bytes, limit: float | None) -> Answer | None:
        try:
            import git  # noqa: PLC0415 - 80 ms, and few commands ask git
        except ImportError:  # how GitPython says that there is no git program
            return None
        with tempfile.TemporaryFile() as istream:
            istream.write(stdin)
            istream.seek(0)
            code, out, err = git.Git(self.folder).execute(
                [*environment(self.index), *self._objects(), "git", *words],
                istream=istream,
                with_extended_output=True,
                with_exceptions=False,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
                kill_after_timeout=limit,
                preexec_fn=_end_with_parent,
            )
        return None if code == _COMMAND_NOT_FOUND else Answer(code, out, err)

    def _objects(self) -> list[str]:
        if self.objects is None:
            return []
        new, known = self.objects
        return [f"GIT_OBJECT_DIRECTORY={new}", f"GIT_ALTERNATE_OBJECT_DIRECTORIES={_quoted(known)}"]


def _quoted(path: Path) -> str:
    """A path in a list that colons separate, as git reads it."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _end_with_parent() -> None:
    """Have git end, and remove its lock files, when we are killed: nobody waits for it any more."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def environment(index: Path | None) -> list[str]:
    """What stands before git: env(1), as GitPython can add to the environment, not take away."""
    unset = [part for name in _HOOK_VARIABLES for part in ("-u", name)]
    own = ["GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_TERMINAL_PROMPT=0"]
    return ["env", *unset, *own, *([f"GIT_INDEX_FILE={index}"] if index else [])]


def quote(said: str) -> str:
    """The last lines of what a program said, without control characters."""
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    return re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", " ", "\n".join(lines[-_QUOTED_LINES:]))
