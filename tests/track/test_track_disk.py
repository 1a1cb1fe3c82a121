"""Disks that fill up, fail, or vanish: warned of once, and what fits later is written."""

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator import track
from orchestrator.track import channel
from orchestrator.track.channel import Channel

WARNING = "points wait in memory"


def steps_of(file: Path) -> list[int]:
    """Steps of a file's points; every line must be whole."""
    return [
        line["step"] for line in map(json.loads, file.read_text().splitlines()) if "metrics" in line
    ]


def test_what_did_not_fit_on_a_full_disk_is_written_when_it_fits(home, program):
    """A full disk costs one warning: the torn line is completed, the rest follows in order."""
    process = program(
        "import resource, sys\n"
        "from orchestrator import track\n"
        "run = track.init()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))\n"
        "for step in range(200):\n"
        "    run.log({'a': 1 / 3, 'b': 2 / 3}, step=step)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**40, resource.RLIM_INFINITY))\n"
        "run.log({'a': 1.0}, step=999)\n"
        "run.finish()\n"
        "sys.exit(42)\n",
        home.variables,
    )
    _, said = process.communicate(timeout=60)
    assert process.returncode == 42
    assert said.count("exp track") == said.count(WARNING) == 1
    assert [point["step"] for point in home.points()] == [*range(200), 999]
    assert home.events("lost") == []


def test_memory_of_a_full_disk_is_bounded_and_the_loss_is_counted(home, program):
    """Beyond a megabyte the oldest lines go; an event in their place says how many."""
    process = program(
        "import resource\n"
        "from orchestrator import track\n"
        "run = track.init()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))\n"
        "for step in range(20_000):\n"
        "    run.log({'a': 1 / 3, 'b': 2 / 3}, step=step)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**40, resource.RLIM_INFINITY))\n"
        "run.finish()\n",
        home.variables,
    )
    process.communicate(timeout=60)
    steps = [point["step"] for point in home.points()]
    (lost,) = home.events("lost")
    gap = next(index for index, step in enumerate(steps) if step != index)
    assert 0 < gap < 30
    assert steps[gap:] == list(range(steps[gap], 20_000))
    assert lost["data"]["lines"] == 20_000 - len(steps)
    assert len(home.events("finish")) == 1
    (file,) = home.attempt.glob("events-*.jsonl")
    assert channel.KEPT - 4000 < file.stat().st_size < channel.KEPT + 4000


def test_end_on_a_full_disk_says_how_much_was_lost(home, program):
    """If there is never room the program ends as it would, with a last word on stderr."""
    process = program(
        "import resource, sys\n"
        "from orchestrator import track\n"
        "run = track.init()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "for step in range(100):\n"
        "    run.log({'a': 1 / 3}, step=step)\n"
        "sys.exit(3)\n",
        home.variables,
    )
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "lines were lost" in said


@pytest.fixture
def mounted(program, tmp_path):
    """Start a program in a mount namespace of its own, with `disk/` a file system of 64 KiB."""
    able = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True,
        check=False,
    )
    if able.returncode != 0:
        pytest.skip("no right to mount here")
    (tmp_path / "disk").mkdir()
    begin = (
        "import os, shutil, subprocess, sys\n"
        "os.unshare = __import__('ctypes').CDLL(None, use_errno=True).unshare\n"
        "assert os.unshare(0x00020000) == 0\n"
        "def mount(*words): subprocess.run(['mount', *words], check=True)\n"
        "mount('--make-rprivate', '/')\n"
        "mount('-t', 'tmpfs', '-o', 'size=64k', 'none', 'disk')\n"
        "os.makedirs('disk/R-000001/attempt-1')\n"
        "os.environ['EXP_RUN_DIR'] = os.path.abspath('disk/R-000001')\n"
        "from orchestrator import track\n"
    )
    end = "shutil.copytree('disk/R-000001/attempt-1', 'seen')\n"

    def start(source: str) -> tuple[Path, str]:
        process = program(begin + source + end)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        (file,) = (tmp_path / "seen").glob("events-*.jsonl")
        return file, said

    return start


def test_a_small_disk_that_somebody_frees(mounted):
    """On a real full file system nothing is lost once the big file is gone."""
    file, said = mounted(
        "run = track.init()\n"
        "try:\n"
        "    with open('disk/big', 'wb', buffering=0) as big:\n"
        "        while big.write(b'x' * 4096) == 4096: pass\n"
        "except OSError: pass\n"
        "for step in range(500):\n"
        "    run.log({'a': 1 / 3}, step=step)\n"
        "os.unlink('disk/big')\n"
        "run.finish()\n"
    )
    assert said.count(WARNING) == 1
    assert steps_of(file) == list(range(500))


def test_a_disk_that_turns_read_only_and_back(mounted):
    """Points that come while the disk is read-only are written when it can be written again."""
    file, said = mounted(
        "mount('-o', 'remount,ro', 'disk')\n"
        "run = track.init()\n"
        "for step in range(50):\n"
        "    run.log({'a': 1 / 3}, step=step)\n"
        "mount('-o', 'remount,rw', 'disk')\n"
        "for step in range(50, 60):\n"
        "    run.log({'a': 1 / 3}, step=step)\n"
        "run.finish()\n"
    )
    assert said.count("exp track") == said.count("Read-only file system") == 1
    assert steps_of(file) == list(range(60))


FAILING = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>
ssize_t write(int fd, const void *data, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    if (fd >= 200 && access("failing", F_OK) == 0) { errno = EIO; return -1; }
    if (fd >= 200 && access("short", F_OK) == 0 && size > 7) size = 7;
    return real(fd, data, size);
}
"""


@pytest.mark.parametrize("fault", ["failing", "short"])
def test_a_disk_with_errors(home, program, tmp_path, fault):
    """EIO, and writes that take seven bytes at a time, tear and lose no line."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    (tmp_path / "failing.c").write_text(FAILING)
    command = ["cc", "-shared", "-fPIC", "-o", "failing.so", "failing.c", "-ldl"]
    subprocess.run(command, cwd=tmp_path, check=True)
    process = program(
        "import os, threading\n"
        "from orchestrator import track\n"
        "run = track.init()\n"
        "run.log({'a': 1 / 3}, step=0)\n"
        f"open({fault!r}, 'w').close()\n"
        "for step in range(1, 100):\n"
        "    run.log({'a': 1 / 3}, step=step)\n"
        f"os.unlink({fault!r})\n"
        "run.log({'a': 1 / 3}, step=100)\n"
        "run.finish()\n",
        {**home.variables, "LD_PRELOAD": str(tmp_path / "failing.so")},
    )
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert [point["step"] for point in home.points()] == list(range(101))
    assert said.count(WARNING) == (1 if fault == "failing" else 0)


def test_a_deleted_folder_is_warned_of_once_and_written_to_when_it_is_back(home, until, capsys):
    """Points logged without the folder wait for it; what lay in it is gone, and that is said."""
    run = track.init()
    run.log({"a": 1.0}, step=0)
    shutil.rmtree(home.attempt)
    until(lambda: run.log({"a": 1.0}, step=1) or run._channel._waiting)
    run.log({"a": 1.0}, step=2)
    home.attempt.mkdir()
    run.finish()
    assert [point["step"] for point in home.points()][-1] == 2
    assert {point["step"] for point in home.points()} == {1, 2}
    said = capsys.readouterr().err
    assert said.count("was deleted, with the points in it") == 1
    assert said.count(WARNING) == 1


def test_a_folder_that_stays_away_does_not_disturb_training(home, program):
    """Deleted for good: the calls return, the program ends with its own code."""
    process = program(
        "import shutil, sys, time\n"
        "from orchestrator import track\n"
        "run = track.init()\n"
        "run.log({'a': 1.0})\n"
        "shutil.rmtree(run.dir)\n"
        "deadline = time.monotonic() + 1.5\n"
        "while time.monotonic() < deadline:\n"
        "    run.log({'a': 1.0})\n"
        "    time.sleep(0.01)\n"
        "run.checkpoint_dir(3)\n"
        "assert not run.should_stop()\n"
        "sys.exit(5)\n",
        home.variables,
    )
    _, said = process.communicate(timeout=60)
    assert process.returncode == 5, said
    assert said.count(WARNING) == 1
    assert "lines were lost" in said


def test_descriptors_that_run_out_and_come_back(home, program):
    """With no descriptor left at the first point, it is written when there is one."""
    process = program(
        "import os, resource\n"
        "from orchestrator import track\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 4096))\n"
        "taken = []\n"
        "try:\n"
        "    while True: taken.append(os.open('/dev/null', os.O_RDONLY))\n"
        "except OSError: pass\n"
        "run = track.init()\n"
        "for step in range(5):\n"
        "    run.log({'a': 1.0}, step=step)\n"
        "[os.close(one) for one in taken]\n"
        "run.finish()\n",
        home.variables,
    )
    _, said = process.communicate(timeout=60)
    assert said.count("Too many open files") == 1
    assert [point["step"] for point in home.points()] == list(range(5))


def test_a_number_that_became_another_file_is_noticed(tmp_path, until):
    """If our descriptor is somebody else's by now, his file is left alone within a second."""
    own = tmp_path / "own.bin"
    channel = Channel(tmp_path, "events-h-0")
    channel.write("{}\n")
    with own.open("wb") as file:
        os.dup2(file.fileno(), channel._descriptor)
        until(lambda: channel.write("{}\n") or (channel._file != (0, 0) and _steady(own, channel)))
        size = own.stat().st_size
        channel.write('{"last":1}\n')
        assert own.stat().st_size == size
    assert channel.path.read_text().endswith('{"last":1}\n')


def _steady(own: Path, channel: Channel) -> bool:
    size = own.stat().st_size
    channel.write("{}\n")
    return own.stat().st_size == size


def test_a_line_that_a_dead_process_of_our_pid_left_torn(tmp_path):
    """A torn last line, from a killed process whose pid we got, does not swallow our first."""
    channel = Channel(tmp_path, "events-h-0")
    channel.path.write_text('{"step":1}\n{"ste')
    channel.write('{"step":2}\n')
    channel.close()
    whole = []
    for line in channel.path.read_text().splitlines():
        with contextlib.suppress(ValueError):
            whole.append(json.loads(line))
    assert whole == [{"step": 1}, {"step": 2}]


@pytest.mark.parametrize("umask", [0o077, 0o222])
def test_umask_of_the_program_is_kept(home, program, umask):
    """The file has the rights that the program wants for its files, and is written all the same."""
    process = program(
        f"import os\nos.umask({umask})\n"
        "from orchestrator import track\n"
        "run = track.init()\n"
        "os.chdir('/')\n"
        "run.log({'a': 1.0}, step=1)\n",
        home.variables,
    )
    _, said = process.communicate(timeout=60)
    assert said == ""
    (file,) = home.attempt.glob("events-*.jsonl")
    assert file.stat().st_mode & 0o777 == 0o666 & ~umask
    assert steps_of(file) == [1]
