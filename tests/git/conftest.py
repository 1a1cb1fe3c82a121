import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.git import Repository

HOME_CONFIG = """\
[user]
name = Ada Löve
email = ada@example.org
[init]
defaultBranch = main
[protocol "file"]
allow = always
[advice]
detachedHead = false
"""


@dataclass(frozen=True)
class Tree:
    """A real work tree and the git that people use on it."""

    root: Path

    def git(self, *words, check=True, stdin=None):
        done = subprocess.run(
            ["git", *words],
            cwd=self.root,
            check=False,
            capture_output=True,
            input=stdin,
            text=True,
        )
        assert not check or done.returncode == 0, f"git {words}: {done.stderr}"
        return done.stdout.rstrip("\n")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
        return path

    def save(self, name, text, message="a change"):
        self.write(name, text)
        self.git("add", "--", name)
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def hook(self, name, script):
        path = self.root / ".git" / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    @property
    def repository(self):
        found = Repository.find(self.root)
        assert found is not None
        return found

    def index(self):
        return (self.root / ".git" / "index").read_bytes()

    def names_in(self, commit="HEAD"):
        """Files that the commit changed against its first parent, with how."""
        how = ("--root", "--no-commit-id", "--name-status", "-r", "-z")
        return self.git("diff-tree", *how, commit).rstrip("\0").split("\0")


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    """No setting of the machine reaches these tests, and theirs reaches nothing."""
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(HOME_CONFIG, encoding="utf-8")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("EMAIL", raising=False)


@pytest.fixture(scope="session")
def _seed(tmp_path_factory):
    """A repository with one commit, copied for each test."""
    folder = tmp_path_factory.mktemp("seed")
    home = folder / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(HOME_CONFIG, encoding="utf-8")
    root = folder / "seed"
    root.mkdir()
    (root / "train.py").write_text("a = 1\nb = 2\nc = 3\nd = 4\ne = 5\n")
    (root / "tickets").mkdir()
    (root / "tickets" / "T-0001.md").write_text("# T-0001: first\n")
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "start"]):
        subprocess.run(["git", *words], cwd=root, check=True, env=env)
    return root


@pytest.fixture
def empty(tmp_path):
    """A repository without a commit, in a folder with a space and letters beyond ASCII."""
    root = tmp_path / "wörk späce"
    root.mkdir()
    tree = Tree(root)
    tree.git("init", "-q")
    return tree


@pytest.fixture
def tree(tmp_path, _seed):
    """A repository with one commit, in a folder with a space and letters beyond ASCII."""
    root = tmp_path / "wörk späce"
    shutil.copytree(_seed, root)
    return Tree(root)
