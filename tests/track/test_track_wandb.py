"""`import orchestrator.track as wandb`: a program for wandb finds what it needs, or is told."""

import argparse
import copy
import pickle
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import orchestrator.track as wandb

ROOT = Path(wandb.__file__).resolve().parents[2]


def test_names_of_the_module_are_those_of_the_current_run(home):
    """`config`, `summary` and `run` are the run's own; before init and after finish no run."""
    assert wandb.run is None
    with wandb.init(project="p", config=argparse.Namespace(lr=0.1)) as run:
        assert wandb.run is run
        assert wandb.config is run.config
        assert wandb.summary is run.summary
        assert (wandb.config.lr, wandb.config["lr"], wandb.config.get("no", 3)) == (0.1, 0.1, 3)
    assert wandb.run is None
    assert home.events("finish")[0]["data"]["code"] == 0


def test_unknown_names_say_what_there_is(home):
    """A name that wandb may have and this has not is an AttributeError with the list of names."""
    with pytest.raises(
        AttributeError, match=r"no attribute 'Catalog'; it has .*Image.*config.*log"
    ):
        _ = wandb.Catalog
    with pytest.raises(AttributeError):
        _ = wandb.plot.__wrapped__
    run = wandb.init()
    with pytest.raises(AttributeError, match="fetch"):
        _ = run.fetch


def test_asking_for_names_begins_no_run(home):
    """Looking a name up, as inspection does, writes nothing; only config and summary need a run."""
    for name in ("run", "Table", "watch", "__wrapped__", "plot", "Image", "AlertLevel"):
        hasattr(wandb, name)
    assert list(home.attempt.glob("*")) == [] if home.attempt.exists() else True


def test_config_takes_what_wandb_takes(home):
    """update() takes mappings, pairs, namespaces and wandb's allow_val_change; all is recorded."""
    run = wandb.init(config={"lr": 1})
    run.config.update({"lr": 2}, allow_val_change=True)
    run.config.update(argparse.Namespace(epochs=3))
    run.config.update([("seed", 4)], wd=0.1)
    run.config.setdefaults({"lr": 9, "gamma": 0.9})
    expected = {"lr": 2, "epochs": 3, "seed": 4, "wd": 0.1, "gamma": 0.9}
    assert run.config.as_dict() == dict(run.config) == expected
    assert home.events("config")[-1]["data"] == {"gamma": 0.9}
    assert "allow_val_change" not in str(home.lines())
    assert pickle.loads(pickle.dumps(run.config)) == copy.deepcopy(run.config) == expected


def test_a_strange_config_costs_a_warning(home, capfd):
    """A config that is no mapping is warned of, and the run goes on with what it has."""
    run = wandb.init(config="config.yaml")
    run.config.update(3)
    assert dict(run.config) == {}
    assert "config was not understood" in capfd.readouterr().err


def test_numbers_beside_media_are_kept(home, capfd):
    """Pictures, tables and charts, also in lists, are left out and said once; numbers stay."""
    run = wandb.init()
    table = wandb.Table(columns=["a"], data=[[1]])
    for _ in range(2):
        run.log(
            {
                "loss": 0.5,
                "nested": {"acc": 1, "picture": wandb.Image("x.png")},
                "pictures": [wandb.Image("a"), wandb.Image("b")],
                "histogram": wandb.Histogram([1, 2, 3]),
                "table": table,
                "chart": wandb.plot.confusion_matrix(probs=None, y_true=[1], preds=[1]),
                "video": wandb.Video("x.mp4", fps=4),
            }
        )
    run.log({"only": wandb.Html("<b>")})
    numbers = [point["metrics"] for point in home.points() if point["metrics"]]
    assert numbers == [{"loss": 0.5, "nested/acc": 1}] * 2
    assert home.events("text") == []
    said = capfd.readouterr().err
    assert said.count("'pictures' is left out") == 1
    assert "exp keeps no Histogram" in said
    assert len(said.splitlines()) == 7


def test_tables_and_artifacts_can_be_read_back(home):
    """A program that goes on with its table or artifact gets what it put in."""
    table = wandb.Table(columns=["id", "guess"])
    table.add_data(1, "cat")
    table.add_data(2, "dog")
    table.add_column("right", [True, False])
    assert wandb.Table(columns=table.columns, data=table.data).data == [
        [1, "cat", True],
        [2, "dog", False],
    ]
    assert table.get_column("guess") == ["cat", "dog"]
    artifact = wandb.Artifact("model", type="model", metadata={"acc": 1})
    artifact.add_file("model.pt")
    with artifact.new_file("notes.txt") as file:
        file.write("words")
    run = wandb.init()
    assert run.log_artifact(artifact).wait().name == "model"
    assert wandb.use_artifact(artifact).metadata == {"acc": 1}
    assert wandb.log_artifact("model.pt", name="weights").name == "weights"


def test_what_the_program_could_not_go_on_without_is_refused(home):
    """Stored artifacts, sweeps and the public API raise wandb.Error with the way out."""
    run = wandb.init()
    for refused in (
        lambda: run.use_artifact("data:latest"),
        lambda: wandb.sweep({"method": "grid"}, project="p"),
        lambda: wandb.agent("id", function=print),
        lambda: wandb.restore("model.pt"),
        lambda: wandb.Api().runs("a/b"),
    ):
        with pytest.raises(wandb.Error, match=r"exp|resume_path"):
            refused()


def test_words_about_the_run(home):
    """Name, tags and notes are labels: given to init, read back, and written down when changed."""
    run = wandb.init(project="p", tags=["a"], settings=wandb.Settings(api_key="hunter2"))
    assert (run.project, run.tags, run.name, run.url) == ("p", ("a",), "R-000007", None)
    wandb.run.name = "second try"
    run.tags = (*run.tags, "b")
    assert run.name == "second try"
    assert home.events("start")[0]["data"]["labels"] == {"project": "p", "tags": ["a"]}
    assert [event["data"] for event in home.events("labels")] == [
        {"name": "second try"},
        {"tags": ["a", "b"]},
    ]
    assert "hunter2" not in str(home.lines())


def test_idioms_of_programs_for_wandb(home):
    """Figures by attribute, folders put together as text, tags as a tuple, errors by their path."""
    run = wandb.init(tags=["a"])
    run.log({"loss": 0.25})
    run.summary.best = 0.9
    run.tags += ("b",)
    assert run.tags == ("a", "b")
    assert (run.summary.best, run.summary["best"], run.summary.loss) == (0.9, 0.9, 0.25)
    assert not hasattr(run.summary, "absent")
    assert home.events("summary")[0]["data"] == {"best": 0.9}
    assert run.dir + "/model.pt" == str(run.dir / "model.pt")
    with pytest.raises(wandb.errors.UsageError):
        wandb.Api()


def test_arguments_that_only_wandb_has_are_taken(home):
    """sync, quiet, commit=None and a positional commit change nothing; steps are counted on."""
    run = wandb.init(reinit=False, sync_tensorboard=False, monitor_gym=True, anonymous="allow")
    run.log({"a": 1}, sync=False)
    wandb.log({"a": 2}, None, False)
    wandb.log({"b": 3}, commit=None)
    assert run.step == 2
    assert [point["step"] for point in home.points()] == [0, 1, 1]
    wandb.finish(exit_code=3, quiet=True)
    assert home.events("finish")[0]["data"]["code"] == 3


def test_the_same_alert_waits_for_its_time(home):
    """With wait_duration a title is told again only after it; other titles are told at once."""
    run = wandb.init()
    for title in ("low", "low", "high"):
        run.alert(title, "text", level=wandb.AlertLevel.WARN, wait_duration=timedelta(hours=1))
    wandb.alert("low", "again", level=None, wait_duration=0)
    shown = [(event["data"]["title"], event["data"]["level"]) for event in home.events("alert")]
    assert shown == [("low", "warn"), ("high", "warn"), ("low", "info")]


def test_last_values_are_in_the_summary(home):
    """What was logged last can be read from the summary, unless the program set it itself."""
    run = wandb.init()
    for step in range(3000):
        run.log({"loss": step, "nested": {"x": -step}, "pad": "x" * 30 if step == 5 else 0.5})
    run.log({"odd": float("inf")})
    wandb.summary["acc"] = 0.9
    assert (run.summary["loss"], run.summary["nested/x"]) == (2999, -2999)
    assert run.summary["odd"] == float("inf")
    assert (run.summary.get("loss"), run.summary.get("los"), run.summary["acc"]) == (
        2999,
        None,
        0.9,
    )
    assert dict(run.summary) == {"acc": 0.9}
    with pytest.raises(KeyError):
        _ = run.summary["los"]


@pytest.mark.parametrize("given", ["argument", "settings", "environment"])
def test_disabled_records_nothing(tmp_path, monkeypatch, given, capfd):
    """mode="disabled" or WANDB_MODE=disabled: every call works and no file appears."""
    monkeypatch.chdir(tmp_path)
    options = {"argument": {"mode": "disabled"}, "settings": {"settings": {"mode": "disabled"}}}
    if given == "environment":
        monkeypatch.setenv("WANDB_MODE", "disabled")
    run = wandb.init(config={"lr": 1}, **options.get(given, {}))
    run.define_metric("a", summary="max")
    run.log({"a": 1})
    assert run.config.lr == 1
    assert run.summary.get("a") == {"max": 1.0}
    assert run.checkpoint(tmp_path, 1) is None
    run.finish()
    assert list(tmp_path.iterdir()) == []
    assert ("nothing is recorded" in capfd.readouterr().err) == (given == "environment")


def test_the_environment_does_not_switch_a_ticket_off(home, monkeypatch):
    """Under `exp`, WANDB_MODE=disabled is about wandb; the ticket's run is recorded."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    wandb.init().log({"a": 1})
    assert len(home.points()) == 1


@pytest.mark.parametrize("reinit", [True, "finish_previous"])
def test_a_second_run_after_the_first(tmp_path, monkeypatch, reinit):
    """After finish, or with reinit, init begins a local run of its own; else it gives the same."""
    monkeypatch.chdir(tmp_path)
    first = wandb.init()
    assert wandb.init(config={"a": 1}) is first
    second = wandb.init(reinit=reinit)
    assert first.finished
    second.log({"a": 1})
    second.finish()
    third = wandb.init()
    assert [run.id for run in (first, second, third)] == ["R-000001", "R-000002", "R-000003"]
    assert (second.dir / "attempt-1" / "exit.json").exists()


def test_importing_stays_light():
    """The drop-in brings no module that track did not need before."""
    source = (
        "import sys; from orchestrator import track; "
        "print({'random', 'tempfile', 'datetime', 'hashlib', 'subprocess'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {source}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"
