"""Commits on a branch that is not checked out: they land there, and nothing else has changed."""

import dataclasses

import pytest

from orchestrator.errors import ConflictError, EnvironmentFailure, RefusedError

OURS = "tickets/T-0001.md"
MINE = {"Ticket": "T-0001", "Run": "R-000042"}


@pytest.fixture
def ticked(tree):
    """A repository in which the user works, and whose ticket we have just edited."""
    tree.write(OURS, "# T-0001: first\n- [x] done\n")
    tree.write("train.py", "a = 2\nb = 2\nc = 3\nd = 4\ne = 5\n")
    tree.git("add", "train.py")
    tree.write("train.py", "a = 2\nb = 2\nc = 3\nd = 4\ne = 6\n")
    tree.write("new.py", "x\n")
    tree.git("add", "-N", "new.py")
    return tree


def on(tree, name="results"):
    return dataclasses.replace(tree.repository, branch=name)


def state(tree):
    """All that a user sees of a repository, but for the branch of the commits."""
    refs = tree.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    refs = [ref for ref in refs if not ref.startswith("refs/heads/results ")]
    files = sorted(
        (str(path), path.read_bytes())
        for path in tree.root.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(tree.root).parts
    )
    left = sorted(path.name for path in (tree.root / ".git").iterdir())
    return tree.index(), (tree.root / ".git/HEAD").read_text(), refs, files, left


def test_a_branch_is_made_from_head_and_gets_our_files_alone(ticked):
    """Index, HEAD, files and other refs stay byte for byte; the second commit follows the first."""
    before, head = state(ticked), ticked.git("rev-parse", "HEAD")
    first = on(ticked).commit([OURS], "T-0001: met  \n", "# a line  \n\nmore", MINE)
    assert ticked.git("rev-parse", "results") == first
    assert ticked.git("rev-parse", "results^") == head
    assert ticked.names_in(first) == ["M", OURS]
    said = ticked.git("log", "-1", "--format=%B", "results")
    assert said == "T-0001: met\n\n# a line\n\nmore\n\nTicket: T-0001\nRun: R-000042"
    assert ticked.git("log", "-1", "--format=%an", "results") == "Ada Löve"
    assert "commit: T-0001: met" in ticked.git("reflog", "results")
    assert on(ticked).commit([OURS], "again") is None
    assert on(ticked).find_commit([OURS], MINE, since=1e9) == first
    assert ticked.repository.find_commit([OURS], MINE, since=1e9) is None
    assert state(ticked) == before
    ticked.write("report.md", "new\n")
    (ticked.root / OURS).unlink()
    second = on(ticked).commit(["report.md", OURS], "more")
    assert ticked.git("rev-parse", "results^") == first
    assert ticked.names_in(second) == ["A", "report.md", "D", OURS]


def test_the_branch_that_is_checked_out_is_committed_to_as_always(ticked):
    """Moved behind the user's back, the index would show our commit as taken back."""
    sha = on(ticked, "main").commit([OURS], "ours")
    assert ticked.git("rev-parse", "main") == sha
    assert OURS not in ticked.git("status", "--porcelain")


def test_a_repository_without_a_commit(empty):
    """The branch begins with our commit, and the user's is still to be born."""
    empty.write(OURS, "# T-0001: first\n")
    sha = on(empty).commit([OURS], "ours")
    assert empty.git("rev-list", "results") == sha
    assert empty.git("symbolic-ref", "HEAD") == "refs/heads/main"
    assert empty.git("status", "--porcelain", "-uall") == f"?? {OURS}"


def detached(tree):
    tree.git("checkout", "-q", "--detach")


def merging(tree):
    (tree.root / ".git/MERGE_HEAD").write_text(tree.git("rev-parse", "HEAD") + "\n")


def rebasing(tree):
    (tree.root / ".git/rebase-merge").mkdir()
    (tree.root / ".git/rebase-merge/head-name").write_text("refs/heads/main\n")


def locked(tree):
    (tree.root / ".git/index.lock").write_bytes(b"theirs")


def hooked(tree):
    for name in ("pre-commit", "commit-msg", "prepare-commit-msg", "post-commit"):
        tree.hook(name, "touch .git/ran; exit 1")


@pytest.mark.parametrize("trouble", [detached, merging, rebasing, locked, hooked])
def test_what_the_user_is_in_the_middle_of_is_no_obstacle(ticked, trouble):
    """A commit elsewhere needs neither branch nor index nor work tree, and runs no hook of them."""
    trouble(ticked)
    before = state(ticked)
    assert on(ticked).commit_refusal() is None
    assert ticked.names_in(on(ticked).commit([OURS], "ours")) == ["M", OURS]
    assert state(ticked) == before


@pytest.mark.parametrize("name", ["", "a..b", "-x y", "a.lock"])
def test_no_name_of_a_branch(ticked, name):
    """What git would not take as a name is refused with where it stands."""
    with pytest.raises(RefusedError, match="no name of a branch") as caught:
        on(ticked, name).commit([OURS], "no")
    assert "exp.toml" in caught.value.hint


def test_a_branch_of_another_worktree(ticked, tmp_path):
    """A branch that somebody has checked out elsewhere, or is rebasing, is theirs."""
    ticked.git("worktree", "add", "-q", "-b", "results", str(tmp_path / "theirs"))
    with pytest.raises(RefusedError, match=r"checked out in .*theirs"):
        on(ticked).commit([OURS], "no")
    ticked.git("-C", str(tmp_path / "theirs"), "checkout", "-q", "--detach")
    (folder := ticked.root / ".git/worktrees/theirs/rebase-merge").mkdir()
    (folder / "head-name").write_text("refs/heads/results\n")
    with pytest.raises(RefusedError, match="rebase of branch results"):
        on(ticked).commit([OURS], "no")
    assert "rebase" in on(ticked).commit_refusal()


def test_a_hook_that_protects_the_branch(ticked):
    """What refuses the update of the ref is quoted, and the branch is not made."""
    ticked.hook("reference-transaction", 'grep -q results && echo "keep off" >&2 && exit 1; exit 0')
    before = state(ticked)
    with pytest.raises(RefusedError, match="keep off"):
        on(ticked).commit([OURS], "no")
    assert state(ticked) == before
    assert ticked.git("branch", "--list", "results") == ""


def test_signing_as_configured(ticked, tmp_path):
    """With commit.gpgSign the commit is signed, and not made if that fails."""
    signer = tmp_path / "signer"
    script = 'cat >/dev/null; echo "[GNUPG:] SIG_CREATED D" >&2; echo SIGNED; exit $(cat "$0.exit")'
    signer.write_text(f"#!/bin/sh\n{script}\n")
    signer.chmod(0o755)
    (tmp_path / "signer.exit").write_text("0")
    ticked.git("config", "gpg.program", str(signer))
    ticked.git("config", "commit.gpgsign", "yes")
    assert "SIGNED" in ticked.git("cat-file", "commit", on(ticked).commit([OURS], "ours"))
    (tmp_path / "signer.exit").write_text("1")
    ticked.write(OURS, "again\n")
    before = state(ticked)
    with pytest.raises(RefusedError, match="failed to sign"):
        on(ticked).commit([OURS], "no")
    assert state(ticked) == before


def test_a_commit_of_somebody_else_in_between(ticked):
    """A branch that moves while we commit gets our commit on top of theirs."""
    assert on(ticked).commit([OURS], "ours") is not None
    once = 'test -e .git/once || { touch .git/once; git update-ref refs/heads/results "$NEW"; }'
    tree = ticked.git("rev-parse", "results^{tree}")
    theirs = ticked.git("commit-tree", tree, "-p", "results", "-m", "theirs")
    ticked.git("config", "gpg.program", str(ticked.root / ".git/signer"))
    ticked.git("config", "commit.gpgsign", "true")
    signer = ticked.root / ".git/signer"
    sign = 'cat >/dev/null; echo "[GNUPG:] SIG_CREATED D" >&2; echo SIGNED'
    signer.write_text(f"#!/bin/sh\nNEW={theirs}\n{once}\n{sign}\n")
    signer.chmod(0o755)
    ticked.write(OURS, "again\n")
    sha = on(ticked).commit([OURS], "ours again")
    assert ticked.git("log", "--format=%s", "-3", sha).splitlines() == [
        "ours again",
        "theirs",
        "ours",
    ]


def test_a_branch_that_cannot_be_written(ticked):
    """A lock on the ref that stays is a conflict; a git folder that is no folder, the machine's."""
    lock = ticked.root / ".git/refs/heads/results.lock"
    lock.write_bytes(b"")
    with pytest.raises(ConflictError, match="cannot lock ref"):
        on(ticked).commit([OURS], "no")
    lock.unlink()
    repository = on(ticked)
    git_dir = ticked.root / ".git"
    moved = git_dir.with_name("moved")
    git_dir.rename(moved)
    git_dir.write_text(f"gitdir: {moved}\n")
    with pytest.raises(EnvironmentFailure, match="nothing committed"):
        repository.commit([OURS], "no")


def test_a_workspace_in_a_submodule(tree, tmp_path):
    """Commits of a workspace inside a submodule land on the submodule's branch."""
    tree.git("clone", "-q", ".", str(tmp_path / "origin"))
    tree.git("submodule", "add", "-q", str(tmp_path / "origin"), "vendor")
    tree.write(f"vendor/{OURS}", "edited\n")
    inner = type(tree)(tree.root / "vendor")
    before = inner.git("rev-parse", "HEAD")
    sha = on(inner).commit([OURS], "inside")
    assert inner.git("rev-parse", "results") == sha
    assert inner.git("rev-parse", "HEAD") == before
    assert tree.git("branch", "--list", "results") == ""
