import os
import random
from pathlib import Path

import pytest

from orchestrator.domain.run import Track
from orchestrator.store import ingest as files
from orchestrator.store.formats.log import LONGEST
from orchestrator.store.index import Index

BOARD = (Path(__file__).parent / "data" / "torch.tfevents.bin").read_bytes()
BAR = b"\rtrain: %3d%%|#  | %d/100 [00:01<00:09, 5.0it/s, acc=%d]"
TEXT = b"lr=3e-4\n"
TEXT += b"".join(b"step %d | loss %.3f\n" % (step, 1 / step) for step in range(1, 40))
TEXT += b"".join(BAR % (n, n, n) for n in range(99)) + b"\n"
TEXT += b"." * (LONGEST + 9) + b"\ntest loss: 0.5\n"
TABLE = b"epoch,step,loss,acc\n" + b"".join(b"0,%d,%f,\n" % (n, 1 / n) for n in range(1, 50))
OBJECTS = b"".join(b'{"step": %d, "loss": %f}\n' % (n, 1 / n) for n in range(1, 50)) + b"rubbish\n"
SDK = b"".join(
    b'{"step": %d, "time": %d.5, "metrics": {"loss": %f}}\n' % (n, n, 1 / n) for n in range(1, 50)
)
FILES = {
    "attempt-1/out.log": TEXT,
    "attempt-1/events-host-0-1.jsonl": SDK,
    "tb/events.out.tfevents.1.host": BOARD,
    "csv/metrics.csv": TABLE,
    "more/history.jsonl": OBJECTS,
}


def test_every_kind_of_file_becomes_series_named_by_its_origin(place, index):
    """The same metric out of five files is five series; points keep the file they came from."""
    for path, data in FILES.items():
        place.write(path, data, at=2000)
    result = index.ingest(place.run)
    series = place.series()
    assert set(series) == {
        "loss",
        "log/loss", "log/acc", "log/progress", "log/rate", "log/test_loss",
        "tensorboard/train/loss", "tensorboard/eval/acc",
        "csv/epoch", "csv/loss",
        "jsonl/loss",
    }  # fmt: skip
    assert result.points == sum(map(len, series.values()))
    assert result.broken == 1
    assert place.sources()["more/history.jsonl"].broken_lines == (50,)
    assert {path: row.bytes for path, row in place.sources().items()} == {
        path: len(data) for path, data in FILES.items()
    }


def test_a_second_look_brings_nothing(place, index):
    """Files that did not change are not read again, not even to find that nothing is new."""
    for path, data in FILES.items():
        place.write(path, data, at=2000)
    place.write("attempt-1/out.log", b"step 99 loss=0.1", more=True)  # torn
    index.ingest(place.run)
    opened = []
    original = os.open

    def counted(path, *more, **options):
        opened.append(path)
        return original(path, *more, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", counted)
        assert index.ingest(place.run).bytes == 0
        assert opened == []
        place.write("attempt-1/out.log", b"\n", more=True)
        assert index.ingest(place.run).points == 1
        assert len(opened) == 1


@pytest.mark.parametrize("seed", range(8))
def test_files_that_grow_at_any_byte_give_the_rows_of_one_reading(place, index, seed):
    """However files grow and are looked at, by one process or several, the rows are the same."""
    dice = random.Random(seed)
    left = dict(FILES)
    while left:
        path = dice.choice(sorted(left))
        size = dice.choice((1, 7, 60, 400, 3000, 20_000))
        place.write(path, left[path][:size], at=2000, more=True)
        left[path] = left[path][size:]
        if not left[path]:
            del left[path]
        if dice.random() < 0.3:
            # A finder of its own each time: a watcher that was killed and started again.
            hears = files.listener((), None, None)
            bite = dice.choice((6000, 1 << 16, 1 << 22))
            files.Intake(index._connection, place.run).take(hears, bite=bite)
    index.ingest(place.run)
    dump = index.dump()
    assert len(dump["point"]) > 300
    assert dump == place.fresh_dump()


def test_a_file_written_anew_is_read_anew(place, index):
    """Lightning rewrites its CSV when a column is added: old rows go, new ones come."""
    place.write("m.csv", "step,loss\n1,0.5\n2,0.4\n", at=2000)
    index.ingest(place.run)
    place.write("m.csv", "step,loss,acc\n1,0.5,\n2,0.4,\n2,,0.9\n", at=2001)
    assert index.ingest(place.run).restarted == ("m.csv",)
    assert place.series() == {"csv/loss": [(1, 0.5), (2, 0.4)], "csv/acc": [(2, 0.9)]}
    assert index.dump() == place.fresh_dump()


def test_damage_is_counted_once_and_read_past(place, index):
    """A damaged record is counted at its place; a damaged header ends that file for good."""
    data = bytearray(BOARD)
    data[60] ^= 1
    place.write("events.out.tfevents.1", bytes(data), at=2000)
    assert index.ingest(place.run).broken == 1
    place.write("events.out.tfevents.1", b"\0" * 40, at=2001, more=True)
    assert index.ingest(place.run).broken == 1
    place.write("events.out.tfevents.1", BOARD, at=2002, more=True)
    assert index.ingest(place.run).broken == 0
    assert place.sources()["events.out.tfevents.1"].broken == 2
    assert index.dump() == place.fresh_dump()


def test_text_has_the_time_of_its_attempt_and_listeners_hear_its_line(place, index):
    """Lines without a time are as old as the attempt; the point names file and line."""
    place.attempt(2, begun=5000.0)
    place.write("attempt-2/out.log", "hello\nstep 3 loss=0.5\n")
    heard = []
    index.ingest(place.run, wanted={"log/loss"}, on_point=heard.append)
    (point,) = heard
    assert (point.value, point.at.step, point.at.time) == (0.5, 3, 5000.0)
    assert (point.at.source, point.at.line, point.at.attempt) == ("attempt-2/out.log", 2, 2)


def test_the_log_can_be_left_unread(place, index):
    """With `log = false` no series comes out of out.log, and patterns see nothing."""
    place.record(track=Track(log=False))
    place.write("attempt-1/out.log", TEXT)
    assert index.ingest(place.run).points == 0
    assert place.sources() == {}


def test_patterns_and_planned_steps_of_the_record_rule(place, index):
    """What the spec said at launch is how the log is read, also by a rebuild."""
    place.record(track=Track(patterns=(r">> (?P<step>\d+) (?P<score>\S+)",)), planned=50)
    text = "tokens: 50%|#| 500/1000 [0:01<0:01, 9it/s]\n>> 7 0.25\n 2%|#| 1/50 [0:01<0:01, 9it/s]\n"
    place.write("attempt-1/out.log", text)
    index.ingest(place.run)
    assert place.series() == {
        "log/score": [(7, 0.25)],
        "log/progress": [(1, 0.02)],
        "log/rate": [(1, 9.0)],
    }
    assert index.dump() == place.fresh_dump()


def test_how_far_a_run_is_follows_what_it_logged(place, make_run, index):
    """A bar that counts files does not make a run look further than its own points say."""
    place.write("attempt-1/out.log", "step 9000 loss=1\n")
    index.ingest(place.run)
    make_run(index)
    assert index.dump()["run"][0][11] == 9000
    place.write("attempt-1/events-host-0-1.jsonl", SDK)
    index.ingest(place.run)
    assert index.dump()["run"][0][11] == 49


@pytest.fixture
def make_run(place):
    """Put the run into an index."""
    from orchestrator.domain.run import AttemptState, RunRecord, RunState, RunStatus

    def put(index: Index):
        record = RunRecord(id="R-000001", created=1.0, host="box", cwd="/", commands=())
        attempt = AttemptState(number=1)
        state = RunState(status=RunStatus.RUNNING, outcome=None, attempt=attempt, why="")
        index.put_run(record, state)

    return put
