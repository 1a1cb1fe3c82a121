"""It must never hurt training: closed descriptors, no place to write, a broken configuration."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import track


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
