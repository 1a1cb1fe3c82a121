"""Experiment specs: what is read, and what is said of a wrong one."""

import sys
from pathlib import Path

import pytest

from orchestrator.actions.programs import commands_of
from orchestrator.domain.run import Phase
from orchestrator.errors import InvalidFileError, NotFoundError, RefusedError, UsageError
from orchestrator.spec import load_experiment, parse_duration, planned_steps
from orchestrator.workspace import Workspace

GOOD = """
[train]
command = ["{python}", "train.py", "--lr={params.lr}", "{steps}", "{keep this}"]
[evaluate]
command = ["true"]
[resources]
gpus = 2
time_limit = "8h"
[params]
lr = 1e-4
steps = 2_000
name = "a"
[metrics."pass@1"]
key = "eval/pass@1"
scale = 100
[stop]
when = "decided"
grace = "2min"
[budget]
wall = "1d"
"""


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "train.py").touch()
    return Workspace(tmp_path)


def write(workspace, text, name="a.toml"):
    path = f"experiments/{name}"
    (workspace.root / path).write_text(text)
    return path


def test_a_whole_spec_is_read(workspace):
    """Every section arrives with its types, durations in seconds."""
    experiment = load_experiment(workspace, write(workspace, GOOD))
    assert experiment.params["lr"] == 1e-4
    assert (experiment.resources.gpus, experiment.resources.time_limit) == (2, 8 * 3600)
    assert (experiment.stop.when, experiment.stop.grace) == ("decided", 120)
    assert experiment.metrics["pass@1"].key == "eval/pass@1"
    assert planned_steps(experiment) == 2000


def test_settings_override_parameters_as_toml_values(workspace):
    """`--set` takes TOML values, and plain words without quotes."""
    settings = ("lr=3e-4", "steps=10", "name=some words")
    params = load_experiment(workspace, write(workspace, GOOD), settings).params
    assert params == {"lr": 3e-4, "steps": 10, "name": "some words"}


def test_commands_are_filled_in_and_wrapped(workspace):
    """Placeholders are resolved, foreign braces kept, two GPUs bring torchrun."""
    train, evaluate = commands_of(workspace, load_experiment(workspace, write(workspace, GOOD)))
    assert train.argv[:3] == (sys.executable, "-m", "torch.distributed.run")
    assert "--nproc-per-node=2" in train.argv
    assert train.argv[-4:] == ("train.py", "--lr=0.0001", "2000", "{keep this}")
    assert (evaluate.phase, evaluate.argv) == (Phase.EVAL, ("true",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[train]\ncommand = ['true']\n[train]", r"a\.toml: no valid TOML: .*line 3"),
        ("[train]\ncommand = 'python train.py --fast'", r"train\.command = 'python train\.py"),
        ("[train]\ncommand = []", r"train\.command = \[\]: empty"),
        ("[stop]\nwhen = 'never'", r"train: missing"),
        ("[train]\ncommand = ['true']\n[resources]\ngpus = 'two'", r"resources\.gpus = 'two'"),
        ("[train]\ncommand = ['true']\n[stop]\nwhen = 'soon'", r"stop\.when = 'soon'.*'never'"),
        ("[train]\ncommand = ['true']\n[stop]\ngrace = 'soon'", r"stop\.grace = 'soon'"),
        ("[train]\ncommand = ['true']\n[ressources]\ngpus = 1", r"ressources: unknown key"),
        ("[train]\ncommand = ['true']\nstep = 1", r"train\.step: unknown key"),
        ("[train]\ncommand = ['true']\n[metrics.a]\nkee = 'b'", r"metrics\.a\.kee: unknown key"),
    ],
)
def test_a_wrong_spec_names_file_key_and_value(workspace, text, said):
    """Each mistake is reported with its file, its line or key, and a fix."""
    with pytest.raises(InvalidFileError, match=said) as caught:
        load_experiment(workspace, write(workspace, text))
    assert "experiments/a.toml" in str(caught.value)
    assert caught.value.hint


def test_bytes_that_are_no_utf8_are_located(workspace):
    """A spec in another encoding names the byte."""
    path = write(workspace, "")
    (workspace.root / path).write_bytes(b"[train]\n# caf\xe9\n")
    with pytest.raises(InvalidFileError, match="byte 13 is not UTF-8"):
        load_experiment(workspace, path)


def test_a_missing_spec_suggests_a_near_one(workspace):
    """A mistyped name is answered with the one that exists."""
    write(workspace, GOOD, "validation-5pct.toml")
    with pytest.raises(NotFoundError) as caught:
        load_experiment(workspace, "experiments/validation-5pc.toml")
    assert "experiments/validation-5pct.toml" in caught.value.hint


@pytest.mark.parametrize("path", ["../outside.toml", "/etc/passwd", "experiments/../../x.toml"])
def test_a_spec_cannot_leave_the_workspace(workspace, path):
    """A path out of the workspace is refused."""
    with pytest.raises(RefusedError, match="leaves the workspace"):
        load_experiment(workspace, path)


@pytest.mark.parametrize(("setting", "said"), [("lr", "no '='"), ("lrr=1", "no parameter 'lrr'")])
def test_a_wrong_setting_is_a_usage_error(workspace, setting, said):
    """`--set` without a value or with an unknown name says so and suggests."""
    with pytest.raises(UsageError, match=said) as caught:
        load_experiment(workspace, write(workspace, GOOD), (setting,))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("command", "error", "said"),
    [
        ("['no-such-program']", NotFoundError, "no program 'no-such-program'"),
        ("['./gone.sh']", NotFoundError, "no program"),
        ("['{python}', 'gone.py']", NotFoundError, r"no script .*gone\.py"),
        (
            "['{python}', '{params.gone}']",
            InvalidFileError,
            r"unknown placeholder \{params\.gone\}",
        ),
        ("['true']\nnproc = 2", InvalidFileError, "nproc = 2 needs a Python program"),
    ],
)
def test_programs_are_checked_before_anything_starts(workspace, command, error, said):
    """A program that is not there is found before a run exists."""
    experiment = load_experiment(workspace, write(workspace, f"[train]\ncommand = {command}"))
    with pytest.raises(error, match=said) as caught:
        commands_of(workspace, experiment)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5h", 5400), ("15 min", 900), ("2d", 172800)]
)
def test_durations(text, seconds):
    """Durations are numbers with a unit; without one they are seconds."""
    assert parse_duration(text) == seconds


def test_a_spec_of_this_repository_is_valid():
    """Every spec in experiments/ can be read and its programs exist."""
    root = Path(__file__).resolve().parents[2]
    specs = sorted((root / "experiments").rglob("*.toml"))
    assert specs
    for spec in specs:
        here = Workspace(root)
        assert commands_of(here, load_experiment(here, str(spec.relative_to(root))))
