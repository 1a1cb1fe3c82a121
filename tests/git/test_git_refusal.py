import threading

import pytest

from orchestrator.errors import RefusedError
from orchestrator.git import commit

OURS = "tickets/T-0001.md"


@pytest.fixture
def forked(tree):
    """Two branches whose changes of train.py conflict, and an edit of ours on disk."""
    tree.git("switch", "-q", "-c", "side")
    tree.save("train.py", "side\n")
    tree.git("switch", "-q", "main")
    tree.save("train.py", "main\n")
    return tree


@pytest.mark.parametrize(
    ("start", "what", "way"),
    [
        (["merge", "side"], "a merge", "git merge --continue"),
        (["rebase", "side"], "a rebase", "git rebase --continue"),
        (["rebase", "--apply", "side"], "a rebase", "git rebase --continue"),
        (["cherry-pick", "side"], "a cherry-pick", "git cherry-pick --continue"),
        (["revert", "--no-edit", "HEAD~2"], "a revert", "git revert --continue"),
        (["bisect", "start", "HEAD", "HEAD~1"], "a bisect", "git bisect reset"),
    ],
    ids=["merge", "rebase", "rebase-apply", "cherry-pick", "revert", "bisect"],
)
def test_in_the_middle_of_something(forked, start, what, way):
    """While git is in the middle of something nothing is committed, and the way on is named."""
    forked.save("again.py", "x\n")
    forked.save("train.py", "main again\n")
    forked.git(*start, check=False)
    forked.write(OURS, "edited\n")
    status, head = forked.git("status", "--porcelain"), forked.git("rev-parse", "HEAD")
    sentence = forked.repository.commit_refusal()
    assert sentence is not None
    assert what in sentence
    assert way in sentence
    assert "\n" not in sentence
    assert not forked.repository.is_detached()
    with pytest.raises(RefusedError, match=what) as caught:
        forked.repository.commit([OURS], "no")
    assert way in caught.value.hint
    assert (forked.git("status", "--porcelain"), forked.git("rev-parse", "HEAD")) == (status, head)


def test_snapshot_in_a_rebase(forked, tmp_path):
    """In the middle of a rebase a snapshot is still taken, conflict and all."""
    forked.git("rebase", "side", check=False)
    state = forked.repository.snapshot(tmp_path / "snapshot.patch")
    assert state.branch is None
    assert state.commit == forked.git("rev-parse", "HEAD")
    assert state.patch


def test_detached_head(tree):
    """A commit on a detached HEAD would be lost, so it is refused."""
    tree.git("checkout", "-q", "--detach")
    tree.write(OURS, "edited\n")
    sentence = tree.repository.commit_refusal()
    assert sentence is not None
    assert "git switch -c" in sentence
    with pytest.raises(RefusedError, match="HEAD is detached"):
        tree.repository.commit([OURS], "no")


def test_locked_index(tree, monkeypatch):
    """A locked index is a reason that names the lock file."""
    monkeypatch.setattr(commit, "_LOCK_GLANCE", 0.1)
    lock = tree.root / ".git" / "index.lock"
    lock.touch()
    sentence = tree.repository.commit_refusal()
    assert sentence is not None
    assert str(lock) in sentence


def test_passing_lock_is_no_reason(tree):
    """A lock that another command holds for a moment does not refuse anything."""
    lock = tree.root / ".git" / "index.lock"
    lock.touch()
    release = threading.Timer(0.2, lock.unlink)
    release.start()
    assert tree.repository.commit_refusal() is None
    release.join()


def test_nothing_in_the_way(empty):
    """On a branch without commits one may commit."""
    assert empty.repository.commit_refusal() is None
    assert not empty.repository.is_detached()


def test_conflicts_of_a_stash(tree):
    """Conflicts that a stash left in other files are no reason, and survive our commit."""
    tree.write("train.py", "stashed\n")
    tree.git("stash", "-q")
    tree.save("train.py", "main\n")
    tree.git("stash", "pop", check=False)
    assert "UU train.py" in tree.git("status", "--porcelain")
    assert tree.repository.commit_refusal() is None
    tree.write(OURS, "edited\n")
    sha = tree.repository.commit([OURS], "ours")
    assert tree.names_in(sha) == ["M", OURS]
    assert "UU train.py" in tree.git("status", "--porcelain")
