import random

import pytest

from orchestrator.errors import EnvironmentFailure
from orchestrator.store import Reader
from orchestrator.store import ingest as files
from orchestrator.store.index import Index
from orchestrator.store.progress import attempt_steps, max_step


def take(index, folder, bite):
    """Ingest in bites of our own size."""
    hears = files.listener((), None, None)
    return files.Intake(index._connection, folder).take(hears, bite=bite)


def steps(shelf, metric="a", run="R-000001"):
    with Reader(shelf.database) as reader:
        return reader.history(run, metric).steps


def test_new_lines_are_taken_in_once(shelf, index, make):
    """A second look at unchanged files brings nothing; later lines are added to them."""
    shelf.log(make.point(1, a=0.5, b=1.0), make.event("start", pid=7))
    first = index.ingest(shelf.run())
    again = index.ingest(shelf.run())
    shelf.log(make.point(2, a=0.25))
    third = index.ingest(shelf.run())
    assert (first.points, first.events, first.broken) == (2, 1, 0)
    assert first.bytes > 0
    assert (again.points, again.events, again.bytes, again.restarted) == (0, 0, 0, ())
    assert (third.points, third.events) == (1, 0)
    assert steps(shelf) == [1, 2]


def test_a_torn_line_waits_for_its_end(shelf, index, make):
    """A last line without its newline is not read, not counted as broken, and read once whole."""
    line = make.point(2, a=0.25)
    shelf.log(make.point(1, a=0.5), line[:20])
    assert index.ingest(shelf.run()).points == 1
    assert index.ingest(shelf.run()).points == 0
    shelf.log(line[20:])
    result = index.ingest(shelf.run())
    assert (result.points, result.broken) == (1, 0)
    assert steps(shelf) == [1, 2]


def test_broken_lines_are_remembered_with_their_file(shelf, index, make):
    """What could not be read is counted once and found by file and line, over several looks."""
    shelf.log(make.point(1, a=0.5), "rubbish\n")
    assert index.ingest(shelf.run()).broken == 1
    shelf.log(make.point(2, a=0.5), b"\xff\xfe\n")
    assert index.ingest(shelf.run()).broken == 1
    with Reader(shelf.database) as reader:
        (source,) = reader.sources("R-000001")
    assert (source.path, source.attempt) == ("attempt-1/events-host-0-100.jsonl", 1)
    assert (source.broken, source.broken_lines, source.lines) == (2, (2, 4), 4)
    assert source.bytes == shelf.file().stat().st_size


def test_every_attempt_and_every_rank_is_read(shelf, index, make):
    """Each event file of each attempt is a source of its own."""
    shelf.log(make.point(1, a=0.5))
    shelf.log(make.point(1, a=0.5), rank=1)
    shelf.log(make.point(2, a=0.5), attempt=2)
    assert index.ingest(shelf.run()).points == 3
    with Reader(shelf.database) as reader:
        assert [source.attempt for source in reader.sources("R-000001")] == [1, 1, 2]


def test_a_run_without_files_brings_nothing(shelf, index):
    """A run folder that is empty, or not there at all, is no error."""
    assert index.ingest(shelf.run()).bytes == 0
    shelf.run(2).path.rmdir()
    assert index.ingest(shelf.run(2)).bytes == 0


@pytest.mark.parametrize("bite", [1, 7, 64, 100, 1000])
def test_the_size_of_a_bite_does_not_matter(shelf, index, make, bite):
    """Bites of any size at least as long as a line give the rows that one bite gives."""
    lines = [make.point(step % 7, a=step / 3, b=-step) for step in range(30)]
    longest = max(map(len, lines))
    shelf.log(*lines, make.event("finish"))
    take(index, shelf.run(), bite + longest)
    assert index.dump() == shelf.fresh_dump()


def test_a_line_longer_than_a_bite_is_skipped_and_counted(shelf, index, make):
    """One endless line costs neither memory nor the lines behind it; unfinished, it waits."""
    shelf.log(make.point(1, a=0.5), "x" * 10_000)
    assert take(index, shelf.run(), 500).broken == 0
    shelf.log("y\n", make.point(2, a=0.5))
    result = take(index, shelf.run(), 500)
    assert (result.points, result.broken) == (1, 1)
    with Reader(shelf.database) as reader:
        (source,) = reader.sources("R-000001")
    assert source.broken_lines == (2,)
    assert source.bytes == shelf.file().stat().st_size
    assert steps(shelf) == [1, 2]


def test_a_file_cut_short_is_read_again_from_its_start(shelf, index, make):
    """Rows of a file that shrank are replaced by what it holds now, and the result says so."""
    path = shelf.log(*(make.point(step, a=0.5) for step in range(1, 6)), make.event("alert"))
    shelf.log(make.point(9, a=0.5), rank=1)
    index.ingest(shelf.run())
    path.write_text(make.point(1, a=0.75))
    result = index.ingest(shelf.run())
    assert result.restarted == ("attempt-1/events-host-0-100.jsonl",)
    assert result.points == 1
    assert index.dump() == shelf.fresh_dump()


def test_a_file_emptied_or_begun_with_half_a_line_forgets_its_rows(shelf, index, make):
    """A cut file without one whole line leaves no row behind, and goes on when lines come."""
    path = shelf.log(make.point(1, a=0.5), make.event("alert"))
    index.ingest(shelf.run())
    path.write_text("{")
    assert index.ingest(shelf.run()).restarted == ("attempt-1/events-host-0-100.jsonl",)
    assert steps(shelf) == []
    assert index.ingest(shelf.run()).restarted == ()
    path.write_text(make.point(4, a=0.5))
    assert index.ingest(shelf.run()).points == 1
    assert index.dump() == shelf.fresh_dump()


def test_a_replaced_file_is_noticed_when_it_grows(shelf, index, make):
    """Another file under the same name, longer than what was read, is read from its start."""
    path = shelf.log(make.point(1, a=0.5))
    index.ingest(shelf.run())
    path.write_text("".join(make.point(step, a=0.125) for step in range(11, 15)))
    assert index.ingest(shelf.run()).restarted != ()
    assert steps(shelf) == [11, 12, 13, 14]
    assert index.dump() == shelf.fresh_dump()


def test_a_removed_file_is_forgotten(shelf, index, make):
    """Rows of a file that is gone go too, and the series follow from what is left."""
    shelf.log(make.point(5, a=0.5, gone=1.0))
    shelf.log(make.point(3, a=0.25), rank=1)
    index.ingest(shelf.run())
    shelf.file().unlink()
    assert index.ingest(shelf.run()).restarted == ("attempt-1/events-host-0-100.jsonl",)
    assert index.dump() == shelf.fresh_dump()
    with Reader(shelf.database) as reader:
        assert {n: v.latest.step for n, v in reader.series("R-000001").items()} == {"a": 3}


def test_a_run_folder_out_of_reach_forgets_nothing(shelf, index, make):
    """A share that is not mounted just now does not empty the index."""
    shelf.log(make.point(1, a=0.5))
    folder = shelf.run()
    index.ingest(folder)
    folder.path.rename(shelf.root / "elsewhere")
    assert index.ingest(folder).restarted == ()
    assert steps(shelf) == [1]


def test_listeners_hear_what_they_want_in_line_order(shelf, index, make):
    """New points of wanted metrics and new events are heard once, in the order of their lines."""
    heard = []
    shelf.log(make.point(1, a=0.5, b=1.0), make.event("alert", text="hi"), make.point(2, a=0.25))
    index.ingest(shelf.run(), wanted={"a"}, on_point=heard.append, on_event=heard.append)
    assert [(record.at.line, getattr(record, "value", None)) for record in heard] == [
        (1, 0.5),
        (2, None),
        (3, 0.25),
    ]
    assert heard[1].data == {"text": "hi"}
    assert heard[0].at.source == "attempt-1/events-host-0-100.jsonl"
    heard.clear()
    shelf.log(make.point(3, a=1.0, b=1.0))
    index.ingest(shelf.run(), wanted=lambda name: name == "b", on_point=heard.append)
    assert [(record.metric, record.at.step) for record in heard] == [("b", 3)]


def test_what_is_heard_is_committed(shelf, index, make):
    """A listener that fails leaves the index where the records it heard of are stored."""
    shelf.log(make.point(1, a=0.5))

    def fail(_point):
        raise RuntimeError("judge broke")

    with pytest.raises(RuntimeError):
        index.ingest(shelf.run(), wanted={"a"}, on_point=fail)
    assert steps(shelf) == [1]
    assert index.ingest(shelf.run()).points == 0


def test_a_replay_repeats_what_was_heard(shelf, index, make):
    """A replay gives every wanted point and every event again, by Position, NaN as NaN."""
    heard, again = [], []
    shelf.log(make.point(5, a=0.5, b=1.0), make.event("alert", time=6.0), make.point(3, a="NaN"))
    shelf.log(make.point(4, a=0.25), rank=1)
    shelf.log(make.point(1, a=0.125), attempt=2)
    words = {"wanted": {"a"}}
    index.ingest(shelf.run(), **words, on_point=heard.append, on_event=heard.append)
    index.replay("R-000001", **words, on_point=again.append, on_event=again.append)
    assert repr(again) == repr(sorted(heard, key=lambda record: record.at))
    assert [record.at.step for record in again] == [4, 5, 5, 3, 1]


def test_a_folder_in_the_place_of_a_file_is_explained(shelf, index):
    """An event file that cannot be read is an error that names it and the next command."""
    shelf.file().mkdir(parents=True)
    (shelf.file() / "inside").touch()
    with pytest.raises(EnvironmentFailure, match="events-host-0-100") as caught:
        index.ingest(shelf.run())
    assert caught.value.hint.startswith("ls -l")


@pytest.mark.parametrize("seed", range(6))
def test_growth_order_and_bites_of_any_kind_give_the_database_of_a_rebuild(shelf, make, seed):
    """However runs grow and are looked at, in the end the rows are those of one fresh reading."""
    dice = random.Random(seed)
    texts = {}
    for run in (1, 2):
        for attempt in (1, 2):
            for rank in (0, 1):
                lines = [random_line(dice, make, number) for number in range(40)]
                texts[run, attempt, rank] = "".join(lines).encode()
    left = dict(texts)
    with Index(shelf.database) as index:
        while left:
            key = dice.choice(list(left))
            size = dice.randrange(1, 400)
            shelf.log(left[key][:size], **dict(zip(("run", "attempt", "rank"), key, strict=True)))
            left[key] = left[key][size:]
            if not left[key]:
                del left[key]
            if dice.random() < 0.5:
                take(index, shelf.run(dice.choice((1, 2))), dice.choice((300, 2000, 1 << 20)))
        for run in (2, 1):
            index.ingest(shelf.run(run))
        dump = index.dump()
    assert len(dump["point"]) > 100
    assert dump == shelf.fresh_dump(1, 2)


def random_line(dice, make, number):
    """Points and events as they come, in any order of steps, with rubbish between."""
    step = max(0, number + dice.choice((0, 0, 0, -3, 2)))
    kind = dice.random()
    if kind < 0.1:
        return dice.choice(("rubbish\n", "\n", "{}\n"))
    if kind < 0.25:
        name = dice.choice(("phase", "alert", "process"))
        return make.event(name, time=number / 2, step=dice.choice((None, step)), state="begin")
    metrics = {name: dice.random() for name in dice.sample("abcd", dice.randrange(1, 4))}
    if dice.random() < 0.2:
        metrics["a"] = dice.choice(("NaN", "Infinity", "-Infinity"))
    return make.point(step, time=100.0 + number, **metrics)


def test_a_replay_makes_good_for_an_ingest_that_failed(shelf, index, make):
    """After an error in a later file, what earlier files brought is stored and is replayed."""
    shelf.log(make.point(1, a=0.5))
    shelf.file(rank=9).mkdir()
    (shelf.file(rank=9) / "inside").touch()
    with pytest.raises(EnvironmentFailure):
        index.ingest(shelf.run())
    again = []
    index.replay("R-000001", wanted={"a"}, on_point=again.append)
    assert [point.value for point in again] == [0.5]
    (shelf.file(rank=9) / "inside").unlink()
    shelf.file(rank=9).rmdir()
    shelf.log(make.point(2, a=0.25))
    assert index.ingest(shelf.run()).points == 1


def sampled(shelf, *lines, attempt=1):
    """Append lines to telemetry.jsonl."""
    path = shelf.file(attempt=attempt).with_name("telemetry.jsonl")
    with path.open("a") as file:
        file.writelines(lines)


def test_samples_of_one_step_are_no_replay(shelf, index, make):
    """Samples stand in one segment while the step stays; it begins anew where steps go back."""
    for time in (1.0, 2.0, 3.0):
        sampled(shelf, make.point(7, time, system__cpu=time))
        index.ingest(shelf.run())
    sampled(shelf, make.point(5, 4.0, system__cpu=4.0))
    index.ingest(shelf.run())
    points = []
    index.replay("R-000001", wanted={"system/cpu"}, on_point=points.append)
    assert [(p.at.segment, p.at.step, p.value) for p in points] == [
        (0, 7, 1.0),
        (0, 7, 2.0),
        (0, 7, 3.0),
        (1, 5, 4.0),
    ]
    assert shelf.fresh_dump() == index.dump()


def test_samples_are_told_apart_from_what_programs_log(shelf, index, make):
    """Their bytes are counted by themselves, and their steps are no progress of an attempt."""
    sampled(shelf, make.point(9, system__cpu=0.5))
    first = index.ingest(shelf.run())
    assert (first.bytes, first.sampled > 0) == (0, True)
    shelf.log(make.point(3, a=1.0), attempt=2)
    second = index.ingest(shelf.run())
    assert (second.sampled, second.bytes > 0) == (0, True)
    assert max_step(index._connection, "R-000001") == 3
    assert attempt_steps(index._connection, "R-000001", 1) == (None, None)
    assert attempt_steps(index._connection, "R-000001", 2)[1] == 3
