import math
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import ExpError
from orchestrator.store import Reader
from orchestrator.store.index import Index
from orchestrator.workspace import RunFolder

RUN = "R-000001"


def test_without_a_database_there_is_nothing(shelf):
    """Before anything ran every question has an empty answer, and no file is made by asking."""
    with Reader(shelf.database) as reader:
        assert reader.runs() == reader.tickets() == reader.events(RUN) == []
        assert reader.verdicts(RUN) == reader.checkpoints(RUN) == reader.sources(RUN) == []
        assert reader.attempts(RUN) == []
        assert reader.latest([RUN]) == reader.series(RUN) == {}
        assert reader.run(RUN) is None
        assert reader.history(RUN, "a").total == 0
    assert list(shelf.root.iterdir()) == []


def test_a_database_that_appears_is_noticed(shelf, make):
    """A reader that was there first sees what is written later."""
    with Reader(shelf.database) as reader:
        assert reader.runs() == []
        with Index(shelf.database) as index:
            index.put_run(make.record(1), make.running())
            assert [run.id for run in reader.runs()] == [RUN]
        reader.close()
        assert [run.id for run in reader.runs()] == [RUN]


def test_latest_is_by_position_not_by_arrival(shelf, index, make):
    """The latest value belongs to the largest attempt, segment and step, whenever it came."""
    shelf.log(make.point(9, a=0.9, b=1.0), make.point(2, a=0.2))
    shelf.log(make.point(1, a=0.1), attempt=2)
    index.ingest(shelf.run())
    shelf.log(make.point(50, a=0.5))
    index.ingest(shelf.run())
    with Reader(shelf.database) as reader:
        latest = reader.latest([RUN, "R-000002"])
        assert {name: value.value for name, value in latest[RUN].items()} == {"a": 0.1, "b": 1.0}
        assert latest[RUN]["a"] == (1, 0.1, 1.0)
        assert list(latest) == [RUN]


def test_equal_steps_of_two_ranks_are_ordered_by_time_then_file(shelf, index, make):
    """Ranks that log the same step take turns by time, and by file name at the same time."""
    shelf.log(make.point(1, time=5.0, a=10.0), make.point(2, time=6.0, a=20.0))
    shelf.log(make.point(1, time=4.0, a=11.0), make.point(2, time=6.0, a=21.0), rank=1)
    index.ingest(shelf.run())
    with Reader(shelf.database) as reader:
        history = reader.history(RUN, "a")
        assert history.values == [11.0, 10.0, 20.0, 21.0]
        assert history.times == [4.0, 5.0, 6.0, 6.0]
        assert reader.latest([RUN])[RUN]["a"].value == 21.0


def test_history_keeps_replays_and_attempts_apart(shelf, index, make):
    """Points after a roll-back or a new attempt follow those before it; nothing is dropped."""
    shelf.log(*(make.point(step, a=step) for step in (1, 2, 3, 2, 3)))
    shelf.log(*(make.point(step, a=step) for step in (3, 4)), attempt=2)
    index.ingest(shelf.run())
    with Reader(shelf.database) as reader:
        assert reader.history(RUN, "a").steps == [1, 2, 3, 2, 3, 3, 4]
        assert reader.history(RUN, "none").total == 0


def test_series_sum_up_a_metric(shelf, index, make):
    """Count, extremes and the largest step are over all files; NaN and infinity are no extremes."""
    shelf.log(make.point(1, a=3.0, n="NaN"), make.point(2, a="NaN"), make.point(9, a=-1.0))
    shelf.log(make.point(4, a=8.0), make.point(5, a="-Infinity"), attempt=2)
    index.ingest(shelf.run())
    with Reader(shelf.database) as reader:
        series = reader.series(RUN)
        assert (series["a"].count, series["a"].nonfinite) == (5, 2)
        assert (series["a"].low, series["a"].high, series["a"].max_step) == (-1.0, 8.0, 9)
        assert series["a"].latest == (5, -math.inf, 5.0)
        assert (series["n"].low, series["n"].high) == (None, None)
        assert math.isnan(series["n"].latest.value)
        assert math.isnan(reader.latest([RUN])[RUN]["n"].value)
        values = reader.history(RUN, "a").values
        assert repr(values) == "[3.0, nan, -1.0, 8.0, -inf]"


def test_reading_goes_on_while_the_writer_writes(shelf, make):
    """Readers beside a writer see whole commits: as many points as their source's lines."""
    shelf.log(*(make.point(step, a=step) for step in range(50)))
    done = threading.Event()
    seen, failures = set(), []

    def watch():
        try:
            with Reader(shelf.database) as reader:
                while not done.is_set():
                    seen.add(reader.history(RUN, "a").total % 50)
        except ExpError as error:
            failures.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with Index(shelf.database) as index:
            for turn in range(1, 40):
                index.ingest(shelf.run())
                shelf.log(*(make.point(turn * 50 + step, a=step) for step in range(50)))
            index.ingest(shelf.run())
    finally:
        done.set()
        watcher.join()
    assert failures == []
    assert seen == {0}


@pytest.fixture
def locked_away(shelf):
    """Makes the workspace unwritable: by its mode, or for root by a mount that is read-only."""
    target = str(shelf.root)
    mounted = False

    def lock():
        nonlocal mounted
        shelf.root.chmod(0o555)
        if os.geteuid() == 0:
            for words in (["--bind", target, target], ["-o", "remount,ro,bind", target]):
                if subprocess.run(["mount", *words], check=False, capture_output=True).returncode:
                    pytest.skip("root writes everywhere and may not mount here")
                mounted = True

    yield lock
    if mounted:
        subprocess.run(["umount", "--lazy", target], check=True)
    shelf.root.chmod(0o755)


@pytest.mark.parametrize("writer_was", ["closed", "killed"])
def test_a_folder_that_cannot_be_written_can_be_read(shelf, make, locked_away, writer_was):
    """In a read-only workspace every committed row is read, also after the writer was killed."""
    program = """
import os, sys
from pathlib import Path
from orchestrator.store.index import Index
from orchestrator.workspace import RunFolder
index = Index(Path(sys.argv[1]))
index.ingest(RunFolder(Path(sys.argv[2])))
index.close() if sys.argv[3] == "closed" else os._exit(0)
"""
    shelf.log(make.point(1, a=0.5))
    words = [sys.executable, "-c", program, shelf.database, shelf.run().path, writer_was]
    subprocess.run(words, check=True)
    locked_away()
    with pytest.raises(OSError, match=r"Read-only|denied"):
        (shelf.root / "probe").touch()
    with Reader(shelf.database) as reader:
        assert reader.history(RUN, "a").values == [0.5]
        assert reader.latest([RUN])[RUN]["a"].step == 1


VALUES = st.lists(st.floats(width=32), min_size=1, max_size=300)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=VALUES, most=st.integers(4, 60))
def test_a_sketch_keeps_ends_and_extremes(tmp_path_factory, make, values, most):
    """A sketch is a subsequence within its limit with both ends and both extremes."""
    root = tmp_path_factory.mktemp("sketch")
    size = len(values)
    attempt = RunFolder(root / "runs" / RUN).attempt(1).path
    attempt.mkdir(parents=True)
    lines = [make.point(step, time=step / 2, a=value) for step, value in enumerate(values)]
    (attempt / "events-box-0-1.jsonl").write_text("".join(lines))
    with Index(root / "exp.db") as index:
        index.ingest(RunFolder(root / "runs" / RUN))
    with Reader(root / "exp.db") as reader:
        thinned = reader.sketch(RUN, "a", most)
    assert len(thinned.steps) <= max(most, 4)
    assert thinned.steps == sorted(set(thinned.steps))
    assert repr(thinned.values) == repr([values[step] + 0.0 for step in thinned.steps])  # no -0
    assert thinned.times == [step / 2 for step in thinned.steps]
    assert (thinned.steps[0], thinned.steps[-1], thinned.total) == (0, size - 1, size)
    finite = [value for value in values if math.isfinite(value)]
    if finite:
        kept = [value for value in thinned.values if math.isfinite(value)]
        assert (min(kept), max(kept)) == (min(finite), max(finite))


def test_a_thinned_history_says_how_many_there_are(shelf, index, make):
    """Asking for fewer points for display does not change what is known of the whole."""
    shelf.log(*(make.point(step, a=(step * 37) % 101) for step in range(500)))
    index.ingest(shelf.run())
    with Reader(shelf.database) as reader:
        thinned = reader.sketch(RUN, "a", 20)
        assert len(thinned.steps) <= 20
        assert thinned.total == 500
        assert {min(thinned.values), max(thinned.values)} == {0.0, 100.0}
        assert len(reader.sketch(RUN, "a", 500).steps) == 500
