"""The cache of generated sets: built once, by whoever comes first, whole or not at all."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import wait_for
from puzzle_sets import set_of

from models import puzzles

ROOT = Path(__file__).resolve().parents[2]
# Asks for a set as soon as `go` is there, and tells of every build.
ASK = """
import sys, time
from pathlib import Path
from models import puzzles
from puzzle_sets import set_of
def build():
    print("build", flush=True)
    return set_of()
print("ready", flush=True)
while not Path(sys.argv[1]).exists():
    time.sleep(0.001)
print(puzzles.cached("small", {"seed": 0}, build))
"""
# Builds on a disk that hangs in the middle of an array, when most of the set is written.
HANG = """
import time
import numpy as np
from dataclasses import replace
from models import puzzles
from puzzle_sets import set_of
class Hanging(np.ndarray):
    def tofile(self, file):
        file.write(b"torn")
        file.flush()
        print("hanging", flush=True)
        time.sleep(3600)
def build():
    whole = set_of()
    return replace(whole, test=replace(whole.test, labels_NS=whole.test.labels_NS.view(Hanging)))
puzzles.cached("small", {"seed": 0}, build)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of this test's own, in a path with a space."""
    folder = tmp_path / "the cache"
    monkeypatch.setenv("EXP_PUZZLE_CACHE", str(folder))
    return folder


@pytest.fixture
def start():
    """Starts a program; none outlives the test."""
    started = []

    def program(text, *words):
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        process = subprocess.Popen(
            [sys.executable, "-c", text, *map(str, words)],
            env=os.environ | {"PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield program
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def never():
    pytest.fail("built again")


def shown(cache):
    return [path for path in cache.iterdir() if path.is_dir()]


def whole(folder):
    return all(puzzles.read_split(folder, part).examples == 6 for part in ("train", "test"))


def test_a_set_is_built_once(cache):
    """The second request finds the folder; its name is the set's and eight digits."""
    folder = puzzles.cached("small", {"seed": 0}, set_of)
    assert puzzles.cached("small", {"seed": 0}, never) == folder
    assert folder.parent == cache
    assert re.fullmatch(r"small-[0-9a-f]{8}", folder.name)
    assert whole(folder)


@pytest.mark.parametrize(("name", "settings"), [("small", {"seed": 1}), ("other", {"seed": 0})])
def test_other_settings_are_another_folder(name, settings):
    """Name and settings both count; their order does not."""
    first = puzzles.cached("small", {"seed": 0}, set_of)
    assert puzzles.cached(name, settings, set_of) != first
    assert puzzles.cached("small", {"a": 1, "b": 2}, set_of) == puzzles.cached(
        "small", {"b": 2, "a": 1}, never
    )


def test_another_format_is_another_folder(monkeypatch):
    """What older code left in the cache is not taken for ours."""
    first = puzzles.cached("small", {}, set_of)
    monkeypatch.setattr(puzzles, "FORMAT", puzzles.FORMAT + 1)
    assert puzzles.cached("small", {}, set_of) != first


def test_where_the_cache_is(monkeypatch, tmp_path):
    """Without a folder of its own the cache follows the desktop's rule."""
    monkeypatch.delenv("EXP_PUZZLE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert puzzles.cached("s", {}, set_of).parent == tmp_path / "xdg" / "exp-puzzles"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert puzzles.cached("s", {}, set_of).parent == tmp_path / "home" / ".cache" / "exp-puzzles"


def test_a_build_that_fails_leaves_nothing(cache):
    """The error of the build comes through, and the next request builds."""

    def fail():
        raise ValueError("no such set")

    with pytest.raises(ValueError, match="no such set"):
        puzzles.cached("small", {}, fail)
    assert shown(cache) == []
    assert whole(puzzles.cached("small", {}, set_of))


def test_processes_that_ask_at_once_build_once(cache, tmp_path, start):
    """Four processes get the same whole folder, and one of them built it."""
    go = tmp_path / "go"
    asking = [start(ASK, go) for _ in range(4)]
    for process in asking:
        assert process.stdout.readline() == "ready\n"
    go.touch()
    said = [process.communicate()[0].splitlines() for process in asking]
    assert [process.returncode for process in asking] == [0] * 4
    assert sum(lines.count("build") for lines in said) == 1
    assert {lines[-1] for lines in said} == {str(path) for path in shown(cache)}
    assert whole(shown(cache)[0])


def test_a_killed_build_leaves_no_torn_folder(cache, start):
    """kill -9 in the middle of an array: whoever waited builds, and clears away the rest."""
    hanging = start(HANG)
    assert hanging.stdout.readline() == "hanging\n"
    (torn,) = shown(cache)
    assert torn.name.startswith(".")
    assert b"torn" in (torn / "test" / "all__labels.npy").read_bytes()
    waiting = start(ASK, ROOT)
    assert waiting.stdout.readline() == "ready\n"
    wait_for(lambda: blocked(waiting.pid), what="the second process to wait for the first")
    assert shown(cache) == [torn]
    hanging.kill()
    said = waiting.communicate()[0].splitlines()
    assert said[0] == "build"
    assert [str(path) for path in shown(cache)] == [said[-1]]
    assert whole(shown(cache)[0])


def blocked(pid):
    """Whether a process waits for a lock."""
    waiters = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return any(words[1] == "->" and words[5] == str(pid) for words in waiters)
