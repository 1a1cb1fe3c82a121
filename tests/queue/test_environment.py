"""What a program sees of the shell that launched it, when somebody else starts it."""

import json
import os

import pytest
from conftest import QUICK, wait_for

from orchestrator.executors.environment import kept_variables

SHOW = """
import json, os
from pathlib import Path
Path("seen.json").write_text(json.dumps(dict(os.environ)))
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("WANDB_API_KEY", "0123"),
        ("HF_TOKEN", "hf_abc"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("NCCL_AUTH_TOKEN", "x"),
        ("CUDA_PASSWORD", "x"),
        ("TORCH_MIRROR", "https://ada:secret@example.org"),
        ("PYTHONPATH", "/data/\udcff"),
        ("EDITOR", "vi"),
        ("SSH_AUTH_SOCK", "/run/ssh"),
    ],
)
def test_secrets_and_the_rest_are_not_kept(name, text):
    """Neither a secret's name, nor a secret in a value, nor what JSON cannot hold is kept."""
    assert kept_variables({name: text, "PATH": "/bin"}) == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "name", ["PATH", "VIRTUAL_ENV", "LC_ALL", "OMP_NUM_THREADS", "NCCL_DEBUG", "HF_HOME"]
)
def test_what_decides_what_runs_is_kept(name):
    """Interpreter, libraries and their settings are those of the launching shell."""
    assert kept_variables({name: "x"}) == {name: "x"}


@pytest.fixture
def waiting(slot):
    """A slot that is taken, and a spec whose program leaves its environment behind."""
    slot.lab.experiment(
        SHOW, '[env]\nWANDB_API_KEY = "$WANDB_API_KEY"\nMODE = "fast"\n', path="e/show.toml"
    )
    slot.lab.ticket(2, experiment="e/show.toml")
    slot.start(1)
    return slot


def seen(lab):
    """What the program saw."""
    path = lab.root / "seen.json"
    wait_for(path.exists, what="the program")
    return json.loads(wait_for(path.read_text))


def test_a_watcher_starts_a_run_in_its_own_shells_environment(waiting):
    """Kept variables are the launching shell's, whatever the watcher's; secrets reach no file."""
    lab = waiting.lab
    shell = {**os.environ, "OMP_NUM_THREADS": "3", "WANDB_API_KEY": "local-0123456789"}
    waiting.start(2, env=shell)
    waiting.kill_watchers()
    other = {**os.environ, "WANDB_API_KEY": "local-9876543210", "CUDA_VISIBLE_DEVICES": "5"}
    lab.exp("queue", env=other)
    lab.write("go", "")
    found = seen(lab)
    assert (found["OMP_NUM_THREADS"], found["MODE"]) == ("3", "fast")
    assert found["WANDB_API_KEY"] == "local-9876543210"
    assert "CUDA_VISIBLE_DEVICES" not in found
    lab.published(2)
    for path in lab.run(2).rglob("*"):
        assert not path.is_file() or b"local-" not in path.read_bytes(), path


def test_a_secret_that_the_watcher_lacks_keeps_the_run_waiting(waiting):
    """It waits and names the variable; `exp run resume` in a shell that has it starts it."""
    lab = waiting.lab
    waiting.start(2, env={**os.environ, "WANDB_API_KEY": "local-0123456789"})
    waiting.kill_watchers()
    lab.write("go", "")
    lab.exp("queue")
    lab.published(1)
    wait_for(lambda: "needs WANDB_API_KEY" in waiting.run(2)["why"], what="the reason")
    assert "exp run resume R-000002" in waiting.run(2)["why"]
    lacking = lab.exp("run", "resume", "2")
    assert "queued R-000002" in lacking.stderr
    done = lab.exp("run", "resume", "2", env={**os.environ, "WANDB_API_KEY": "local-5"})
    assert done.returncode == 0, done.stderr
    assert seen(lab)["WANDB_API_KEY"] == "local-5"


def test_a_start_without_the_secret_is_refused(lab):
    """The shell that starts a ticket must have what the spec refers to; nothing is left behind."""
    lab.experiment(QUICK, '[env]\nWANDB_API_KEY = "$WANDB_API_KEY"\n')
    lab.ticket()
    done = lab.exp("ticket", "start", "1", "--no-git")
    assert done.returncode == 5
    assert "$WANDB_API_KEY, which is not set" in done.stderr
    assert not list(lab.root.glob(".exp/runs/R-*"))
