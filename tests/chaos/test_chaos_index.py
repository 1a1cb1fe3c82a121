"""The index is lost or damaged while runs live: it is made again from files, and that is said."""

import json
import os

import pytest
from conftest import PATIENT, wait_for

from orchestrator.store import Reader


def points(lab):
    with Reader(lab.root / ".exp/exp.db") as reader:
        return list(reader.history("R-000001", "train/loss").steps)


def remove(database):
    database.unlink()


def overwrite(database):
    """Garbage over the first pages, in place."""
    with database.open("r+b") as file:
        file.write(os.urandom(1 << 14))


def truncate(database):
    os.truncate(database, 0)


def replace_by_text(database):
    database.with_name("new").write_text("no database at all\n" * 1000)
    database.with_name("new").replace(database)


@pytest.mark.parametrize("damage", [remove, overwrite, truncate, replace_by_text])
def test_an_index_that_is_damaged_while_a_run_lives_is_made_again(lab, damage):
    """Every point is there once, the verdict is that of the files, and the log tells it."""
    lab.ticket(criteria="- [ ] train/loss < 0.5\n- [ ] No NaN")
    lab.experiment(PATIENT)
    lab.commit()
    lab.exp("ticket", "start", "1")
    database = lab.root / ".exp/exp.db"
    wait_for(lambda: database.exists() and len(points(lab)) > 5, what="points in the index")
    damage(database)
    said = lab.root / ".exp/watcher.log"
    wait_for(lambda: "made again from the files" in said.read_text(), what="the remake")
    lab.write("go", "")
    published = lab.published()
    assert published["commit"]
    wait_for(lambda: not lab.processes(), what="the watcher to leave")
    steps = points(lab)
    assert steps == list(range(1, len(steps) + 1))
    assert f"step {len(steps)}" in (lab.run() / "attempt-1/out.log").read_text()
    listed = json.loads(lab.exp("run", "list", "--json").stdout)
    assert [(run["outcome"], run["step"]) for run in listed] == [("completed", len(steps))]
    assert "- [x] train/loss < 0.5" in lab.text()


def test_a_damaged_index_is_kept_and_told(lab):
    """The damaged file lies beside the new one until a person has looked, and status says so."""
    lab.ticket()
    lab.experiment(PATIENT)
    lab.exp("ticket", "start", "1")
    database = lab.root / ".exp/exp.db"
    wait_for(lambda: database.exists() and len(points(lab)) > 5, what="points in the index")
    overwrite(database)
    kept = lab.root / ".exp/exp.db.damaged"
    wait_for(lambda: kept.exists() and database.exists(), what="the remake")
    wait_for(lambda: lab.exp("status").returncode == 0, what="a status")
    assert "the index was damaged" in lab.exp("status").stdout
    kept.unlink()
    assert "the index was damaged" not in lab.exp("status").stdout
    lab.write("go", "")
    lab.published()
