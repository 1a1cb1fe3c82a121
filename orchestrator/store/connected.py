"""A database that is opened when it is asked."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from orchestrator.store.database import connect_reader, explained
from orchestrator.store.migrations import schema_version

P = ParamSpec("P")
T = TypeVar("T")


class Connected:
    """A database that is opened when it is asked, and again when another takes its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; a later question opens it again."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._file = None

    def _ask(
        self,
        question: Callable[Concatenate[sqlite3.Connection, P], T],
        *words: P.args,
        **more: P.kwargs,
    ) -> T | None:
        """The answer, or None if there is no database."""
        with explained(self._path):
            connection = self._connect()
            return None if connection is None else question(connection, *words, **more)

    def _connect(self) -> sqlite3.Connection | None:
        """The open database; None if there is none yet, or nothing in it."""
        try:
            status = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            self.close()
            return None
        if self._file != (status.st_dev, status.st_ino):
            self.close()
            connection = connect_reader(self._path)
            if schema_version(connection) == 0:
                connection.close()
                return None
            self._connection, self._file = connection, (status.st_dev, status.st_ino)
        return self._connection
