"""Commits on a branch that is not checked out: nothing that the user works with is touched.

The commit is made by git's plumbing on an index of its own, and the branch moved to it if it is
still where it was. Of the hooks git runs `reference-transaction` alone: the others look at the
work tree, which is not what is committed here.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.git.commit import insist, own_folder, require_author, stage
from orchestrator.git.program import Git, quote

_REBASES = ("rebase-merge", "rebase-apply")
_TRIES = 5  # a branch that others commit to may move meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A branch by its name; `git` runs in the root of the work tree."""

    name: str
    git: Git
    git_dir: Path
    common_dir: Path

    @property
    def ref(self) -> str:
        """`refs/heads/NAME`."""
        return f"refs/heads/{self.name}"

    @property
    def is_checked_out(self) -> bool:
        """Whether it is the branch of this work tree."""
        return self.git.tell("symbolic-ref", "--quiet", "HEAD").text == self.ref

    @property
    def tip(self) -> str | None:
        """The commit it is at; that of HEAD as long as there is no such branch; None without."""
        return self._commit(self.ref) or self._commit("HEAD")

    def obstacle(self) -> tuple[str, str] | None:
        """What is the matter with committing to it, and the way on."""
        other = "set another [git] branch in exp.toml"
        if self.git.tell("check-ref-format", self.ref).code:
            return f"{self.name!r} is no name of a branch", other
        if self.ref in self._rebased():
            return f"a rebase of branch {self.name} is in progress", "finish it first"
        listing = self.git.ask("worktree", "list", "--porcelain").text.splitlines()
        place = ""
        for line in listing:
            word, _, rest = line.partition(" ")
            place = rest if word == "worktree" else place
            if (word, rest) == ("branch", self.ref):
                return f"branch {self.name} is checked out in {place}", other
        return None

    def commit(self, names: Sequence[str], message: str, limit: float) -> str | None:
        """Commit `names` as they stand on disk; None if the branch has them so.

        `limit` bounds a program that signs, in seconds.

        Raises:
            RefusedError: git knows no author, cannot sign, or a hook says no (quoted).
            ConflictError: the branch kept moving, or another exp is committing.
            EnvironmentFailure: the repository cannot be written.
        """
        with own_folder(self.git_dir) as folder:
            index = folder / "index"
            for left in reversed(range(_TRIES)):
                before, tip = self._commit(self.ref), self.tip
                index.unlink(missing_ok=True)
                made = self._make(index, tip, names, message, limit)
                if made is None or self._move(made, before, last=left == 0):
                    return made
        return None

    def _make(
        self, index: Path, tip: str | None, names: Sequence[str], message: str, limit: float
    ) -> str | None:
        """A commit on top of `tip` that no branch knows yet."""
        git = Git(folder=self.git.folder, index=index)
        base = tip or git.ask("hash-object", "-t", "tree", "/dev/null").text
        git.ask("read-tree", base)
        if not stage(git, base, names):
            return None
        require_author(git)
        text = git.ask("stripspace", stdin=message.encode()).out
        parent = ("-p", tip) if tip else ()
        signed = git.tell("config", "--type=bool", "commit.gpgSign").text == "true"
        sign = ("--gpg-sign",) if signed else ()
        tree = git.ask("write-tree").text
        answer = git.tell("commit-tree", tree, *parent, *sign, "-F", "-", stdin=text, limit=limit)
        insist(answer, "commit-tree")
        return answer.text

    def _move(self, made: str, before: str | None, *, last: bool) -> bool:
        """Move the branch to `made`, unless somebody else has moved it since."""
        subject = self.git.ask("log", "-1", "--format=%s", made).text
        old = before or "0" * len(made)
        answer = self.git.tell("update-ref", "-m", f"commit: {subject}", self.ref, made, old)
        if answer.code and "cannot lock ref" in quote(answer.err) and not last:
            return False
        insist(answer, "update-ref")
        return True

    def _commit(self, name: str) -> str | None:
        answer = self.git.tell("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}")
        return answer.text if answer.code == 0 else None

    def _rebased(self) -> set[str]:
        """Branches whose rebase is under way, here or in another work tree."""
        places = [self.common_dir, *self.common_dir.glob("worktrees/*")]
        files = [place / kind / "head-name" for place in places for kind in _REBASES]
        return {os.fsdecode(file.read_bytes()).strip() for file in files if file.is_file()}
