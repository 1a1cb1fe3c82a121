import pytest

from orchestrator.codec import encode
from orchestrator.domain.run import StopRequest
from orchestrator.errors import InvalidFileError
from orchestrator.store import Reader
from orchestrator.store.index import Index


def fill(make, folder=None):
    """What the watcher puts beside the files."""

    def put(index):
        index.put_run(make.record(1), make.ended(2), folder)
        index.put_checkpoints("R-000001", [make.checkpoint(20), make.checkpoint(10)])
        index.put_verdicts("R-000001", [make.criterion()], [make.verdict()])

    return put


def test_a_rebuild_equals_what_grew_row_for_row(shelf, make):
    """An index that watched files grow and one remade from them hold the same rows everywhere."""
    put = fill(make, shelf.run())
    first, second = shelf.file(attempt=1).parent, shelf.file(attempt=2).parent
    with Index(shelf.database) as index:
        index.put_run(make.record(1), make.running(1), shelf.run())
        index.put_checkpoints("R-000001", [make.checkpoint(5)])
        for step in (1, 2, 3, 2, 7):
            shelf.log(make.point(step, a=step / 3), make.event("phase", time=step, phase="eval"))
            index.ingest(shelf.run())
            index.put_verdicts("R-000001", [make.criterion()] * 2, [make.verdict(step)] * 2)
        (first / "proc.json").write_bytes(encode(make.running().attempt.process))
        (first / "exit.json").write_bytes(encode(make.ended().attempt.exit))
        (first / "stop.json").write_bytes(encode(StopRequest(by="ada", why="decided", time=9.0)))
        assert second.is_dir()
        put(index)
        grown = index.dump()
    with Index.recreate(shelf.database) as index:
        index.ingest(shelf.run())
        put(index)
    with Index(shelf.database) as index:
        assert index.dump() == grown == shelf.fresh_dump(fill=put)
    assert [row[1] for row in grown["attempt"]] == [1, 2]
    assert grown["attempt"][0][-2:] == ("ada", "decided")
    assert all(grown[name] for name in ("run", "attempt", "point", "event", "verdict", "series"))


def test_a_reader_at_work_sees_the_new_index_after_the_swap(shelf, make):
    """A reader open before a rebuild sees the old rows during it and the new ones after."""
    shelf.log(make.point(1, a=0.5))
    with Index(shelf.database) as index:
        index.ingest(shelf.run())
    with Reader(shelf.database) as reader:
        assert reader.history("R-000001", "a").steps == [1]
        shelf.log(make.point(2, a=0.25))
        with Index.recreate(shelf.database) as index:
            index.ingest(shelf.run())
            assert reader.history("R-000001", "a").steps == [1]
        assert reader.history("R-000001", "a").steps == [1, 2]
        assert reader.sources("R-000001")[0].lines == 2


def test_a_rebuild_that_fails_changes_nothing(shelf, make):
    """An error in the middle of a rebuild leaves the old index and no file beside it."""
    shelf.log(make.point(1, a=0.5))
    with Index(shelf.database) as index:
        index.ingest(shelf.run())
        before = index.dump()
    with pytest.raises(RuntimeError, match="no more"):
        _begin_and_fail(shelf, make)
    assert {path.name for path in shelf.root.iterdir()} == {"exp.db", "runs"}
    with Index(shelf.database) as index:
        assert index.dump() == before


def _begin_and_fail(shelf, make):
    with Index.recreate(shelf.database) as index:
        index.put_run(make.record(9), make.running())
        raise RuntimeError("no more")


def test_a_rebuild_makes_an_index_where_there_is_none(shelf, make):
    """Without a database a rebuild simply makes one."""
    shelf.log(make.point(1, a=0.5))
    with Index.recreate(shelf.database) as index:
        index.ingest(shelf.run())
    with Reader(shelf.database) as reader:
        assert list(reader.latest(["R-000001"])) == ["R-000001"]


@pytest.mark.parametrize("damage", ["no database at all", "header", "pages", "log"])
def test_a_rebuild_replaces_a_damaged_index(shelf, make, damage):
    """Whatever was done to the database, a rebuild ends with a good one, and readers notice."""
    shelf.log(*(make.point(step, a=step / 7) for step in range(3000)))
    with Index(shelf.database) as index:
        index.ingest(shelf.run())
    whole = shelf.database.read_bytes()
    if damage == "no database at all":
        shelf.database.write_bytes(b"this is a text\n" * 1000)
    elif damage == "header":
        shelf.database.write_bytes(b"\xff" * 100 + whole[100:])
    elif damage == "pages":
        shelf.database.write_bytes(whole[:4096] + b"\x5a" * (len(whole) - 4096))
    else:
        shelf.database.with_name("exp.db-wal").write_bytes(b"\x5a" * 9000)
    with Reader(shelf.database) as reader:
        if damage in {"no database at all", "header"}:
            with pytest.raises(InvalidFileError) as caught:
                reader.runs()
            assert caught.value.hint == "exp db rebuild"
            assert str(shelf.database) in str(caught.value)
        with Index.recreate(shelf.database) as index:
            index.ingest(shelf.run())
        assert reader.history("R-000001", "a").total == 3000
    with Index(shelf.database) as index:
        assert index.dump() == shelf.fresh_dump()
