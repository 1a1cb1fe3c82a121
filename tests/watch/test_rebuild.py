"""The index says what the files say, and nothing else."""

import json
import sqlite3

from conftest import PATIENT, wait_for

from orchestrator.store.index import Index


def dump(lab):
    with Index(lab.root / ".exp/exp.db") as index:
        return index.dump()


def test_a_rebuilt_index_is_equal_row_for_row(lab):
    """What watchers wrote bit by bit is what `exp db rebuild` makes of the files in one go."""
    lab.ticket(criteria="- [ ] train/loss < 0.5\n- [ ] No NaN\n- [ ] Checkpoints saved")
    lab.ticket(2, experiment="e/b.toml")
    lab.experiment(PATIENT)
    lab.experiment("import sys; print('nan'); sys.exit(3)", path="e/b.toml")
    lab.commit()
    lab.exp("ticket", "start", "1")
    lab.exp("ticket", "start", "2", "--follow")
    log = lab.run() / "attempt-1/out.log"
    wait_for(lambda: "step 9" in log.read_text(), what="some points")
    lab.write("go", "")
    lab.published()
    wait_for(lambda: not lab.processes(), what="the watcher to leave")
    # The tickets were edited at the end of the runs, after the watcher had last looked at them.
    assert lab.exp("db", "rebuild").returncode == 0
    first = dump(lab)
    assert len(first["point"]) > 9
    assert len(first["verdict"]) == 4
    assert lab.exp("db", "rebuild").returncode == 0
    assert dump(lab) == first


def test_the_watchers_rows_are_those_of_a_rebuild(lab):
    """Before any rebuild the watcher's own index equals the rebuilt one, tickets aside."""
    lab.ticket(criteria="- [ ] train/loss < 0.5\n- [ ] No NaN")
    lab.experiment(PATIENT)
    lab.exp("ticket", "start", "1")
    log = lab.run() / "attempt-1/out.log"
    wait_for(lambda: log.exists() and "step 30" in log.read_text(), what="several ticks")
    lab.write("go", "")
    lab.published()
    wait_for(lambda: not lab.processes(), what="the watcher to leave")
    grown = dump(lab)
    assert lab.exp("db", "rebuild").returncode == 0
    rebuilt = dump(lab)
    grown.pop("ticket")
    rebuilt.pop("ticket")
    assert grown == rebuilt


def test_a_damaged_index_is_named_and_can_be_rebuilt(lab):
    """A broken exp.db is a clear error whose next command repairs it."""
    lab.ticket()
    lab.experiment()
    lab.exp("ticket", "start", "1", "--follow")
    wait_for(lambda: not lab.processes(), what="the watcher to leave")
    (lab.root / ".exp/exp.db").write_bytes(b"no database at all" * 1000)
    for suffix in ("-wal", "-shm"):
        (lab.root / f".exp/exp.db{suffix}").unlink(missing_ok=True)
    broken = lab.exp("run", "list")
    assert broken.returncode == 4
    assert "exp db rebuild" in broken.stderr
    assert lab.exp("db", "rebuild").returncode == 0
    runs = json.loads(lab.exp("run", "list", "--json").stdout)
    assert [run["outcome"] for run in runs] == ["completed"]


def test_a_lost_index_is_made_again_by_itself(lab):
    """Without exp.db everything is still shown, and the next watcher fills it again."""
    lab.ticket()
    lab.experiment()
    lab.exp("ticket", "start", "1", "--follow")
    wait_for(lambda: not lab.processes(), what="the watcher to leave")
    for path in (lab.root / ".exp").glob("exp.db*"):
        path.unlink()
    listed = json.loads(lab.exp("run", "list", "--json").stdout)
    assert [run["outcome"] for run in listed] == ["completed"]
    lab.exp("status")
    database = lab.root / ".exp/exp.db"
    wait_for(lambda: database.exists() and _runs(database), what="the index")
    text = lab.text()
    assert text.count("exp:begin evidence") == 1


def _runs(database):
    try:
        with sqlite3.connect(database) as connection:
            return connection.execute(
                "SELECT count(*) FROM run WHERE outcome IS NOT NULL"
            ).fetchone()[0]
    except sqlite3.OperationalError:
        return 0
