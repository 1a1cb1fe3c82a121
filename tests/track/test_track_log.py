"""Points and events: what is written, and when."""

import json
import os

import pytest

from orchestrator import track


def test_point_is_in_the_file_when_log_returns(home):
    """After `log` returns another process can read the point, without any flush or finish."""
    run = track.init()
    run.log({"train/loss": 0.51, "lr": 1e-4}, step=12)
    (point,) = home.points()
    assert point["step"] == 12
    assert point["metrics"] == {"train/loss": 0.51, "lr": 1e-4}
    assert point["time"] > 1.6e9


def test_steps_count_by_themselves_and_go_on_after_a_given_one(home):
    """Without a step the next one is taken, also after an explicit step and after commit=False."""
    run = track.init()
    run.log({"a": 1})
    run.log({"a": 2}, commit=False)
    run.log({"b": 3})
    run.log({"a": 4}, step=50)
    run.log({"a": 5})
    assert [point["step"] for point in home.points()] == [0, 1, 1, 50, 51]


def test_steps_in_any_order_and_again_are_all_kept(home):
    """A re-logged or earlier step is written like any other: nothing is dropped or reordered."""
    run = track.init()
    steps = [5, 3, 3, 9, -1, 0, 5]
    for step in steps:
        run.log({"loss": step}, step=step)
    assert [point["step"] for point in home.points()] == steps


def test_start_event_describes_the_process(home, monkeypatch):
    """The first line says who writes: pid, rank of how many, Python, phase, versions."""
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    track.init(project="arc", tags=["x"])
    start = home.lines()[0]
    assert start["event"] == "start"
    assert start["data"]["pid"] == os.getpid()
    assert (start["data"]["rank"], start["data"]["world_size"]) == (3, 8)
    assert start["data"]["phase"] == "train"
    assert start["data"]["labels"] == {"project": "arc", "tags": ["x"]}
    assert {"python", "torch", "cuda", "argv0"} <= start["data"].keys()


def test_file_is_named_after_host_rank_and_pid(home, monkeypatch):
    """Each process has a file of its own, so no two writers ever share one."""
    monkeypatch.setenv("SLURM_PROCID", "2")
    track.init()
    (file,) = home.attempt.glob("events-*.jsonl")
    assert file.name.endswith(f"-2-{os.getpid()}.jsonl")
    assert file.name.startswith("events-")


def test_given_config_wins_over_defaults(home, monkeypatch, tmp_path):
    """What `exp` resolved replaces the program's defaults, inside nested tables too."""
    resolved = tmp_path / "config.json"
    resolved.write_text(json.dumps({"lr": 3e-4, "model": {"width": 64}}))
    monkeypatch.setenv("EXP_CONFIG", str(resolved))
    run = track.init(config={"lr": 1.0, "seed": 1, "model": {"width": 1, "depth": 2}})
    assert run.config == {"lr": 3e-4, "seed": 1, "model": {"width": 64, "depth": 2}}
    assert home.events("config")[0]["data"] == dict(run.config)


def test_config_and_summary_write_down_their_changes(home):
    """Setting a key, an attribute or several at once each leaves one event with what changed."""
    run = track.init(config={"lr": 1})
    run.config["a"] = 2
    run.config.b = 3
    run.config |= {"c": 4}
    assert run.config.setdefault("d", 5) == 5
    run.summary({"best": 0.9, "at": 7})
    run.summary["best"] = 0.95
    assert [event["data"] for event in home.events("config")] == [
        {"lr": 1},
        {"a": 2},
        {"b": 3},
        {"c": 4},
        {"d": 5},
    ]
    assert [event["data"] for event in home.events("summary")] == [
        {"best": 0.9, "at": 7},
        {"best": 0.95},
    ]
    assert run.config.lr == 1
    with pytest.raises(AttributeError):
        _ = run.config.missing


def test_secrets_in_a_config_are_named_but_not_written(home):
    """Values under names like api_key stay in memory; tokens in the other sense are written."""
    run = track.init(config={"hf_token": "s3cr3t", "pad_token": "<pad>", "max_tokens": 9})
    assert run.config["hf_token"] == "s3cr3t"
    assert home.events("config")[0]["data"] == {
        "hf_token": "(hidden)",
        "pad_token": "<pad>",
        "max_tokens": 9,
    }


def test_phase_writes_its_begin_and_its_end_even_when_it_fails(home):
    """The end of a phase carries its duration, and the exception that ended it goes on."""
    run = track.init()
    with run.phase("eval"):
        run.log({"eval/loss": 1.0})
    with pytest.raises(ValueError, match="boom"), run.phase("train"):
        raise ValueError("boom")
    data = [event["data"] for event in home.events("phase")]
    assert [(entry["phase"], entry["state"]) for entry in data] == [
        ("eval", "begin"),
        ("eval", "end"),
        ("train", "begin"),
        ("train", "end"),
    ]
    assert data[1]["seconds"] >= 0
    assert data[3]["error"] == "ValueError: boom"


def test_context_manager_records_the_error_and_raises_it_again(home):
    """An exception inside `with track.init()` ends the run with that error and is not swallowed."""
    with pytest.raises(RuntimeError, match="out of luck"), track.init():
        raise RuntimeError("out of luck")
    assert home.events("finish")[0]["data"] == {"code": 1, "error": "RuntimeError: out of luck"}


@pytest.mark.parametrize(("raised", "code"), [(None, 0), (75, 75), ("text", 1)])
def test_context_manager_keeps_the_code_of_sys_exit(home, raised, code):
    """`sys.exit(75)` inside the `with` is recorded as 75, not as a failure or as success."""
    with pytest.raises(SystemExit), track.init():
        raise SystemExit(raised)
    assert home.events("finish")[0]["data"]["code"] == code


def test_finish_counts_once_and_a_later_log_does_no_harm(home):
    """Only the first finish is written; points after it are kept all the same."""
    run = track.init()
    run.finish()
    run.finish(1)
    run.log({"late": 1})
    assert len(home.events("finish")) == 1
    assert home.points()[0]["metrics"] == {"late": 1}


def test_module_functions_speak_to_the_current_run(home):
    """`track.log` and its siblings write into the run of the process, begun if need be."""
    track.log({"a": 1.5}, step=4)
    track.summary({"best": 1})
    track.define_metric("pass@1", unit="%", goal="max", step_metric="epoch")
    track.alert("look", "at this", level="WARN")
    with track.phase("eval"):
        pass
    assert track.should_stop() is False
    run = track.init()
    track.finish(0)
    assert home.points()[0]["step"] == 4
    assert home.events("metric")[0]["data"] == {
        "name": "pass@1",
        "unit": "%",
        "goal": "max",
        "step_metric": "epoch",
    }
    assert home.events("alert")[0]["data"] == {"title": "look", "text": "at this", "level": "warn"}
    assert len(home.events("start")) == 1
    assert run.finished


def test_second_init_returns_the_same_run_with_its_config_added(home):
    """Two libraries that both call init share one run instead of tearing it in two."""
    first = track.init(config={"a": 1})
    second = track.init(config={"b": 2})
    assert second is first
    assert first.config == {"a": 1, "b": 2}
    assert first.id == "R-000007"
    assert first.dir == home.run
