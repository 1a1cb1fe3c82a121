"""`exp metrics`: what a run has logged, as a list, as points, as a picture and as files."""

import csv
import io
import json
import math
import subprocess
import sys
import tracemalloc

import pytest
from conftest import EXP
from made_runs import line, make_run

from orchestrator.actions.metrics import COLUMNS, curves, exported, last_points, list_metrics
from orchestrator.cli.console import out
from orchestrator.cli.views.metrics import metric_list, metric_points
from orchestrator.errors import NotFoundError
from orchestrator.workspace import Workspace

FIRST = "attempt-1/events-h-0-1.jsonl"
NAN = float("nan")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Two attempts, the second from step 41 on; two ranks; a printed loss; samples."""
    workspace = Workspace(tmp_path_factory.mktemp("a lab's é"))
    workspace.tickets.mkdir()
    first = [
        line(s, train__loss=6 / s, **({"eval/acc": s / 100} if s % 10 == 0 else {}))
        for s in range(1, 61)
    ]
    second = [line(s, 100 + s, train__loss=3 / s) for s in range(41, 81)]
    files = {
        FIRST: "".join([*first, line(61, train__loss=NAN)]),
        "attempt-1/events-h-1-2.jsonl": line(1, 1.5, train__loss=7.0) + line(2, 2.5, train__loss=5),
        "attempt-1/out.log": "step 3: loss=2.00\n",
        "attempt-1/telemetry.jsonl": line(1, system__cpu=0.5) + line(1, 2, system__cpu=0.25),
        "attempt-2/events-h-0-9.jsonl": "".join(second),
    }
    return workspace, make_run(workspace, files)


def shown(renderable):
    with out().capture() as captured:
        out().print(renderable)
    return captured.get()


def test_a_list_sums_up_each_series_in_position_order(ran):
    """First, latest and best by place and not by arrival; what is not finite is counted."""
    rows = {row.name: row for row in list_metrics(*ran).series}
    loss = rows["train/loss"]
    assert next(iter(rows)) == "train/loss"
    assert (loss.points, loss.nonfinite, loss.higher) == (103, 1, False)
    assert (loss.first.step, loss.first.value) == (1, 6.0)
    assert (loss.latest.step, loss.latest.value) == (80, 3 / 80)
    assert (loss.best.step, loss.best.value) == (80, 3 / 80)
    assert rows["eval/acc"].best.step == 60
    assert rows["system/cpu"].best is None
    assert rows["system/cpu"].unit == "share"
    text = shown(metric_list(list_metrics(*ran)))
    assert "103 (1 not finite)" in text
    assert "0.0375 ↓ at 80" in text
    assert "system/cpu" not in text
    assert "exp metrics R-000001 'system/*'" in text


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("train/loss",), ["train/loss"]),
        (("eval/*", "train/loss"), ["eval/acc", "train/loss"]),
        (("training loss",), ["train/loss"]),
        (("accuracy",), ["eval/acc"]),
        (("*cpu",), []),
        (("system/*",), ["system/cpu"]),
    ],
)
def test_series_are_named_by_key_glob_or_words(ran, words, names):
    """The same words find the same series as in a criterion; samples must be named."""
    if names:
        assert [found.name for found in last_points(*ran, words, last=2)] == names
    else:
        with pytest.raises(NotFoundError, match="no series of R-000001 matches"):
            last_points(*ran, words, last=2)


def test_an_unknown_name_is_answered_with_near_ones(ran):
    """The error names what was asked, series that share a word, and the command that lists all."""
    with pytest.raises(NotFoundError, match="near: train/loss") as refused:
        last_points(*ran, ("loss of the teacher",), last=2)
    assert refused.value.hint == "exp metrics R-000001"
    assert refused.value.exit_code == 3


def test_points_are_the_newest_and_say_of_how_many(ran):
    """A bounded table says that it is one, and where each point stands."""
    (found,) = last_points(*ran, ("train/loss",), last=3)
    assert found.points.steps == [78, 79, 80]
    text = shown(metric_points([found]))
    assert "the last 3 of 103 points" in text
    assert "attempt-2/events-h-0-9.jsonl:40" in text
    (few,) = last_points(*ran, ("eval/acc",), last=100)
    assert few.points.steps == [10, 20, 30, 40, 50, 60]
    assert "the last" not in shown(metric_points([few]))


def test_every_point_is_exported_at_full_resolution_with_its_place(ran):
    """Nothing is thinned or merged: ranks take turns, attempts follow each other, NaN stays."""
    rows = list(exported(*ran, ("train/loss",)))
    assert len(rows) == 103
    assert rows[:4] == [
        (1, 1.0, 0, 1, 0, "train/loss", 6.0),
        (1, 1.5, 1, 1, 0, "train/loss", 7.0),
        (2, 2.0, 0, 1, 0, "train/loss", 3.0),
        (2, 2.5, 1, 1, 0, "train/loss", 5.0),
    ]
    assert math.isnan(rows[62][-1])
    assert rows[63][:4] == (41, 141.0, 0, 2)
    assert rows[-1][-1] == 3 / 80
    everything = {row[5] for row in exported(*ran, ())}
    assert everything == {"train/loss", "eval/acc", "log/loss", "system/cpu"}


def test_csv_on_stdout_and_quiet_when_the_reader_has_enough(ran):
    """The command's CSV is what was logged, to the last digit; a closed pipe is no error."""
    workspace, _ = ran
    done = subprocess.run(
        [EXP, "metrics", "R-1", "train/loss", "--csv"],
        cwd=workspace.root,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert tuple(rows[0]) == COLUMNS
    assert rows[5] == ["3", "3.0", "0", "1", "0", "train/loss", "2.0"]
    assert float(rows[-1][-1]) == 3 / 80
    assert rows[63][-1] == "nan"
    piped = subprocess.run(
        f"'{EXP}' metrics R-1 --csv | head -n 1",
        cwd=workspace.root,
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (piped.stdout, piped.stderr) == (",".join(COLUMNS) + "\n", "")


def test_an_export_holds_one_point_at_a_time(tmp_path):
    """A hundred times as many points take no more memory on their way out."""
    workspace = Workspace(tmp_path)
    workspace.tickets.mkdir()
    from orchestrator.store.index import Index
    from orchestrator.store.walk import Walk

    peaks = []
    for count in (500, 50_000):
        text = "".join(line(step, loss=1 / step) for step in range(1, count + 1))
        folder = make_run(workspace, {FIRST: text})
        database = tmp_path / f"{count}.db"
        with Index(database) as index:
            index.ingest(folder)
        with Walk(database) as walk:
            tracemalloc.start()
            assert sum(1 for _ in walk.each(folder.id, ["loss"])) == count
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000


def test_parquet_holds_the_same_points(ran, tmp_path):
    """Types and values survive; the file appears whole, in the place of an older one."""
    pq = pytest.importorskip("pyarrow.parquet")
    from orchestrator.actions.parquet import write_parquet
    from orchestrator.errors import EnvironmentFailure

    target = tmp_path / "points.parquet"
    target.write_text("older")
    assert write_parquet(exported(*ran, ("eval/*",)), target) == 6
    table = pq.read_table(target)
    assert tuple(table.column_names) == COLUMNS
    assert table.to_pylist()[-1] == {
        "step": 60,
        "time": 60.0,
        "rank": 0,
        "attempt": 1,
        "segment": 0,
        "name": "eval/acc",
        "value": 0.6,
    }
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(EnvironmentFailure, match="cannot write"):
        write_parquet(exported(*ran, ("eval/*",)), tmp_path / "no" / "such.parquet")


def test_without_pyarrow_the_command_says_what_to_install(ran, monkeypatch):
    """The error names the library and the command that brings it; no file is left."""
    from orchestrator.cli.app import app
    from orchestrator.errors import EnvironmentFailure

    workspace, _ = ran
    monkeypatch.chdir(workspace.root)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "orchestrator.actions.parquet", raising=False)
    with pytest.raises(EnvironmentFailure, match="needs pyarrow") as refused:
        app(["metrics", "R-1", "--parquet", "x.parquet"], standalone_mode=False)
    assert refused.value.hint == "pip install 'exp-tickets[parquet]'"
    assert not (workspace.root / "x.parquet").exists()


def test_a_plot_and_json_through_the_command(ran, monkeypatch, capsys):
    """--plot draws the main loss where nothing is named; --json holds values as they are."""
    from orchestrator.cli.app import app

    workspace, folder = ran
    monkeypatch.chdir(workspace.root)
    app(["metrics", "R-1", "--json"], standalone_mode=False)
    listed = json.loads(capsys.readouterr().out)
    assert listed["series"][0]["name"] == "train/loss"
    app(["metrics", "R-1", "eval/acc", "--json", "-n", "1"], standalone_mode=False)
    (points,) = json.loads(capsys.readouterr().out)
    assert (points["points"]["steps"], points["points"]["total"]) == ([60], 6)
    (curve,) = curves(workspace, folder, ())
    assert curve.series == "train/loss"
    assert curve.attempts == (41,)
    assert curve.evaluations == (10, 20, 30, 40, 50, 60)
    from orchestrator.errors import UsageError

    with pytest.raises(UsageError, match="choose one"):
        app(["metrics", "R-1", "--json", "--csv"], standalone_mode=False)


def test_a_run_without_points_and_a_ticket_without_a_run(tmp_path):
    """Both say what is missing; nothing is drawn of nothing."""
    from orchestrator.actions.naming import run_named

    workspace = Workspace(tmp_path)
    workspace.tickets.mkdir()
    folder = make_run(workspace, {})
    assert "has logged no points" in shown(metric_list(list_metrics(workspace, folder)))
    assert list(exported(workspace, folder, ())) == []
    with pytest.raises(NotFoundError, match="no points"):
        curves(workspace, folder, ())
    with pytest.raises(NotFoundError, match="T-0002 has no run"):
        run_named(workspace, "T-2")
    assert run_named(workspace, "t-1").id == run_named(workspace, "1").id == "R-000001"
