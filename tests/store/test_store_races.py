import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.store import Reader
from orchestrator.store import ingest as files
from orchestrator.store.index import Index
from orchestrator.store.migrations import MIGRATIONS
from orchestrator.workspace import RunFolder

OPEN = """
import sys
from pathlib import Path
from orchestrator.store.index import Index
from orchestrator.store.migrations import MIGRATIONS
sys.stdin.readline()
Index(Path(sys.argv[1])).close()
"""


def test_several_who_make_the_database_at_once_make_one(shelf):
    """Processes that open a new index together all succeed, and each migration ran once."""
    words = [sys.executable, "-c", OPEN, str(shelf.database)]
    openers = [subprocess.Popen(words, stdin=subprocess.PIPE, text=True) for _ in range(4)]
    for opener in openers:
        opener.stdin.write("go\n")
        opener.stdin.flush()
    for opener in openers:
        opener.stdin.close()
        assert opener.wait(60) == 0
    with Index(shelf.database) as index:
        versions = [row[0] for row in index.dump()["migration"]]
    assert versions == list(range(1, len(MIGRATIONS) + 1))


def test_a_reader_between_rebuilds_never_sees_less_than_before(shelf, make):
    """However often the index is remade, an open reader finds every point of the files."""
    with Reader(shelf.database) as reader:
        for step in range(1, 6):
            shelf.log(make.point(step, a=step))
            with Index.recreate(shelf.database) as index:
                index.ingest(shelf.run())
                assert reader.history("R-000001", "a").total == step - 1
            assert reader.history("R-000001", "a").steps == list(range(1, step + 1))


def read_in_parts(folder, database, data, cuts):
    """Let a file grow up to each cut and look at it each time; what the index holds then."""
    path = folder.attempt(1).path / "events-h-0-1.jsonl"
    path.parent.mkdir(parents=True)
    hears = files.listener((), None, None)
    with Index(database) as index:
        for end in (*sorted(cuts), len(data)):
            path.write_bytes(data[:end])
            files.Intake(index._connection, folder).take(hears)
            assert files.Intake(index._connection, folder).take(hears).bytes == 0
        return index.dump()


PIECES = st.sampled_from(
    [
        b'{"step":1,"time":1.0,"metrics":{"a":0.5}}',
        b'{"step":2,"time":2.0,"metrics":{"a":"NaN","b":1}}',
        b'{"event":"phase","time":2.5,"step":null,"data":{"phase":"eval","state":"begin"}}',
        b"\xf0\x9f\x98\x80",
        b"\n",
        b"\r\n",
        b"{",
        b"\x00",
    ]
)


@settings(max_examples=25)
@given(st.lists(PIECES, max_size=12), st.lists(st.integers(0, 400), max_size=5))
def test_where_a_file_was_cut_when_it_was_read_does_not_matter(pieces, cuts):
    """Any bytes, looked at while they grow by any amounts, give the rows of one reading."""
    data = b"".join(pieces)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        parts = read_in_parts(RunFolder(root / "p" / "R-000001"), root / "p.db", data, cuts)
        whole = read_in_parts(RunFolder(root / "w" / "R-000001"), root / "w.db", data, [])
    assert parts == whole
    assert sum(row[5] for row in whole["source"]) <= data.count(b"\n")
