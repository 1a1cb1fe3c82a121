import dataclasses
import shutil
import subprocess
import sys

import pytest

from orchestrator.errors import ConflictError, EnvironmentFailure, RefusedError
from orchestrator.git import Repository, commit

OURS = "tickets/T-0001.md"


@pytest.fixture
def ticked(tree):
    """A repository whose ticket we have just edited."""
    tree.write(OURS, "# T-0001: first\n- [x] done\n")
    return tree


def test_message_and_trailers(ticked):
    """The message is subject, body and trailers that git itself can read."""
    sha = ticked.repository.commit(
        [OURS],
        "T-0001: 3 of 4\ncriteria\x1b met",
        body="# a line with a hash\n\nsecond\0\x9bparagraph",
        trailers={"Ticket": "T-0001", "Run": "R-000042"},
    )
    assert sha == ticked.git("rev-parse", "HEAD")
    said = ticked.git("log", "-1", "--format=%B")
    assert said.splitlines()[0] == "T-0001: 3 of 4 criteria met"
    assert "# a line with a hash\n\nsecond  paragraph" in said
    trailers = ticked.git("log", "-1", "--format=%(trailers:only,unfold)")
    assert trailers.split("\n")[:2] == ["Ticket: T-0001", "Run: R-000042"]
    assert ticked.git("log", "-1", "--format=%an <%ae>") == "Ada Löve <ada@example.org>"


def test_nothing_to_commit(tree):
    """Files that are committed as they stand make no commit, and the index stays as it is."""
    head, index = tree.git("rev-parse", "HEAD"), tree.index()
    tree.write("train.py", "of the user\n")
    assert tree.repository.commit([OURS, tree.root / "tickets" / "T-0001.md"], "no") is None
    assert tree.repository.commit([], "no") is None
    assert (tree.git("rev-parse", "HEAD"), tree.index()) == (head, index)


def test_users_work_is_left_alone(ticked):
    """Staged, partly staged, deleted, renamed and untracked work of the user stays as it was."""
    ticked.save("gone.txt", "x\n")
    ticked.save("old name.txt", "a long enough text to be seen as renamed\n")
    ticked.save("kept.txt", "x\n")
    ticked.write("train.py", "a = 2\nb = 2\nc = 3\nd = 4\ne = 5\n")
    ticked.git("add", "train.py")
    ticked.write("train.py", "a = 2\nb = 2\nc = 3\nd = 4\ne = 6\n")
    ticked.git("rm", "-q", "gone.txt")
    ticked.git("mv", "old name.txt", "neuer name.txt")
    (ticked.root / "kept.txt").unlink()
    ticked.write("staged new.py", "x\n")
    ticked.git("add", "staged new.py")
    ticked.write("intended.py", "x\n")
    ticked.git("add", "-N", "intended.py")
    ticked.write("untracked.py", "x\n")
    before = _status_without_ours(ticked)
    staged = ticked.git("diff", "--cached", "--", ":!tickets")
    sha = ticked.repository.commit([OURS], "ours")
    assert ticked.names_in(sha) == ["M", OURS]
    assert _status_without_ours(ticked) == before
    assert ticked.git("diff", "--cached", "--", ":!tickets") == staged
    assert ticked.git("status", "--porcelain", "--", "tickets") == ""


def _status_without_ours(tree):
    return [line for line in tree.git("status", "--porcelain=v2").splitlines() if OURS not in line]


def test_new_file_is_committed_alone(ticked):
    """A report that git never saw is committed, and a neighbour in its folder is not."""
    name = "experiments/a b/reports/R-000042/Bericht é*.md"
    ticked.write(name, "report\n")
    ticked.write("experiments/a b/reports/R-000042/Bericht é2.md", "of the user\n")
    sha = ticked.repository.commit([ticked.root / name, OURS], "report")
    changed = ticked.names_in(sha)
    assert dict(zip(changed[1::2], changed[::2], strict=True)) == {OURS: "M", name: "A"}
    assert ticked.git("status", "--porcelain", "-uall", "-z").count("??") == 1


def test_our_file_staged_by_the_user(ticked):
    """A version of our file that the user staged gives way to what stands on disk."""
    ticked.git("add", OURS)
    ticked.write(OURS, "# T-0001: first\n- [x] done\n- [ ] more\n")
    sha = ticked.repository.commit([OURS], "ours")
    assert ticked.git("show", f"{sha}:{OURS}").endswith("- [ ] more")
    assert ticked.git("status", "--porcelain") == ""


def test_our_new_file_staged_by_the_user(tree):
    """A new file of ours that the user staged already is committed once and no longer staged."""
    tree.write("report.md", "x\n")
    tree.git("add", "report.md")
    tree.write("train.py", "staged\n")
    tree.git("add", "train.py")
    assert tree.names_in(tree.repository.commit(["report.md"], "report")) == ["A", "report.md"]
    assert tree.git("status", "--porcelain") == "M  train.py"


def test_our_file_gone_from_disk(tree):
    """A file of ours that was deleted on disk is committed as a deletion."""
    (tree.root / OURS).unlink()
    assert tree.names_in(tree.repository.commit([OURS], "gone")) == ["D", OURS]
    assert tree.git("status", "--porcelain") == ""


def test_first_commit_of_a_repository(empty):
    """On an unborn branch the first commit holds our file and leaves the user's staged ones."""
    empty.write("train.py", "x\n")
    empty.git("add", "train.py")
    empty.write(OURS, "# T-0001: first\n")
    sha = empty.repository.commit([OURS], "start")
    assert empty.names_in(sha) == ["A", OURS]
    assert empty.git("status", "--porcelain") == "A  train.py"


def test_first_commit_into_an_empty_index(empty):
    """A repository without an index file gets one that agrees with the commit."""
    empty.write(OURS, "# T-0001: first\n")
    assert empty.repository.commit([OURS], "start") is not None
    assert empty.git("status", "--porcelain") == ""


def test_commit_in_a_worktree(tree, tmp_path):
    """A commit made in a worktree lands on that worktree's branch and on no other."""
    tree.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side tree"))
    main = tree.git("rev-parse", "main")
    (tmp_path / "side tree" / OURS).write_text("edited\n")
    side = Repository.find(tmp_path / "side tree")
    assert side is not None
    sha = side.commit([OURS], "on the side")
    assert tree.git("rev-parse", "side") == sha
    assert tree.git("rev-parse", "main") == main
    assert tree.git("status", "--porcelain") == ""


def test_commit_in_a_submodule(tree, tmp_path):
    """A commit made inside a submodule belongs to it; from outside its files are refused."""
    tree.git("clone", "-q", ".", str(tmp_path / "origin"))
    tree.git("submodule", "add", "-q", str(tmp_path / "origin"), "vendor")
    tree.git("commit", "-q", "-m", "vendor")
    tree.git("checkout", "-q", "main")
    tree.write(f"vendor/{OURS}", "edited\n")
    with pytest.raises(RefusedError, match="submodule"):
        tree.repository.commit([f"vendor/{OURS}"], "from outside")
    inner = Repository.find(tree.root / "vendor")
    assert inner is not None
    head = tree.git("rev-parse", "HEAD")
    assert inner.commit([OURS], "inside") is not None
    assert tree.git("rev-parse", "HEAD") == head


def test_link_is_committed_as_a_link(tree):
    """A symbolic link among our paths is committed as a link, not followed."""
    (tree.root / "latest.md").symlink_to(OURS)
    sha = tree.repository.commit(["latest.md"], "link")
    assert tree.git("ls-tree", sha, "latest.md").startswith("120000")


@pytest.mark.parametrize("path", ["../outside.md", "tickets", "."])
def test_only_files_of_the_repository(ticked, tmp_path, path):
    """A folder, or a file outside, is refused before anything happens."""
    (tmp_path / "outside.md").write_text("x")
    with pytest.raises(RefusedError, match="no file of the repository"):
        ticked.repository.commit([path], "no")
    assert ticked.git("status", "--porcelain") == f" M {OURS}"


def test_ignored_file_is_refused(tree):
    """A file that the user has told git to ignore is not forced in."""
    tree.save(".gitignore", "*.svg\n")
    tree.write("curves.svg", "<svg/>")
    index = tree.index()
    with pytest.raises(RefusedError, match="ignored") as caught:
        tree.repository.commit(["curves.svg"], "no")
    assert ".gitignore" in caught.value.hint
    assert tree.index() == index


@pytest.mark.parametrize(
    "hook", ["pre-commit", "commit-msg", "prepare-commit-msg", "reference-transaction"]
)
def test_failing_hook_changes_nothing(ticked, hook):
    """A hook that says no is quoted, and index, HEAD and files are byte for byte as before."""
    ticked.write("report.md", "new\n")
    ticked.write("train.py", "staged\n")
    ticked.git("add", "train.py")
    ticked.hook(
        hook, "echo 'line too long in report.md' >&2; printf '\\033[31mred\\033[0m'; exit 1"
    )
    before = (ticked.index(), ticked.git("rev-parse", "HEAD"), _left_in_git(ticked))
    with pytest.raises(RefusedError, match=r"line too long in report\.md") as caught:
        ticked.repository.commit([OURS, "report.md"], "no")
    assert "\033" not in str(caught.value)
    assert (ticked.index(), ticked.git("rev-parse", "HEAD"), _left_in_git(ticked)) == before
    assert (ticked.root / "report.md").read_text() == "new\n"


def _left_in_git(tree):
    return sorted(p.name for p in (tree.root / ".git").iterdir() if p.name != "COMMIT_EDITMSG")


def test_hooks_see_only_our_files(ticked):
    """A hook sees our files as staged and nothing of the user's, as in a commit by hand."""
    ticked.write("train.py", "staged\n")
    ticked.git("add", "train.py")
    ticked.hook("pre-commit", "git diff --cached --name-only > .git/seen; env > .git/seen-env")
    ticked.hook("post-commit", "git rev-parse HEAD > .git/after; exit 1")
    sha = ticked.repository.commit([OURS], "ours")
    assert (ticked.root / ".git" / "seen").read_text() == f"{OURS}\n"
    assert (ticked.root / ".git" / "after").read_text().strip() == sha
    assert "GIT_LITERAL_PATHSPECS" not in (ticked.root / ".git" / "seen-env").read_text()


def test_hanging_hook_is_ended(ticked):
    """A hook that never ends is ended at the limit, with everything as before."""
    ticked.hook("pre-commit", "exec sleep 1000")
    index = ticked.index()
    with pytest.raises(RefusedError, match="did not complete"):
        dataclasses.replace(ticked.repository, hook_limit=0.5).commit([OURS], "no")
    assert ticked.index() == index
    assert ticked.repository.commit_refusal() is None


def test_unknown_author_is_refused(ticked, tmp_path):
    """Without a name and an address git would refuse or guess; the hint says how to set them."""
    (tmp_path / "home" / ".gitconfig").write_text("[user]\nuseConfigOnly = true\n")
    index = ticked.index()
    with pytest.raises(RefusedError, match="who you are") as caught:
        ticked.repository.commit([OURS], "no")
    assert "git config user.email" in caught.value.hint
    assert ticked.index() == index


def test_author_from_the_environment(ticked, tmp_path, monkeypatch):
    """An author named by the environment, as on build machines, is taken."""
    (tmp_path / "home" / ".gitconfig").write_text("[user]\nuseConfigOnly = true\n")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Bot")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "bot@example.org")
    assert ticked.repository.commit([OURS], "ours") is not None
    assert ticked.git("log", "-1", "--format=%an %ce") == "Bot bot@example.org"


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen to sign")
def test_commits_are_signed_if_so_configured(ticked, tmp_path):
    """With commit.gpgsign the commit carries a signature; a key that is gone refuses it."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    ticked.git("config", "gpg.format", "ssh")
    ticked.git("config", "user.signingkey", str(key))
    ticked.git("config", "commit.gpgsign", "true")
    sha = ticked.repository.commit([OURS], "ours")
    assert "gpgsig" in ticked.git("cat-file", "commit", sha)
    key.unlink()
    ticked.write(OURS, "again\n")
    index = ticked.index()
    with pytest.raises(RefusedError, match="nothing committed") as caught:
        ticked.repository.commit([OURS], "no")
    assert "signingkey" in caught.value.hint
    assert ticked.index() == index


def test_nothing_is_pushed(ticked, tmp_path):
    """A commit stays here, also where the branch has an upstream."""
    ticked.git("clone", "-q", "--bare", ".", str(tmp_path / "remote.git"))
    ticked.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    ticked.git("fetch", "-q", "origin")
    ticked.git("branch", "-q", "-u", "origin/main")
    before = ticked.git("ls-remote", "origin")
    assert ticked.repository.commit([OURS], "ours") is not None
    assert ticked.git("ls-remote", "origin") == before


def test_outer_hook_variables(ticked, tmp_path, monkeypatch):
    """Inside another repository's hook the commit lands here and leaves that index alone."""
    other = type(ticked)(tmp_path / "other")
    ticked.git("clone", "-q", ".", str(other.root))
    index = other.index()
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.root / ".git" / "index"))
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    sha = ticked.repository.commit([OURS], "ours")
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_LITERAL_PATHSPECS"):
        monkeypatch.delenv(name)
    assert ticked.git("rev-parse", "HEAD") == sha
    assert other.index() == index


def test_locked_index_is_a_conflict(ticked, monkeypatch):
    """A lock that stays is named, with the way on, and is not taken away from its owner."""
    monkeypatch.setattr(commit, "_LOCK_PATIENCE", 0.2)
    lock = ticked.root / ".git" / "index.lock"
    lock.write_bytes(b"theirs")
    with pytest.raises(ConflictError, match=r"index\.lock") as caught:
        ticked.repository.commit([OURS], "no")
    assert "try again" in caught.value.hint
    assert lock.read_bytes() == b"theirs"


def test_read_only_repository(ticked):
    """A git folder that cannot be written is an error of the machine, not a traceback."""
    git_dir = ticked.root / ".git"
    moved = git_dir.with_name("moved")
    repository = ticked.repository
    git_dir.rename(moved)
    git_dir.write_text(f"gitdir: {moved}\n")
    with pytest.raises(EnvironmentFailure, match="cannot lock"):
        repository.commit([OURS], "no")


def test_commits_at_once(tree):
    """Processes that commit at the same time all land, each with its own file only."""
    script = (
        "import sys; from pathlib import Path; from orchestrator.git import Repository\n"
        "print(Repository.find(Path(sys.argv[1])).commit([sys.argv[2]], sys.argv[2]))"
    )
    names = [f"tickets/T-{number:04d}.md" for number in range(2, 8)]
    for name in names:
        tree.write(name, name)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tree.root), name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    said = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0] * len(names), said
    for name, (sha, _) in zip(names, said, strict=True):
        assert tree.names_in(sha.strip()) == ["A", name]
    assert len(tree.git("log", "--format=%H").split()) == 1 + len(names)
    assert tree.git("status", "--porcelain") == ""
