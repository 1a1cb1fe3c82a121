import re
import sqlite3
import subprocess
import sys

import pytest
from sqlalchemy.dialects import sqlite as dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from orchestrator.errors import ConflictError, EnvironmentFailure, InvalidFileError
from orchestrator.store import Reader, database, migrations
from orchestrator.store.index import Index
from orchestrator.store.schema import Table


def plain(sql):
    """SQL without the spaces that mean nothing."""
    return re.sub(r"\s*([(),])\s*", r"\1", " ".join(sql.split()))


def raw(path):
    return sqlite3.connect(path, isolation_level=None)


def test_migrations_make_the_tables_of_the_schema(shelf, index):
    """The statements of the migrations are those that the SQLModel classes stand for."""
    wanted = set()
    for table in Table.metadata.sorted_tables:
        statements = [CreateTable(table), *map(CreateIndex, table.indexes)]
        wanted |= {plain(str(sql.compile(dialect=dialect.dialect()))) for sql in statements}
    made = index._connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
    assert {plain(sql) for (sql,) in made} == wanted


def test_the_database_is_set_up_for_one_writer_beside_readers(index):
    """Write-ahead logging, foreign keys and a busy timeout are on."""
    read = {
        name: index._connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    }
    assert read == {
        "journal_mode": "wal",
        "synchronous": 1,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }


def test_each_migration_leaves_its_record(index):
    """The table of migrations names every step up to the version of the code."""
    rows = index._connection.execute("SELECT version, name FROM migration").fetchall()
    assert rows == [(n, name) for n, (name, _) in enumerate(migrations.MIGRATIONS, 1)]


def test_an_older_database_is_brought_forward_with_its_rows(shelf, make, monkeypatch):
    """A new step of the schema runs once on an old database, and what was in it stays."""
    with Index(shelf.database) as index:
        index.put_run(make.record(1), make.running())
    step = ("a note on runs", "ALTER TABLE run ADD COLUMN note VARCHAR;\n")
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, step))
    for _ in range(2):
        with Index(shelf.database) as index:
            rows = index._connection.execute("SELECT id, note FROM run").fetchall()
            versions = index._connection.execute("SELECT version FROM migration").fetchall()
    assert rows == [("R-000001", None)]
    assert versions == [(number,) for number in range(1, len(migrations.MIGRATIONS) + 1)]


def test_a_migration_that_fails_leaves_no_trace(shelf, make, monkeypatch):
    """Steps and their records are all there or not at all."""
    with Index(shelf.database) as index:
        index.put_run(make.record(1), make.running())
        before = index.dump()
    step = ("broken", "CREATE TABLE extra (a INTEGER);\nCREATE TABLE run (a INTEGER);\n")
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, step))
        with pytest.raises(InvalidFileError):
            Index(shelf.database)
    with Index(shelf.database) as index:
        assert index.dump() == before
        tables = index._connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert ("extra",) not in tables


@pytest.mark.parametrize("opened_by", ["Index", "Reader"])
def test_a_newer_database_is_refused(shelf, opened_by):
    """An index of a newer version is not touched, and the error says what to do."""
    Index(shelf.database).close()
    connection = raw(shelf.database)
    connection.execute("INSERT INTO migration VALUES (99, 'from the future')")
    connection.close()
    with pytest.raises(EnvironmentFailure, match="version 99") as caught:
        Index(shelf.database) if opened_by == "Index" else Reader(shelf.database).runs()
    assert "exp db rebuild" in caught.value.hint
    assert str(shelf.database) in str(caught.value)


@pytest.mark.parametrize("opened_by", ["Index", "Reader"])
@pytest.mark.parametrize("mark", [0, 1234])
def test_a_database_of_another_program_is_refused(shelf, opened_by, mark):
    """Somebody else's database under our name is not touched."""
    connection = raw(shelf.database)
    connection.execute("CREATE TABLE migration (name TEXT)")
    connection.execute(f"PRAGMA application_id = {mark}")
    connection.close()
    with pytest.raises(InvalidFileError, match="another program") as caught:
        Index(shelf.database) if opened_by == "Index" else Reader(shelf.database).runs()
    assert caught.value.hint == "exp db rebuild"
    connection = raw(shelf.database)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("migration",)]
    connection.close()


def test_an_empty_file_is_an_empty_index(shelf):
    """A file without a byte, as a writer killed at once leaves it, reads as empty and is filled."""
    shelf.database.touch()
    with Reader(shelf.database) as reader:
        assert reader.runs() == []
        Index(shelf.database).close()
        assert reader.runs() == []


def test_a_lock_that_does_not_go_away_is_explained(shelf, index, make):
    """When somebody keeps a transaction open, the writer says so and does not wait for ever."""
    holder = raw(shelf.database)
    holder.execute("BEGIN IMMEDIATE")
    index._connection.execute("PRAGMA busy_timeout = 10")
    with pytest.raises(ConflictError, match="held by another"):
        index.put_run(make.record(1), make.running())
    holder.execute("ROLLBACK")
    holder.close()
    index.put_run(make.record(1), make.running())


def test_a_place_that_does_not_exist_is_explained(shelf):
    """A database in a folder that is not there is an error of the environment."""
    with pytest.raises(EnvironmentFailure, match="cannot use"):
        Index(shelf.root / "nowhere" / "exp.db")


def test_mistakes_of_this_program_are_not_dressed_up(shelf, index, make):
    """A broken rule of the schema is an exception with its traceback, not advice to the user."""
    with pytest.raises(sqlite3.IntegrityError):
        index.put_checkpoints("R-000009", [make.checkpoint()])
    with pytest.raises(ValueError, match="zip"):
        index.put_verdicts("R-000009", [make.criterion()], [])


def test_reading_loads_only_the_standard_library():
    """`Reader` costs no third-party import; `Index` is found where it is asked for."""
    program = """
import sys
from orchestrator.store import Reader
loaded = {name.split(".")[0] for name in sys.modules}
assert not loaded & {"sqlmodel", "sqlalchemy", "pydantic", "orjson"}, loaded
import orchestrator.store
assert orchestrator.store.Index.__name__ == "Index"
assert "sqlmodel" in sys.modules
try:
    orchestrator.store.Nothing
except AttributeError:
    print("fine")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "fine\n"


def test_our_tables_are_our_own():
    """Tables of other packages that use SQLModel are not created in the index."""
    from sqlmodel import SQLModel

    assert not set(Table.metadata.tables) & set(SQLModel.metadata.tables)
    assert database.BUSY == 5.0
