import signal
import sqlite3
import subprocess
import sys

import pytest

from orchestrator.store import Reader
from orchestrator.store.index import Index

# Ingests in small bites and kills itself, as `kill -9` would, when it is about to run its Nth
# statement: between two commits or in the middle of a transaction, as it falls.
VICTIM = """
import os, signal, sys
from pathlib import Path
from orchestrator.store import ingest as files
from orchestrator.store.finding import Finder
from orchestrator.store.index import Index
from orchestrator.workspace import RunFolder

database, folder, deadline = Path(sys.argv[1]), RunFolder(Path(sys.argv[2])), int(sys.argv[3])
index = Index(database)
seen = 0

def count(_sql):
    global seen
    seen += 1
    if seen == deadline:
        os.kill(os.getpid(), signal.SIGKILL)

index._connection.set_trace_callback(count)
files.Intake(index._connection, folder).take(files.listener((), None, None), bite=700)
"""

REBUILDER = """
import os, signal, sys
from pathlib import Path
from orchestrator.store import database
from orchestrator.store.index import Index
from orchestrator.workspace import RunFolder

path, folder = Path(sys.argv[1]), RunFolder(Path(sys.argv[2]))
with Index.recreate(path) as index:
    index.ingest(folder)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run_victim(program, *words):
    done = subprocess.run([sys.executable, "-c", program, *map(str, words)], check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("deadlines", [(2, 3, 4), (5, 17, 18), (40, 41, 90), (150, 60, 1)])
def test_a_kill_at_any_statement_loses_and_doubles_nothing(shelf, make, deadlines):
    """Killed at whatever statements, an ingest that goes on ends with the rows of one reading."""
    shelf.log(*(make.point(step % 50, a=step / 7, b=-step) for step in range(120)))
    shelf.log(make.event("finish"))
    for deadline in deadlines:
        run_victim(VICTIM, shelf.database, shelf.run().path, deadline)
    with Index(shelf.database) as index:
        rest = index.ingest(shelf.run())
        assert rest.restarted == ()
        assert index.dump() == shelf.fresh_dump()


def test_rows_and_offset_are_never_apart(shelf, make):
    """After a kill the index holds exactly the points of the lines before its offset."""
    path = shelf.log(*(make.point(step, a=step / 7) for step in range(100)))
    run_victim(VICTIM, shelf.database, shelf.run().path, 60)
    with Reader(shelf.database) as reader:
        (source,) = reader.sources("R-000001")
        history = reader.history("R-000001", "a")
    assert 0 < source.bytes < path.stat().st_size
    assert history.total == source.lines == path.read_bytes()[: source.bytes].count(b"\n")


def test_a_rebuild_that_is_killed_leaves_the_old_index(shelf, make):
    """Readers see the old rows after a killed rebuild, and the next rebuild succeeds."""
    shelf.log(make.point(1, a=0.5))
    with Index(shelf.database) as index:
        index.ingest(shelf.run())
        before = index.dump()
    shelf.log(make.point(2, a=0.25))
    run_victim(REBUILDER, shelf.database, shelf.run().path)
    with Index(shelf.database) as index:
        assert index.dump() == before
    with Index.recreate(shelf.database) as index:
        index.ingest(shelf.run())
    with Index(shelf.database) as index:
        assert index.dump() == shelf.fresh_dump()
    connection = sqlite3.connect(shelf.database)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
