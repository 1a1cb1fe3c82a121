"""Names of files in many commits at once, each distinct folder read once."""

import os
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from orchestrator.git.program import Git

_FOLDER_MODE = b"40000"


def names_in_trees(git: Git, commits: Iterable[str], folder: str) -> set[str]:
    """Names of all files and folders below `folder` (relative to the root) in these commits.

    Costs two git commands for each level of folders, however many commits there are: branches
    mostly share their trees. A commit without that folder adds nothing.
    """
    inside = PurePosixPath(folder).as_posix()
    place = "^{tree}" if inside == "." else f":{inside}"
    wanted = [f"{commit}{place}" for commit in sorted(set(commits))]
    names: set[str] = set()
    seen: set[str] = set()
    while wanted:
        checked = git.ask("cat-file", "--batch-check", stdin=_lines(wanted)).text.splitlines()
        trees = {line.split()[0] for line in checked if line.split()[1:2] == ["tree"]} - seen
        seen |= trees
        batch = git.ask("cat-file", "--batch", stdin=_lines(sorted(trees))).out
        wanted = []
        for name, subfolder in _entries(batch):
            names.add(name)
            if subfolder and subfolder not in seen:
                wanted.append(subfolder)
    return names


def _lines(words: Iterable[str]) -> bytes:
    return os.fsencode("".join(f"{word}\n" for word in words))


def _entries(batch: bytes) -> Iterator[tuple[str, str | None]]:
    """Name and, for a folder, object id of each entry in `git cat-file --batch` of trees."""
    at = 0
    while at < len(batch):
        header_end = batch.index(b"\n", at)
        object_id, _, size = batch[at:header_end].split()
        at, end = header_end + 1, header_end + 1 + int(size)
        width = len(object_id) // 2
        while at < end:
            zero = batch.index(b"\0", at)
            mode, _, name = batch[at:zero].partition(b" ")
            entry = batch[zero + 1 : zero + 1 + width].hex()
            yield os.fsdecode(name), entry if mode == _FOLDER_MODE else None
            at = zero + 1 + width
        at = end + 1
