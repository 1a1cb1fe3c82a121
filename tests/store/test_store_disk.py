import os
import sqlite3
import subprocess

import pytest

from orchestrator.errors import EnvironmentFailure
from orchestrator.store.index import Index


def whole(path):
    """Whether SQLite finds nothing wrong with the file."""
    connection = sqlite3.connect(path)
    found = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    return found == [("ok",)]


def test_a_full_disk_stops_an_ingest_that_later_goes_on(shelf, index, make):
    """Without room nothing is half written, the error says so, and with room it all comes in."""
    shelf.log(make.point(0, a=0.5))
    index.ingest(shelf.run())
    (pages,) = index._connection.execute("PRAGMA page_count").fetchone()
    before = index.dump()
    shelf.log(*(make.point(step, a=step / 3) for step in range(1, 3000)))
    index._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    for _ in range(2):
        with pytest.raises(EnvironmentFailure, match="disk is full") as caught:
            index.ingest(shelf.run())
        assert caught.value.hint.startswith("df -h")
        assert index.dump() == before
    index._connection.execute("PRAGMA max_page_count = 1000000")
    assert index.ingest(shelf.run()).points == 2999
    assert index.dump() == shelf.fresh_dump()
    assert whole(shelf.database)


def test_a_full_disk_stops_other_writes_whole(index, make):
    """A run that finds no room is not half there: neither it nor its attempts."""
    (pages,) = index._connection.execute("PRAGMA page_count").fetchone()
    index._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = make.record(1, params={"text": "x" * 100_000})
    with pytest.raises(EnvironmentFailure, match="disk is full"):
        index.put_run(big, make.running())
    assert index.dump()["run"] == index.dump()["attempt"] == []
    index._connection.execute("PRAGMA max_page_count = 1000000")
    index.put_run(big, make.running())
    assert len(index.dump()["run"]) == 1


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for half a megabyte."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "small disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_file_system_without_room_is_survived(shelf, small_disk, make):
    """On a file system that really is full the index stays whole and goes on once there is room."""
    filler = small_disk / "filler"
    with Index(small_disk / "exp.db") as index:
        shelf.log(make.point(0, a=0.5))
        index.ingest(shelf.run())
        before = index.dump()
        with filler.open("wb") as file, pytest.raises(OSError, match="No space"):
            file.write(b"x" * (1 << 20))
        shelf.log(*(make.point(step, a=step / 3) for step in range(1, 1500)))
        with pytest.raises(EnvironmentFailure):
            index.ingest(shelf.run())
        assert index.dump() == before
        filler.unlink()
        assert index.ingest(shelf.run()).points == 1499
        assert index.dump() == shelf.fresh_dump()
    assert whole(small_disk / "exp.db")


def test_a_rebuild_without_room_keeps_the_old_index(shelf, small_disk, make):
    """A rebuild that finds no room leaves the index that was there."""
    database = small_disk / "exp.db"
    shelf.log(make.point(0, a=0.5))
    with Index(database) as index:
        index.ingest(shelf.run())
        before = index.dump()
    shelf.log(*(make.point(step, a=step / 3) for step in range(1, 20_000)))
    with pytest.raises(EnvironmentFailure), Index.recreate(database) as index:
        index.ingest(shelf.run())
    assert [path.name for path in small_disk.iterdir()] == ["exp.db"]
    with Index(database) as index:
        assert index.dump() == before


def take_in_both(index, runs):
    """In one transaction a run whose points fit, and one whose points do not."""
    with index.together():
        index.ingest(runs[0])
        with pytest.raises(EnvironmentFailure, match="disk is full"):
            index.ingest(runs[1])


def test_a_full_disk_in_one_run_is_no_damage_and_loses_nothing_of_the_others(shelf, index, make):
    """SQLite rolls back all runs of a transaction; that is said, and heard again, not doubled."""
    runs = [shelf.run(number) for number in (1, 2, 3)]
    for number in (1, 2, 3):
        shelf.log(make.point(0, a=0.5), run=number)
        index.ingest(runs[number - 1])
    before = index.dump()
    (pages,) = index._connection.execute("PRAGMA page_count").fetchone()
    for number, count in ((1, 1), (2, 3000), (3, 1)):
        shelf.log(*(make.point(step, a=step / 3) for step in range(1, 1 + count)), run=number)
    index._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(EnvironmentFailure, match="nothing of it was stored"):
        take_in_both(index, runs)
    assert index.dump() == before
    index._connection.execute("PRAGMA max_page_count = 1000000")
    with index.together():
        assert [index.ingest(run).points for run in runs] == [1, 3000, 1]
    assert index.dump() == shelf.fresh_dump(1, 2, 3)
