import subprocess
import sys

import pytest

from orchestrator.errors import EnvironmentFailure, NotFoundError
from orchestrator.git import Repository, blob_id


def test_find_from_any_subfolder(tree):
    """The repository is found from any folder in it, also one that does not exist yet."""
    folder = tree.root / "a" / "b"
    folder.mkdir(parents=True)
    found = Repository.find(folder / "not yet" / "there")
    assert found is not None
    assert found.root == tree.root
    assert found.git_dir == found.common_dir == tree.root / ".git"


def test_find_nothing_outside(tmp_path):
    """A folder that is in no repository has none."""
    assert Repository.find(tmp_path) is None


def test_find_nothing_without_work_tree(tree, tmp_path):
    """A bare repository and the inside of `.git` are no work trees."""
    tree.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    assert Repository.find(tmp_path / "bare.git") is None
    assert Repository.find(tree.root / ".git" / "refs") is None


def test_find_nothing_without_git_program(tree, tmp_path):
    """Without a git program there is no repository, and no traceback either."""
    script = (
        "import sys; from pathlib import Path; from orchestrator.git import Repository; "
        "print(Repository.find(Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tree.root)],
        env={"PATH": str(tmp_path / "nothing"), "PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "None"), done.stderr


def test_find_says_why_git_refuses(tree):
    """A repository that git cannot read is an error that quotes git, not a silent none."""
    (tree.root / ".git" / "config").write_text("[core\n")
    with pytest.raises(EnvironmentFailure, match="bad config"):
        Repository.find(tree.root)


def test_importing_loads_no_gitpython():
    """Importing the module does not load GitPython, which costs 80 ms."""
    script = "import sys, orchestrator.git; print('git' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_clean_snapshot(tree, tmp_path):
    """A clean tree has its commit and branch, no patch and no untracked names."""
    state = tree.repository.snapshot(tmp_path / "snapshot.patch")
    assert (state.commit, state.branch) == (tree.git("rev-parse", "HEAD"), "main")
    assert not state.patch
    assert state.untracked == ()
    assert not (tmp_path / "snapshot.patch").exists()


def test_patch_rebuilds_the_tree(tree, tmp_path):
    """The patch applied to the commit gives the tracked files of the moment, byte for byte."""
    tree.save("data.bin", "old\0bytes")
    tree.save("gone.txt", "away\n")
    tree.git("config", "diff.noprefix", "true")
    tree.git("config", "color.ui", "always")
    tree.git("config", "diff.external", "false")
    (tree.root / "data.bin").write_bytes(bytes(range(256)) * 20)
    tree.write("train.py", "a = 1\r\nb = zwei\n")
    (tree.root / "gone.txt").unlink()
    tree.write("new ünit.py", "staged = True\n")
    tree.git("add", "new ünit.py")
    patch = tmp_path / "snapshot.patch"
    state = tree.repository.snapshot(patch)
    assert state.patch
    tree.git("clone", "-q", ".", str(tmp_path / "again"))
    subprocess.run(["git", "apply", str(patch)], cwd=tmp_path / "again", check=True)
    for name in ("data.bin", "train.py", "new ünit.py"):
        assert (tmp_path / "again" / name).read_bytes() == (tree.root / name).read_bytes()
    assert not (tmp_path / "again" / "gone.txt").exists()


def test_snapshot_without_a_place_for_the_patch(tree):
    """Without a place for the patch the snapshot still says whether files differ."""
    assert not tree.repository.snapshot().patch
    tree.write("train.py", "a = 2\n")
    assert tree.repository.snapshot().patch


def test_untracked_names(tree):
    """Untracked files are listed by name, ignored ones are not."""
    tree.write(".gitignore", "*.log\n")
    tree.write("ärger notes.txt", "x")
    tree.write("runs/out.log", "x")
    assert tree.repository.snapshot().untracked == (".gitignore", "ärger notes.txt")


def test_a_thousand_untracked_names_become_folders(tree):
    """A forgotten data folder is one name, so that run.json stays small."""
    for number in range(1001):
        tree.write(f"data/{number}.npy", "")
    assert tree.repository.snapshot().untracked == ("data/",)


def test_unborn_branch(empty, tmp_path):
    """Before the first commit there is a branch but no commit, and staged files are the patch."""
    empty.write("train.py", "a = 1\n")
    empty.git("add", "train.py")
    state = empty.repository.snapshot(tmp_path / "snapshot.patch")
    assert (state.commit, state.branch, state.patch) == (None, "main", True)
    assert "+a = 1" in (tmp_path / "snapshot.patch").read_text()


def test_detached_head(tree):
    """A detached HEAD has a commit and no branch, and that is said."""
    tree.git("checkout", "-q", "--detach")
    state = tree.repository.snapshot()
    assert (state.commit, state.branch) == (tree.git("rev-parse", "HEAD"), None)
    assert tree.repository.is_detached()


def test_worktree_has_its_own_branch(tree, tmp_path):
    """A worktree has a git folder of its own and shares the common one."""
    tree.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side tree"))
    found = Repository.find(tmp_path / "side tree")
    assert found is not None
    assert found.snapshot().branch == "side"
    assert found.git_dir != found.common_dir
    assert found.common_dir == tree.repository.common_dir


def test_submodule_is_a_repository_of_its_own(tree, tmp_path):
    """In a submodule its own commit counts, and its files do not leak into the outer patch."""
    tree.git("clone", "-q", ".", str(tmp_path / "origin"))
    tree.git("submodule", "add", "-q", str(tmp_path / "origin"), "vendor")
    tree.git("commit", "-q", "-m", "vendor")
    inner = Repository.find(tree.root / "vendor")
    assert inner is not None
    assert inner.root == tree.root / "vendor"
    tree.write("vendor/train.py", "changed inside\n")
    assert inner.snapshot().patch
    assert not tree.repository.snapshot(tmp_path / "outer.patch").patch


def test_outer_hook_variables_do_not_confuse(tree, tmp_path, monkeypatch):
    """What a git hook of another repository exports does not move us there."""
    tree.git("clone", "-q", ".", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / ".git" / "index"))
    found = Repository.find(tree.root)
    assert found is not None
    assert found.root == tree.root
    tree.write("only here.txt", "x")
    assert found.snapshot().untracked == ("only here.txt",)


def test_changed_files_since_a_commit(tree):
    """Files changed since a commit hold the committed and the open changes of tracked files."""
    first = tree.git("rev-parse", "HEAD")
    tree.save("models/größe.py", "x\n")
    tree.write("train.py", "a = 9\n")
    tree.write("untracked.py", "x\n")
    assert tree.repository.changed_files(first) == ["models/größe.py", "train.py"]
    assert tree.repository.changed_files(tree.git("rev-parse", "HEAD")) == ["train.py"]


@pytest.mark.parametrize("commit", ["0" * 40, "--output=stolen", "no such branch"])
def test_changed_files_since_an_unknown_commit(tree, commit):
    """An unknown commit is an error with a way on, and no text becomes an option of git."""
    with pytest.raises(NotFoundError, match="no commit"):
        tree.repository.changed_files(commit)
    assert not (tree.root / "stolen").exists()


@pytest.mark.parametrize("data", [b"", b"a\n", bytes(range(256)), b"\r\n" * 1000])
def test_blob_is_gits_own_hash(tree, data):
    """The blob id is what `git hash-object` says."""
    (tree.root / "file").write_bytes(data)
    said = tree.git("hash-object", "--no-filters", "file")
    assert tree.repository.blob(data) == blob_id(data) == said


def test_blob_in_a_sha256_repository(empty, tmp_path):
    """A repository of the newer object format gets ids of that format."""
    empty.git("init", "-q", "--object-format=sha256", str(tmp_path / "new"))
    found = Repository.find(tmp_path / "new")
    assert found is not None
    assert found.blob(b"x") == blob_id(b"x", "sha256")
