"""A git work tree as the tool needs it."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from orchestrator.domain.run import GitState
from orchestrator.errors import EnvironmentFailure, NotFoundError, RefusedError
from orchestrator.git.branch import Branch
from orchestrator.git.commit import (
    commit_only,
    compose,
    index_stays_locked,
    private_index,
    staged,
)
from orchestrator.git.program import Git, quote
from orchestrator.git.trees import names_in_trees

# What git leaves in its folder while something is under way, most telling first.
_UNDER_WAY = (
    ("rebase-merge", "a rebase", "git rebase --continue, or --abort"),
    ("rebase-apply", "a rebase or `git am`", "git rebase --continue, or --abort"),
    ("MERGE_HEAD", "a merge", "git merge --continue, or --abort"),
    ("CHERRY_PICK_HEAD", "a cherry-pick", "git cherry-pick --continue, or --abort"),
    ("REVERT_HEAD", "a revert", "git revert --continue, or --abort"),
    ("BISECT_LOG", "a bisect", "git bisect reset"),
)
_TICKET_FILE = re.compile(r"T-(\d{4,9})(?:\.|-|$)")
_MANY_UNTRACKED = 1000
# Options that pin the form of a patch: the user's diff settings must not make it inapplicable.
# Changes inside a submodule are left out, no patch can hold them.
_PATCH_FORM = (
    *("--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames"),
    *("--no-relative", "--src-prefix=a/", "--dst-prefix=b/", "--ignore-submodules=dirty"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A git work tree. `git_dir` is that of this worktree, `common_dir` is shared by all of them.

    `hook_limit` bounds a commit, hooks included, in seconds: a watcher must not hang on a hook.
    Commits go to `branch`; None is the one that is checked out. Another than that needs neither the
    user's index nor a work tree at rest: HEAD may be detached, or a merge under way.
    """

    root: Path
    git_dir: Path
    common_dir: Path
    hook_limit: float = 600.0
    branch: str | None = None

    @classmethod
    def find(cls, path: Path) -> Self | None:
        """The repository around `path`, or None when there is none or git is not installed.

        Raises:
            EnvironmentFailure: git refuses the folder, for instance because another user owns it.
        """
        folder = next(p for p in (path.absolute(), *path.absolute().parents) if p.is_dir())
        git = Git(folder=folder)
        if not git.installed():
            return None
        inside = git.tell("rev-parse", "--is-inside-work-tree")
        if inside.text == "false" or "not a git repository" in inside.err:
            return None
        if inside.code:
            raise EnvironmentFailure(
                f"git cannot read the repository at {folder}: {quote(inside.err)}",
                hint="git status",
            )
        # One question each: a folder's name may hold a newline.
        root, git_dir, common_dir = (
            folder / git.ask("rev-parse", question).text
            for question in ("--show-toplevel", "--git-dir", "--git-common-dir")
        )
        return cls(root=root, git_dir=git_dir.resolve(), common_dir=common_dir.resolve())

    def snapshot(self, patch: Path | None = None) -> GitState:
        """Commit, branch and local changes at this moment.

        `commit` is None before the first commit, `branch` is None when HEAD is detached. The
        changes of tracked files are written to `patch` in the form `git apply` takes; no such
        file is made when there are none. Untracked names are relative to the root; from a
        thousand on, folders stand for the files in them.
        """
        branch = self._git.tell("symbolic-ref", "--quiet", "--short", "HEAD")
        return GitState(
            commit=self._head(),
            branch=branch.text if branch.code == 0 else None,
            patch=self._write_patch(patch) if patch else self._dirty(),
            untracked=self._untracked(),
        )

    def files(self) -> list[str]:
        """Tracked and untracked files, relative to the root; without those that git ignores."""
        listing = ("ls-files", "--cached", "--others", "--exclude-standard", "--full-name", "-z")
        return sorted(set(self._git.ask(*listing).names))

    def ticket_ids_everywhere(self, folder: str) -> set[int]:
        """Ticket numbers in the names below `folder` (relative to the root), wherever git knows it.

        Looks into every ref, and into the HEAD and the files of every worktree.
        """
        refs = self._git.ask("for-each-ref", "--format=%(objectname)").text.split()
        worktrees = self._git.ask("worktree", "list", "--porcelain").text.splitlines()
        heads = [line.split()[1] for line in worktrees if line.startswith("HEAD ")]
        roots = {Path(line[9:]) for line in worktrees if line.startswith("worktree ")}
        names = names_in_trees(self._git, {*refs, *heads} - {"0" * 40, "0" * 64}, folder)
        for root in {*roots, self.root}:
            names |= _names_on_disk(root, folder)
        return {int(match[1]) for match in map(_TICKET_FILE.match, names) if match}

    def commit_refusal(self) -> str | None:
        """Why nothing can be committed now, in one sentence that names the way on, or None."""
        obstacle = self._obstacle()
        if obstacle is None and self._elsewhere() is None:
            obstacle = self._locked()
        return f"{obstacle[0]}; {obstacle[1]}" if obstacle else None

    def is_detached(self) -> bool:
        """Whether HEAD names no branch, and no rebase or bisect under way explains it."""
        return self._under_way() is None and self._without_branch() is not None

    def commit(
        self,
        paths: Iterable[Path | str],
        subject: str,
        body: str = "",
        trailers: Mapping[str, str] | None = None,
    ) -> str | None:
        """Commit these files as they stand on disk, and nothing else; return the commit's id.

        None means that they are already committed as they are. A path is absolute or relative to
        the root; one that is gone from disk is committed as a deletion. Whatever else is staged
        stays staged, and after an error the index is byte for byte what it was.

        Raises:
            RefusedError: a merge or rebase is under way, HEAD is detached, git knows no author,
                or a hook or git itself says no (quoted).
            ConflictError: another process kept the index locked, or the branch moving; try again.
        """
        names = [self._relative(path) for path in paths]
        obstacle = self._obstacle()
        if obstacle:
            raise RefusedError(f"nothing committed: {obstacle[0]}", hint=obstacle[1])
        if not names:
            return None
        message = compose(subject, body, trailers or {})
        branch = self._elsewhere()
        if branch is not None:
            return branch.commit(names, message, self.hook_limit)
        with private_index(self.git_dir) as index:
            git = Git(folder=self.root, index=index)
            base = self._base()
            # An exp that was killed after its commit has left the index as it was before.
            behind = staged(git, base, names)
            made = commit_only(git, base, names, message, self.hook_limit)
            if made or behind:
                index.replace(self.git_dir / "index")
            return self._head() if made else None

    def find_commit(
        self, paths: Iterable[Path | str], trailers: Mapping[str, str], since: float
    ) -> str | None:
        """The newest commit of the branch with these trailers that changed one of `paths`.

        Without paths it may have changed anything. `since` is the time (seconds since 1970) before
        which it cannot have been made.
        """
        wanted = [f"--grep=^{re.escape(f'{key}: {value}')}$" for key, value in trailers.items()]
        names = [f":(top,literal){self._relative(path)}" for path in paths]
        how = ("--max-count=1", "--format=%H", "--extended-regexp", "--all-match")
        branch = self._elsewhere()
        tip = branch.ref if branch else "HEAD"
        answer = self._git.tell("log", *how, f"--since={int(since)}", *wanted, tip, "--", *names)
        return answer.text or None

    def changed_files(self, since_commit: str) -> list[str]:
        """Tracked files that differ on disk from what they were at `since_commit`, sorted.

        Raises:
            NotFoundError: the repository does not hold that commit (rewritten or shallow).
        """
        commit = f"{since_commit}^{{commit}}"
        if self._git.tell("rev-parse", "--quiet", "--verify", "--end-of-options", commit).code:
            raise NotFoundError(
                f"no commit {since_commit[:12]} in {self.root}", hint="git fetch --unshallow"
            )
        return sorted(
            self._git.ask("diff", "--name-only", "--no-relative", "-z", since_commit, "--").names
        )

    def blob(self, data: bytes) -> str:
        """The id git gives these bytes as a file in this repository; nothing is written."""
        return blob_id(data, self._git.ask("rev-parse", "--show-object-format").text)

    @property
    def _git(self) -> Git:
        return Git(folder=self.root)

    def _head(self) -> str | None:
        answer = self._git.tell("rev-parse", "--quiet", "--verify", "HEAD^{commit}")
        return answer.text if answer.code == 0 else None

    def _base(self) -> str:
        """What changes are counted against: HEAD, or the empty tree before the first commit."""
        return self._head() or self._git.ask("hash-object", "-t", "tree", "/dev/null").text

    def _dirty(self) -> bool:
        how = ("--name-only", "--ignore-submodules=dirty")
        return bool(self._git.ask("diff", *how, self._base(), "--").out)

    def _write_patch(self, path: Path) -> bool:
        temporary = path.absolute().with_name(f".{path.name}.tmp")
        try:
            self._git.ask("diff", *_PATCH_FORM, f"--output={temporary}", self._base(), "--")
            if temporary.stat().st_size == 0:
                return False
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def _untracked(self) -> tuple[str, ...]:
        listing = ("ls-files", "--others", "--exclude-standard", "-z")
        names = self._git.ask(*listing).names
        if len(names) >= _MANY_UNTRACKED:
            names = self._git.ask(*listing, "--directory", "--no-empty-directory").names
        return tuple(sorted(names))

    def _elsewhere(self) -> Branch | None:
        """The branch for commits, if it is another than the one that is checked out."""
        if self.branch is None:
            return None
        branch = Branch(
            name=self.branch, git=self._git, git_dir=self.git_dir, common_dir=self.common_dir
        )
        return None if branch.is_checked_out else branch

    # What stands in the way of a commit: (what is the matter, the way on)

    def _obstacle(self) -> tuple[str, str] | None:
        branch = self._elsewhere()
        if branch is not None:
            return branch.obstacle()
        return self._under_way() or self._without_branch()

    def _under_way(self) -> tuple[str, str] | None:
        for name, what, way in _UNDER_WAY:
            if (self.git_dir / name).exists():
                return f"{what} is in progress in {self.root}", f"finish it first: {way}"
        return None

    def _without_branch(self) -> tuple[str, str] | None:
        if self._git.tell("symbolic-ref", "--quiet", "HEAD").code == 0:
            return None
        return (
            f"HEAD is detached in {self.root}, so a commit would belong to no branch",
            "switch to a branch first: git switch -c NAME",
        )

    def _locked(self) -> tuple[str, str] | None:
        if not index_stays_locked(self.git_dir):
            return None
        return (
            f"another git process holds {self.git_dir / 'index.lock'}",
            "wait for it, or remove that file if no git is running",
        )

    def _relative(self, path: Path | str) -> str:
        """`path` relative to the root, a link at its end not followed."""
        absolute = self.root / path
        place = absolute.parent.resolve() / absolute.name
        is_folder = absolute.is_dir() and not absolute.is_symlink()
        if is_folder or not place.is_relative_to(self.root.resolve()):
            raise RefusedError(
                f"nothing committed: {path} is no file of the repository {self.root}",
                hint="name files inside the repository, or use --no-git",
            )
        return place.relative_to(self.root.resolve()).as_posix()


def blob_id(data: bytes, algorithm: str = "sha1") -> str:
    """The id git gives these bytes as a file, in a repository of that object format."""
    return hashlib.new(
        algorithm, b"blob %d\0" % len(data) + data, usedforsecurity=False
    ).hexdigest()


def _names_on_disk(root: Path, folder: str) -> set[str]:
    names: set[str] = set()
    for _, folders, files in os.walk(root / folder):
        names.update(folders, files)
    return names
