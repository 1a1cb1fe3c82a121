"""It must never hurt training: kills, forks, full disks, closed descriptors."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import track
from orchestrator.track.channel import Channel


def test_sigkill_loses_nothing_that_was_logged(home, program, until):
    """Every point whose `log` returned before SIGKILL is in the file, whole and in order."""
    process = program(
        "from orchestrator import track\n"
        "run = track.init()\n"
        "step = 0\n"
        "while True:\n"
        "    run.log({'a': 0.1, 'b': 2.5}, step=step)\n"
        "    print(step, flush=True)\n"
        "    step += 1\n",
        home.variables,
    )
    until(lambda: process.stdout.readline().strip() == "500")
    process.send_signal(signal.SIGKILL)
    said = [int(line) for line in process.stdout.read().splitlines() if line.strip()]
    process.wait()
    steps = [point["step"] for point in home.points()]
    assert steps == list(range(len(steps)))
    assert steps[-1] >= max(said, default=500)


def test_forked_children_write_files_of_their_own(home):
    """After a fork the child's points are in the child's file and the parent's in the parent's."""
    run = track.init()
    run.log({"who": 0})
    child = os.fork()
    if child == 0:
        run.log({"who": 1})
        run.finish()
        os._exit(0)
    os.waitpid(child, 0)
    run.log({"who": 0})
    by_pid = {
        int(file.stem.rpartition("-")[2]): [
            json.loads(line)["metrics"]["who"]
            for line in file.read_text().splitlines()
            if "metrics" in line
        ]
        for file in home.attempt.glob("events-*.jsonl")
    }
    assert by_pid == {os.getpid(): [0, 0], child: [1]}
    assert home.events("finish") == []


def test_data_loader_workers_and_threads_mix_no_lines(home, program):
    """Eight processes with four threads each leave only whole lines, every one of them."""
    process = program(
        "import multiprocessing, threading\n"
        "from orchestrator import track\n"
        "run = track.init()\n"
        "def work(name):\n"
        "    for step in range(200):\n"
        "        run.log({f'm{name}': step, 'pad': 1 / 3}, step=step)\n"
        "def child(name):\n"
        "    threads = [threading.Thread(target=work, args=(f'{name}_{n}',)) for n in range(4)]\n"
        "    [t.start() for t in threads]\n"
        "    [t.join() for t in threads]\n"
        "fork = multiprocessing.get_context('fork')\n"
        "children = [fork.Process(target=child, args=(n,)) for n in range(8)]\n"
        "[c.start() for c in children]\n"
        "[c.join() for c in children]\n",
        home.variables,
    )
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    seen = {}
    for point in home.points():
        name = next(key for key in point["metrics"] if key != "pad")
        seen.setdefault(name, []).append(point["step"])
    assert len(seen) == 32
    assert all(steps == list(range(200)) for steps in seen.values())


def test_full_disk_is_survived_and_what_follows_is_readable(home, program):
    """When writes fail the program goes on, is warned once, and ends with its own exit code."""
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
    assert said.count("exp track: points are being lost") == 1
    (file,) = home.attempt.glob("events-*.jsonl")
    whole = []
    for line in file.read_text().splitlines():
        with contextlib.suppress(ValueError):
            whole.append(json.loads(line))
    broken = len(file.read_text().splitlines()) - len(whole)
    assert broken == 1
    steps = [record["step"] for record in whole if "metrics" in record]
    assert steps[:3] == [0, 1, 2]
    assert steps[-1] == 999
    lost = [record["data"]["lines"] for record in whole if record.get("event") == "lost"]
    assert lost == [200 - (len(steps) - 1)]


def test_descriptor_closed_by_the_program_is_opened_again(home):
    """A program that closes every descriptor loses no point, and gets none in its own files."""
    script = (
        "import os, sys\n"
        "from orchestrator import track\n"
        "run = track.init()\n"
        "run.log({'a': 1}, step=1)\n"
        "os.closerange(3, 4096)\n"
        "own = [open(f'own-{n}', 'w') for n in range(20)]\n"
        "run.log({'a': 2}, step=2)\n"
        "run.finish()\n"
        "assert all(os.path.getsize(f'own-{n}') == 0 for n in range(20))\n"
    )
    root = Path(track.__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **home.variables, "PYTHONPATH": str(root)},
        cwd=home.run,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [point["step"] for point in home.points()] == [1, 2]


def test_short_write_is_completed(tmp_path):
    """Where the kernel takes only a part of a line, the rest follows and the line is whole."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    channel = Channel(tmp_path, "events-h-0")
    channel.write("{}\n")
    whole = "x" * 300_000 + "\n"
    os.dup2(writer, channel._descriptor)  # a pipe takes 64 KiB at most, then says so
    channel.write(whole)
    taken = len(os.read(reader, 1 << 20))
    os.close(reader)
    os.close(writer)
    channel.close()
    assert taken + channel.path.stat().st_size - len("{}\n") == len(whole)


def test_run_folder_that_cannot_be_written_leaves_a_silent_run(monkeypatch, tmp_path, capsys):
    """If nothing can be recorded each call returns and checkpoints still have a folder."""
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    monkeypatch.setenv("EXP_RUN_DIR", str(blocker / "R-000001"))
    run = track.init(config={"lr": 1})
    for step in range(5):
        run.log({"loss": 1.0}, step=step)
    run.summary["best"] = 1
    run.define_metric("loss")
    run.alert("title")
    with run.phase("eval"):
        pass
    folder = run.checkpoint_dir(3)
    (folder / "model.pt").write_text("weights")
    assert run.checkpoint(folder, 3) is None
    assert not run.should_stop()
    run.finish()
    assert run.id == "disabled"
    assert run.config.lr == 1
    assert folder.is_dir()
    assert capsys.readouterr().err.count("nothing will be recorded") == 1


def test_vanished_run_folder_costs_one_warning(home, capsys):
    """A run folder deleted under the program is warned of once; training is not disturbed."""
    run = track.init()
    run._channel.close()
    home.attempt.rename(home.run / "moved")
    for step in range(3):
        run.log({"a": 1.0}, step=step)
    assert capsys.readouterr().err.count("points are being lost") == 1


@pytest.mark.parametrize("broken", ["{", "[1, 2]", ""])
def test_unreadable_given_config_leaves_the_defaults(home, monkeypatch, tmp_path, broken, capsys):
    """A torn config.json is warned of; the program keeps its own values."""
    file = tmp_path / "config.json"
    file.write_text(broken)
    monkeypatch.setenv("EXP_CONFIG", str(file))
    assert track.init(config={"lr": 1}).config == {"lr": 1}
    assert "defaults are used" in capsys.readouterr().err


def test_closed_stderr_is_survived(home, program):
    """A warning that cannot be printed is not an error either."""
    process = program(
        "import os, sys\n"
        "from orchestrator import track\n"
        "os.close(2)\n"
        "sys.stderr = None\n"
        "run = track.init(config=3)\n"
        "run.log({'a': 'text', 'b': 1})\n"
        "run.finish()\n"
        "sys.exit(7)\n",
        home.variables,
    )
    process.communicate(timeout=60)
    assert process.returncode == 7
    assert home.points()[0]["metrics"] == {"b": 1}


def test_importing_track_loads_nothing_but_the_standard_library():
    """`orchestrator.track` brings in no third-party module and nothing else of this package."""
    script = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "from orchestrator import track\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "own = {name for name in sys.modules if name.startswith('orchestrator.')}\n"
        "print(sorted(new - set(sys.stdlib_module_names)))\n"
        "print(sorted(name for name in own if not name.startswith('orchestrator.track')))\n"
    )
    root = Path(track.__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["['orchestrator']", "[]"]
