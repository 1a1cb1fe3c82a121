"""Connections to the index, and what SQLite's errors mean to a person. Standard library only."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import (
    ConflictError,
    DamagedIndexError,
    EnvironmentFailure,
    ExpError,
    InvalidFileError,
)

BUSY = 5.0  # seconds to wait for somebody else's transaction
_REBUILD = "exp db rebuild"
_CACHE = 64 << 10  # KiB of pages kept by the writer
_CHECKPOINT = 4000  # pages: larger bites mean fewer fsyncs while bulk data come in
_WAL_LIMIT = 64 << 20  # bytes that the log may keep on disk when it is idle


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open for writing, in autocommit; transactions are begun by `transaction`."""
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # In WAL, NORMAL can lose the last commits in a power cut but never the database; the
        # offsets are lost with the rows, so the next ingest brings both again.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open for reading only, beside a writer at work or in a folder that cannot be written."""
    uri = path.absolute().as_uri() + "?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if not path.exists() or os.access(path.parent, os.W_OK):
            raise
        # WAL needs a -shm file beside the database. Where none can be made nobody writes either.
        connection = sqlite3.connect(uri + "&immutable=1", uri=True, isolation_level=None)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit all of the block or nothing of it; inside another one, it is committed with that."""
    inside = connection.in_transaction
    connection.execute("SAVEPOINT inner" if inside else "BEGIN IMMEDIATE")
    try:
        yield
        _finish(connection, "RELEASE inner" if inside else "COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors, a full disk among them.
        if connection.in_transaction:
            connection.execute("ROLLBACK TO inner" if inside else "ROLLBACK")
        raise


def _finish(connection: sqlite3.Connection, statement: str) -> None:
    if not connection.in_transaction:
        # An error that the block has dealt with made SQLite roll back all of it.
        raise EnvironmentFailure("nothing of it was stored, because a part could not be")
    connection.execute(statement)


def commit_so_far(connection: sqlite3.Connection) -> None:
    """Commit what an open transaction has written, and go on in another one."""
    if connection.in_transaction:
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, naming the file and the next command.

    Raises:
        DamagedIndexError: the file is damaged or no index.
        ConflictError: somebody else holds it for longer than `BUSY`.
        EnvironmentFailure: the disk is full, or the file cannot be read or written.
    """
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise  # a mistake of this program, not of the machine
    except sqlite3.Error as error:
        raise _explain(error, path) from error
    except (InvalidFileError, EnvironmentFailure) as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}", hint=error.hint or _REBUILD) from error


def _explain(error: sqlite3.Error, path: Path) -> ExpError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the lowest byte is the primary code
    if code == sqlite3.SQLITE_FULL:
        return EnvironmentFailure(
            f"the disk is full: cannot write {path}; nothing is lost, it goes on where it was",
            hint=f"df -h {path.parent}",
        )
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return ConflictError(f"{path} is held by another process", hint=f"fuser {path}")
    if code in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR}:
        return DamagedIndexError(f"{path} is damaged or no index: {error}", hint=_REBUILD)
    return EnvironmentFailure(
        f"cannot use {path}: {error}", hint=f"df -h {path.parent}; ls -ld {path.parent} {path}"
    )


def set_aside(path: Path) -> None:
    """Move a damaged database to `exp.db.damaged`, if it is still there, and drop its log."""
    if path.exists():
        path.replace(path.with_name(f"{path.name}.damaged"))
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def swap(fresh: Path, path: Path) -> None:
    """Give `path` the contents of `fresh` in one transaction of SQLite's own.

    A rename would leave the old write-ahead log beside the new database, to be applied to it;
    so only a file that is no database is replaced by a rename.
    """
    source = sqlite3.connect(fresh, isolation_level=None)
    try:
        target = connect_writer(path)
        try:
            source.backup(target)
            target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            target.close()
    except sqlite3.DatabaseError as error:
        if not isinstance(_explain(error, path), InvalidFileError):
            raise
        set_aside(path)
        fresh.replace(path)
    finally:
        source.close()
