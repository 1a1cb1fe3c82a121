"""Which files differ between two states of the code that runs started from, and by how much."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.git.program import Git
from orchestrator.git.repository import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A commit, with local changes on top of it if `patch` names a file that holds them."""

    commit: str
    patch: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A file that differs: git's letter for how (A, M, D, R, T); its lines, None of binary ones."""

    path: str
    how: str
    added: int | None = None
    deleted: int | None = None


def differences(
    repository: Repository, before: Version, after: Version
) -> tuple[Difference, ...] | None:
    """Files that differ, by path; None if the repository does not hold one of the two.

    A patch that does not apply is left out. Neither the index, nor the work tree, nor the objects
    of the repository are touched.
    """
    with tempfile.TemporaryDirectory(prefix="exp-diff-") as name:
        folder = Path(name)
        (folder / "objects").mkdir()
        git = Git(
            folder=repository.root,
            index=folder / "index",
            objects=(folder / "objects", repository.common_dir / "objects"),
        )
        trees = [_tree(git, version) for version in (before, after)]
        if trees[0] is None or trees[1] is None:
            return None
        how = ("--raw", "--numstat", "--find-renames", "--no-relative", "-z")
        answer = git.ask("diff-tree", "-r", *how, trees[0], trees[1])
    return tuple(sorted(_parsed(answer.names), key=lambda each: each.path))


def _tree(git: Git, version: Version) -> str | None:
    """The id of the tree of a version; None where its commit is not there."""
    commit = f"{version.commit}^{{commit}}"
    known = git.tell("rev-parse", "--quiet", "--verify", "--end-of-options", commit)
    if known.code:
        return None
    if version.patch is None or not version.patch.exists():
        return git.ask("rev-parse", f"{known.text}^{{tree}}").text
    git.ask("read-tree", known.text)
    git.tell("apply", "--cached", "--whitespace=nowarn", str(version.patch.absolute()))
    return git.ask("write-tree").text


def _parsed(words: list[str]) -> Iterator[Difference]:
    """What `--raw --numstat -z` says: how each file differs, then how many lines."""
    found: dict[str, Difference] = {}
    rest = iter(words)
    for word in rest:
        if word.startswith(":"):
            letter, path = word.rpartition(" ")[2][:1], next(rest)
            path = next(rest) if letter in "RC" else path
            found[path] = Difference(path=_text(path), how=letter)
            continue
        added, deleted, path = word.split("\t", 2)
        if not path:  # renamed: the old name, then the new one
            path = [next(rest), next(rest)][1]
        if path in found and added != "-":
            found[path] = replace(found[path], added=int(added), deleted=int(deleted))
    yield from found.values()


def _text(path: str) -> str:
    """A name that any page can hold: bytes that are no UTF-8 become signs that say so."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
