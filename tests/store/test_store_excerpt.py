"""What a reader gives of a curve that is too long to be held."""

import math
import sqlite3

import pytest

from orchestrator.store import Reader, excerpt
from orchestrator.store.index import Index


def curve(shelf, index, **bounds):
    index.ingest(shelf.run())
    with Reader(shelf.database) as reader:
        return reader.curve("R-000001", "loss", **bounds)


def test_a_short_curve_is_whole_and_knows_its_places(shelf, index, make):
    """Each point has its file and its line; lines without the metric count too."""
    shelf.log(make.point(1, loss=3.0), make.point(1, other=1.0), make.point(2, loss=math.nan))
    shelf.log(make.point(3, loss=1.0), attempt=2)
    found = curve(shelf, index)
    assert found.steps == [1, 2, 3]
    assert found.values[::2] == [3.0, 1.0]
    assert math.isnan(found.values[1])
    first = "attempt-1/events-host-0-100.jsonl"
    assert list(zip(found.sources, found.lines, strict=True)) == [
        (first, 1),
        (first, 3),
        ("attempt-2/events-host-0-100.jsonl", 1),
    ]
    assert found.total == 3


def test_of_a_long_curve_the_newest_the_extremes_and_the_holes_stay(shelf, index, make):
    """Neither a peak nor a NaN that is long past gets lost, and the size is bounded."""
    odd = {777: 50.0, 1234: -9.0, 400: math.nan, 5100: math.inf}
    values = [odd.get(step, 1 + step % 7 / 10) for step in range(1, 8001)]
    for begin in range(0, 8000, 3000):  # in bites, as the watcher reads
        part = enumerate(values[begin : begin + 3000], begin + 1)
        shelf.log(*(make.point(step, loss=value) for step, value in part))
        index.ingest(shelf.run())
    found = curve(shelf, index, newest=100, older=200)
    assert found.steps == sorted(set(found.steps))
    assert found.steps[-100:] == list(range(7901, 8001))
    assert set(odd) <= set(found.steps)
    assert len(found.steps) < 400
    assert max(b - a for a, b in zip(found.steps, found.steps[1:], strict=False)) < 250
    assert found.total == 8000
    assert all(
        found.values[i] == values[step - 1] or math.isnan(values[step - 1])
        for i, step in enumerate(found.steps)
    )


@pytest.mark.parametrize("newest", [1, 3, 4, 10, 100])
def test_the_newest_points_of_several_ranks_and_attempts_are_those_of_the_history(
    shelf, index, make, newest
):
    """Points of all files take turns as in the history, whatever the bound."""
    for attempt in (1, 2):
        for rank in (0, 1):
            lines = [make.point(s, time=s + rank / 10, loss=s + rank / 10) for s in range(1, 9)]
            shelf.log(*lines, make.point(5, time=9, loss=-1.0), attempt=attempt, rank=rank)
    found = curve(shelf, index, newest=newest, older=0)
    with Reader(shelf.database) as reader:
        whole = reader.history("R-000001", "loss")
    assert whole.values[-newest:] == found.values[-newest:]
    assert whole.steps[-newest:] == found.steps[-newest:]
    assert curve(shelf, index, newest=newest).values == whole.values


def test_values_that_are_not_finite_are_found_by_their_index(shelf, index):
    """No scan of ten million points for the few that are NaN."""
    connection = sqlite3.connect(shelf.database)
    for question in (excerpt._FIRST_HOLES, excerpt._LAST_HOLES):
        plan = connection.execute(f"EXPLAIN QUERY PLAN {question}", (1, 1, 1)).fetchall()
        assert [row[3] for row in plan] == [
            "SEARCH point USING INDEX point_not_finite (stream=? AND line<?)"
        ]
    connection.close()


def test_the_places_of_extremes_are_those_of_a_rebuild(shelf, index, make):
    """In whatever bites a file is read, the first line with the extreme value is kept."""
    for value in (2.0, math.nan, 1.0, 3.0, 1.0, 3.0):
        shelf.log(make.point(1, loss=value))
        index.ingest(shelf.run())
    assert index.dump() == shelf.fresh_dump()
    connection = sqlite3.connect(shelf.database)
    assert connection.execute("SELECT low_line, high_line FROM stream").fetchall() == [(3, 4)]
    connection.close()


def test_without_an_index_a_curve_is_empty(tmp_path):
    """A workspace in which nothing ran has no points and no error."""
    with Reader(tmp_path / "exp.db") as reader:
        found = reader.curve("R-000001", "loss")
    assert (found.steps, found.total) == ([], 0)


def test_a_run_that_nobody_knows_has_no_curve(shelf, index, make):
    """An unknown run or metric is an empty curve."""
    shelf.log(make.point(1, loss=1.0))
    index.ingest(shelf.run())
    with Index(shelf.database), Reader(shelf.database) as reader:
        assert reader.curve("R-000009", "loss").total == 0
        assert reader.curve("R-000001", "lost").total == 0
