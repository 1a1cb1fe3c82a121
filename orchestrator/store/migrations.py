"""How the schema came to be, step by step; each step and its record commit together.

The text is what `schema.py` says today, frozen: a test holds the two together.
"""

import sqlite3

from orchestrator.errors import EnvironmentFailure, InvalidFileError
from orchestrator.store.database import transaction

APPLICATION_ID = 0x45585044  # "EXPD", in the header of every index of ours

_FIRST = """
CREATE TABLE migration (version INTEGER NOT NULL, name VARCHAR NOT NULL, PRIMARY KEY (version));
CREATE TABLE ticket (
  path VARCHAR NOT NULL, id VARCHAR NOT NULL, title VARCHAR NOT NULL, status VARCHAR NOT NULL,
  phase VARCHAR NOT NULL, experiment VARCHAR, "after" VARCHAR NOT NULL, "before" VARCHAR NOT NULL,
  checkboxes VARCHAR NOT NULL, blob VARCHAR NOT NULL, mtime_ns INTEGER NOT NULL,
  size INTEGER NOT NULL, PRIMARY KEY (path)
);
CREATE INDEX ix_ticket_id ON ticket (id);
CREATE TABLE run (
  id VARCHAR NOT NULL, ticket VARCHAR, title VARCHAR, experiment VARCHAR, created FLOAT NOT NULL,
  host VARCHAR NOT NULL, executor VARCHAR NOT NULL, status VARCHAR NOT NULL, outcome VARCHAR,
  why VARCHAR NOT NULL, phase VARCHAR, step INTEGER, planned_steps INTEGER,
  attempts INTEGER NOT NULL, started FLOAT, ended FLOAT, "commit" VARCHAR, params VARCHAR NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX ix_run_status ON run (status);
CREATE INDEX ix_run_ticket ON run (ticket);
CREATE TABLE attempt (
  run VARCHAR NOT NULL, number INTEGER NOT NULL, started FLOAT, ended FLOAT, host VARCHAR,
  pid INTEGER, code INTEGER, signal INTEGER, max_rss INTEGER, oom_kill INTEGER, error VARCHAR,
  stop_by VARCHAR, stop_why VARCHAR, PRIMARY KEY (run, number),
  FOREIGN KEY(run) REFERENCES run (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE source (
  id INTEGER NOT NULL, run VARCHAR NOT NULL, path VARCHAR NOT NULL, attempt INTEGER NOT NULL,
  "offset" INTEGER NOT NULL, line INTEGER NOT NULL, broken INTEGER NOT NULL,
  broken_lines VARCHAR NOT NULL, tail INTEGER NOT NULL, segment INTEGER NOT NULL, step INTEGER,
  PRIMARY KEY (id), UNIQUE (run, path)
);
CREATE TABLE stream (
  id INTEGER NOT NULL, source INTEGER NOT NULL, run VARCHAR NOT NULL, name VARCHAR NOT NULL,
  count INTEGER NOT NULL, nonfinite INTEGER NOT NULL, low FLOAT, high FLOAT,
  max_step INTEGER NOT NULL, segment INTEGER NOT NULL, step INTEGER NOT NULL, time FLOAT NOT NULL,
  line INTEGER NOT NULL, value FLOAT, PRIMARY KEY (id), UNIQUE (source, name),
  FOREIGN KEY(source) REFERENCES source (id) ON DELETE CASCADE
);
CREATE INDEX stream_of_series ON stream (run, name);
CREATE TABLE series (
  run VARCHAR NOT NULL, name VARCHAR NOT NULL, count INTEGER NOT NULL, nonfinite INTEGER NOT NULL,
  low FLOAT, high FLOAT, max_step INTEGER NOT NULL, step INTEGER NOT NULL, time FLOAT NOT NULL,
  value FLOAT, PRIMARY KEY (run, name)
) WITHOUT ROWID;
CREATE TABLE point (
  stream INTEGER NOT NULL, line INTEGER NOT NULL, segment INTEGER NOT NULL, step INTEGER NOT NULL,
  time FLOAT NOT NULL, value FLOAT, PRIMARY KEY (stream, line)
) WITHOUT ROWID;
CREATE TABLE event (
  source INTEGER NOT NULL, line INTEGER NOT NULL, name VARCHAR NOT NULL, segment INTEGER NOT NULL,
  step INTEGER NOT NULL, time FLOAT NOT NULL, data VARCHAR NOT NULL, PRIMARY KEY (source, line),
  FOREIGN KEY(source) REFERENCES source (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE checkpoint (
  run VARCHAR NOT NULL, path VARCHAR NOT NULL, attempt INTEGER NOT NULL, step INTEGER NOT NULL,
  bytes INTEGER NOT NULL, files INTEGER NOT NULL, time FLOAT NOT NULL, valid BOOLEAN NOT NULL,
  PRIMARY KEY (run, path), FOREIGN KEY(run) REFERENCES run (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE verdict (
  run VARCHAR NOT NULL, position INTEGER NOT NULL, "key" VARCHAR NOT NULL, text VARCHAR NOT NULL,
  section VARCHAR NOT NULL, required BOOLEAN NOT NULL, state VARCHAR NOT NULL,
  final BOOLEAN NOT NULL, why VARCHAR NOT NULL, value FLOAT, margin FLOAT, unit VARCHAR,
  evidence VARCHAR, PRIMARY KEY (run, position),
  FOREIGN KEY(run) REFERENCES run (id) ON DELETE CASCADE
) WITHOUT ROWID;
"""

_POLARITY = """
ALTER TABLE verdict RENAME TO old_verdict;
CREATE TABLE verdict (
  run VARCHAR NOT NULL, position INTEGER NOT NULL, "key" VARCHAR NOT NULL, text VARCHAR NOT NULL,
  section VARCHAR NOT NULL, required BOOLEAN NOT NULL, state VARCHAR NOT NULL,
  final BOOLEAN NOT NULL, why VARCHAR NOT NULL, value FLOAT, margin FLOAT, unit VARCHAR,
  evidence VARCHAR, polarity VARCHAR NOT NULL, projection VARCHAR, companions VARCHAR NOT NULL,
  PRIMARY KEY (run, position), FOREIGN KEY(run) REFERENCES run (id) ON DELETE CASCADE
) WITHOUT ROWID;
INSERT INTO verdict SELECT *, 'positive', NULL, '[]' FROM old_verdict;
DROP TABLE old_verdict;
"""

_MEMORY = """
ALTER TABLE source ADD COLUMN memory VARCHAR;
"""

_PLACES = """
ALTER TABLE stream ADD COLUMN low_line INTEGER;
ALTER TABLE stream ADD COLUMN high_line INTEGER;
CREATE INDEX point_not_finite ON point (stream, line)
  WHERE value IS NULL OR abs(value) > 1.7976931348623157e308;
"""

# Version 1 is the first entry. Entries are only ever added at the end.
MIGRATIONS: tuple[tuple[str, str], ...] = (
    ("tables of the first release", _FIRST),
    ("polarity, projection and companions of a verdict", _POLARITY),
    ("memory of a decoder between two bites", _MEMORY),
    ("where a curve has its extremes and its values that are not finite", _PLACES),
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema to the version of this code; one that is there already is not touched.

    Raises:
        InvalidFileError: the file is a database, but not one of ours.
        EnvironmentFailure: it was written by a newer version.
    """
    if schema_version(connection) == len(MIGRATIONS):
        return
    with transaction(connection):
        # Asked again under the lock: another process may have been first.
        done = schema_version(connection)
        for version, (name, script) in enumerate(MIGRATIONS[done:], done + 1):
            for statement in filter(str.strip, script.split(";\n")):
                connection.execute(statement)
            connection.execute("INSERT INTO migration VALUES (?, ?)", (version, name))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _mark(connection: sqlite3.Connection) -> int:
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    return int(mark)


def schema_version(connection: sqlite3.Connection) -> int:
    """Version of the schema, 0 for an empty file.

    Raises:
        InvalidFileError: the file is a database, but not one of ours.
        EnvironmentFailure: it was written by a newer version.
    """
    if _mark(connection) != APPLICATION_ID:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        # Asked again: another process may have made the tables between the two questions.
        mark = _mark(connection)
        if mark != APPLICATION_ID and (mark or tables):
            raise InvalidFileError("it is a database of another program")
        if mark != APPLICATION_ID:
            return 0
    version: int = connection.execute("SELECT max(version) FROM migration").fetchone()[0]
    if version > len(MIGRATIONS):
        raise EnvironmentFailure(
            f"it has version {version} of the schema; this program knows {len(MIGRATIONS)}",
            hint="use the newer exp that wrote it, or remake it for this one: exp db rebuild",
        )
    return version
