"""Whole-file writes, write-once records and locks."""

import os
import resource
import signal
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ConflictError, EnvironmentFailure, InvalidFileError
from orchestrator.fsio import locked, read_json, to_json, try_lock, write_atomic


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_atomic_write_replaces_content_and_keeps_the_mode(tmp_path):
    """An atomic write changes the bytes of a file and nothing else of it."""
    path = tmp_path / "a.md"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["a.md"]


def test_atomic_write_goes_through_a_symbolic_link(tmp_path):
    """A linked file is written where it lies; the link stays a link."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_write_once_has_one_winner_among_many_processes(tmp_path):
    """Of many processes that write a record at once exactly one creates it, and it is whole."""
    path = tmp_path / "exit.json"
    program = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from orchestrator.fsio import write_once
        print(write_once(Path(sys.argv[1]), sys.argv[2].encode() * 5000))
        """
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path), str(number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    answers = [racer.communicate()[0].strip() for racer in racers]
    winner = answers.index("True")
    assert answers.count("True") == 1
    assert path.read_bytes() == str(winner).encode() * 5000
    assert names(tmp_path) == ["exit.json"]


def test_full_disk_is_a_clear_error_and_leaves_the_old_file(tmp_path):
    """When no byte more can be written, the old content stays and the error names the file."""
    path = tmp_path / "ticket.md"
    path.write_bytes(b"precious")
    child = os.fork()
    if child == 0:
        # A limit on file size fails writes as a full disk does, without needing a disk.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            write_atomic(path, b"x" * 1000)
        except EnvironmentFailure as error:
            os._exit(0 if "ticket.md" in str(error) and error.hint else 2)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert path.read_bytes() == b"precious"
    assert names(tmp_path) == ["ticket.md"]


def test_lock_is_freed_by_the_death_of_its_holder(tmp_path):
    """A lock held by a killed process can be taken at once."""
    path = tmp_path / "lock"
    program = (
        "import sys, time; from pathlib import Path; from orchestrator.fsio import try_lock\n"
        "held = try_lock(Path(sys.argv[1])); print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    assert try_lock(path) is None
    with pytest.raises(ConflictError, match="somebody"), locked(path, busy="somebody has it"):
        pass
    holder.kill()
    holder.communicate()
    descriptor = try_lock(path)
    assert descriptor is not None
    os.close(descriptor)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_json_comes_back_as_it_was(tmp_path_factory, value):
    """What is written as JSON reads back equal, and equal values give equal bytes."""
    path = tmp_path_factory.mktemp("json") / "value.json"
    path.write_bytes(to_json({"value": value}))
    assert read_json(path) == {"value": value}
    assert to_json({"value": value}) == path.read_bytes()


def test_torn_json_is_an_error_that_names_the_file(tmp_path):
    """A record cut in the middle is reported with its path."""
    path = tmp_path / "run.json"
    path.write_bytes(b'{"id": "R-0')
    with pytest.raises(InvalidFileError, match=r"run\.json"):
        read_json(path)
