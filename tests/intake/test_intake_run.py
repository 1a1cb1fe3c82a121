"""Programs without a line of ours, from start to ticked box."""

import sqlite3

import pytest
from conftest import wait_for

from orchestrator.store import Reader

PLAIN = """
import sys
print("lr=3e-4 batch=64 loss=0.001")
for step in range(1, 41):
    print(f"step={step} loss={2 / step:.4f}")
    sys.stderr.write(f"\\r {step / 40:4.0%}|##  | {step}/40 [00:01<00:01, 9.00it/s]")
sys.stderr.write("\\n")
print("Test accuracy: 91.5%")
"""
FILES = """
import csv, json, os
from pathlib import Path
place = Path(os.environ["EXP_RUN_DIR"])
with (place / "metrics.csv").open("w") as file:
    table = csv.writer(file)
    table.writerow(["step", "loss"])
    table.writerows([step, 2 / step] for step in range(1, 41))
Path("out").mkdir()
with Path("out/history.jsonl").open("w") as file:
    for step in range(1, 41):
        file.write(json.dumps({"_step": step, "acc": step / 50}) + "\\n")
"""
BOARD = """
from torch.utils.tensorboard import SummaryWriter
writer = SummaryWriter("boards/now")
for step in range(1, 41):
    writer.add_scalar("train/loss", 2 / step, step)
writer.close()
"""
STUCK = """
import sys, time
from pathlib import Path
step = 0
while not Path("go").exists():
    step += 1
    sys.stdout.write(f"\\rtrain: 1%|#  | {step}/1000 [00:01<00:01, 9.0it/s, loss={1 / step:.3f}]")
    sys.stdout.flush()
    time.sleep(0.02)
"""


def series(lab):
    """(series, points) of the run in the index."""
    with Reader(lab.root / ".exp" / "exp.db") as reader:
        return {name: row.count for name, row in reader.series("R-000001").items()}


def test_a_script_that_only_prints_has_its_criterion_ticked(lab):
    """No SDK: lines of values and a bar are enough for a verdict with file and line."""
    lab.ticket(criteria="- [ ] loss < 0.5\n- [ ] Test accuracy > 90%\n- [ ] loss < 0.01 best")
    lab.experiment(PLAIN)
    lab.commit()
    assert lab.exp("ticket", "start", "T-0001").returncode == 0
    lab.published()
    text = lab.text()
    assert "- [x] loss < 0.5\n- [x] Test accuracy > 90%\n- [ ] loss < 0.01 best" in text
    assert "log/loss = 0.05 at step 40" in text
    assert "attempt-1/out.log:" in text
    shown = lab.exp("run", "show", "R-000001").stdout
    assert "step 40" in shown
    assert series(lab)["log/loss"] == 40


def test_a_rebuild_of_a_run_without_sdk_gives_the_same(lab):
    """Points, their lines and times, and the verdicts follow from the files alone."""

    def rows():
        with sqlite3.connect(lab.root / ".exp" / "exp.db") as connection:
            tables = ("source", "stream", "point", "series", "verdict")
            return {t: sorted(connection.execute(f"SELECT * FROM {t}").fetchall()) for t in tables}

    lab.ticket(criteria="- [ ] loss < 0.5\n- [ ] acc > 0.7")
    lab.experiment(FILES + PLAIN, '[track]\nfiles = ["out/*.jsonl"]\n')
    lab.commit()
    lab.exp("ticket", "start", "T-0001")
    lab.published()
    wait_for(lambda: not lab.processes(), what="the watcher's end")
    before = rows()
    assert lab.exp("db", "rebuild").returncode == 0
    assert rows() == before
    assert {"log/loss", "csv/loss", "jsonl/acc"} <= set(series(lab))
    assert "- [x] loss < 0.5\n- [x] acc > 0.7" in lab.text()


def test_the_files_of_tensorboard_are_enough(lab):
    """A program that knows only TensorBoard's writer has its criterion judged."""
    pytest.importorskip("torch.utils.tensorboard")
    lab.ticket(criteria="- [ ] train/loss < 0.1 <!-- exp: train/loss < 0.1 -->")
    lab.experiment(BOARD, '[track]\nfiles = ["boards/**/events.out.tfevents.*"]\n')
    lab.commit()
    lab.exp("ticket", "start", "T-0001")
    lab.published()
    assert "- [x] train/loss < 0.1" in lab.text()
    assert "tensorboard/train/loss = 0.05 at step 40" in lab.text()


def test_a_bar_that_never_ends_a_line_is_followed_while_it_runs(lab):
    """Progress and values of redraws reach the index while the line is still open."""
    lab.ticket(criteria="- [ ] loss < 0.5")
    lab.experiment(STUCK)
    lab.commit()
    lab.exp("ticket", "start", "T-0001")
    wait_for(lambda: series(lab).get("log/loss", 0) > 5, what="points of the bar")
    assert "progress" in lab.exp("run", "show", "R-000001").stdout
    (lab.root / "go").touch()
    lab.published()
    assert "- [x] loss < 0.5" in lab.text()


def test_a_report_shows_what_was_printed_only_where_nothing_surer_tells_it(lab):
    """A program that logs and prints has one row and one curve a metric."""
    both = PLAIN + (
        "from orchestrator import track\n"
        "run = track.init()\n"
        'run.log({"loss": 0.25}, step=40)\n'
        "run.finish()\n"
    )
    lab.ticket(criteria="- [ ] loss < 0.3\n- [ ] Test accuracy > 90%")
    lab.experiment(both)
    lab.commit()
    lab.exp("ticket", "start", "T-0001")
    lab.published()
    report = (lab.root / "experiments/e/reports/T-0001/report.md").read_text()
    assert "- [x] loss < 0.3\n- [x] Test accuracy > 90%" in lab.text()
    assert "log/test_accuracy" in report
    assert not any(name in report for name in ("log/loss", "log/rate", "log/progress"))
