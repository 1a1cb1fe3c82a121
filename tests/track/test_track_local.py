"""A local run: what tracking makes of a program that `exp` did not start."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import track
from orchestrator.domain.run import ExitRecord, Identity

ROOT = Path(track.__file__).resolve().parents[2]
LOG = "from orchestrator import track\nrun = track.init(config={'lr': 1})\nrun.log({'a': 1})\n"


@pytest.fixture
def workspace(tmp_path):
    """A folder that counts as a workspace, with a folder inside to work in."""
    (tmp_path / "tickets").mkdir()
    (tmp_path / "deep" / "inside").mkdir(parents=True)
    return tmp_path


def records(run: Path) -> tuple[dict, dict, dict]:
    """run.json, proc.json and exit.json."""
    names = ("run.json", "attempt-1/proc.json", "attempt-1/exit.json")
    run_record, process, ended = (json.loads((run / name).read_text()) for name in names)
    return run_record, process, ended


def test_run_is_made_in_the_nearest_workspace(workspace, program):
    """From a folder inside, the run lands in the workspace's .exp/, which git does not see."""
    process = program(LOG + "print(run.id)\n", cwd=workspace / "deep" / "inside")
    said, _ = process.communicate(timeout=60)
    run = workspace / ".exp" / "runs" / "R-000001"
    assert said == "R-000001\n"
    assert (workspace / ".exp" / ".gitignore").read_text() == "*\n"
    record, identity, ended = records(run)
    assert record["recorded_by"] == "track"
    assert record["ticket"] is None
    assert record["params"] == {"lr": 1}
    assert record["commands"][0]["argv"][1].endswith(".py")
    assert Identity(**identity).pid == process.pid
    assert ExitRecord(**ended).code == 0
    assert ended["recorded_by"] == "track"
    assert ended["max_rss"] > 1_000_000


def test_without_a_workspace_the_current_folder_is_used(tmp_path, monkeypatch):
    """Where no folder above holds a marker, .exp/ is made right here."""
    place = tmp_path / "lonely"
    place.mkdir()
    monkeypatch.chdir(place)
    run = track.init()
    assert run.dir == place / ".exp" / "runs" / "R-000001"


def test_numbers_go_on_and_are_not_shared(workspace, program):
    """Programs that start at the same moment each get a number of their own."""
    started = [program(LOG + "print(run.id)\n", cwd=workspace) for _ in range(6)]
    said = sorted(process.communicate(timeout=60)[0].strip() for process in started)
    assert said == [f"R-{number:06d}" for number in range(1, 7)]


@pytest.mark.parametrize(
    ("ending", "code", "error"),
    [
        ("", 0, None),
        ("run.finish()\n", 0, None),
        ("run.finish(3)\n", 3, None),
        ("raise ValueError('boom')\n", 1, "ValueError: boom"),
        ("with run:\n    raise SystemExit(75)\n", 75, None),
    ],
)
def test_exit_record_tells_how_the_program_ended(workspace, program, ending, code, error):
    """exit.json is written once, by finish or at the end of the interpreter."""
    program(LOG + ending, cwd=workspace).communicate(timeout=60)
    ended = records(workspace / ".exp" / "runs" / "R-000001")[2]
    assert (ended["code"], ended["error"]) == (code, error)
    assert ended["phases"][0]["phase"] == "train"
    assert not list((workspace / ".exp").rglob("*.tmp"))


def test_forked_child_does_not_end_the_run(workspace, program):
    """A child that leaves through the interpreter's exit writes no exit record for its parent."""
    process = program(
        LOG + "import os, sys, pathlib\n"
        "if os.fork() == 0:\n"
        "    sys.exit(0)\n"
        "os.wait()\n"
        "print(list(pathlib.Path(run.dir).rglob('exit.json')))\n",
        cwd=workspace,
    )
    assert process.communicate(timeout=60)[0] == "[]\n"
    assert records(workspace / ".exp" / "runs" / "R-000001")[2]["code"] == 0


def test_second_run_of_one_program_gets_its_own_folder(workspace, monkeypatch):
    """After finish, init begins the next run, as in a sweep inside one process."""
    monkeypatch.chdir(workspace)
    first = track.init()
    first.finish()
    second = track.init()
    assert (first.id, second.id) == ("R-000001", "R-000002")


def test_exit_record_of_somebody_else_is_not_overwritten(workspace, monkeypatch):
    """If exit.json is there already, the first writer's word stands."""
    monkeypatch.chdir(workspace)
    run = track.init()
    file = run.dir / "attempt-1" / "exit.json"
    file.write_text("first")
    run.finish()
    assert file.read_text() == "first"


def test_secrets_on_the_command_line_are_not_recorded(workspace):
    """run.json shows that an API key was given, never its value."""
    (workspace / "p.py").write_text(LOG)
    argv = ["--api-key", "s3cr3t", "--password=s3cr3t", "--lr", "1", "--max-tokens", "7"]
    subprocess.run(
        [sys.executable, "p.py", *argv],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    record = (workspace / ".exp" / "runs" / "R-000001" / "run.json").read_text()
    assert "s3cr3t" not in record
    assert json.loads(record)["commands"][0]["argv"][2:] == [
        "--api-key",
        "(hidden)",
        "--password=(hidden)",
        "--lr",
        "1",
        "--max-tokens",
        "7",
    ]


def test_ranks_of_one_launcher_share_the_run_of_rank_0(workspace):
    """Processes with one parent and WORLD_SIZE set end up in one run, each in its own file."""
    (workspace / "rank.py").write_text(LOG + "print(run.id, run.rank)\nrun.finish()\n")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "WORLD_SIZE": "4"}
    started = [
        subprocess.Popen(
            [sys.executable, "rank.py"],
            cwd=workspace,
            env={**env, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (3, 1, 2, 0)
    ]
    said = sorted(process.communicate(timeout=60)[0].strip() for process in started)
    assert said == [f"R-000001 {rank}" for rank in range(4)]
    files = list((workspace / ".exp" / "runs" / "R-000001" / "attempt-1").glob("events-*"))
    assert len(files) == 4


def test_read_only_place_gives_a_silent_run(tmp_path, monkeypatch, capsys):
    """Where no run can be made the program still runs, with one line on stderr."""
    (tmp_path / ".exp").write_text("a file in the way")
    monkeypatch.chdir(tmp_path)
    run = track.init()
    run.log({"a": 1})
    assert run.id == "disabled"
    assert capsys.readouterr().err.count("nothing will be recorded") == 1
