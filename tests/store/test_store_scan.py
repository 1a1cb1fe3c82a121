import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.store import scan as scanning
from orchestrator.store.scan import BEFORE, BROKEN_KEPT, Source, key_of, scan


def scanned(*lines):
    source = Source(1, "R-000001", "attempt-1/events-h-0-1.jsonl", 1)
    scan(source, [line if isinstance(line, bytes) else line.encode() for line in lines])
    return source


def points(source, name="a"):
    """(line, segment, step, value) of one metric."""
    return [(row[1], row[2], row[3], row[5]) for row in source.streams[name].rows]


def line_of(**record):
    return json.dumps({"step": 1, "time": 2.0, "metrics": {"a": 0.5}} | record)


def test_a_line_of_points_gives_one_row_a_metric():
    """Every metric of a line becomes a row with the line's number, step and time."""
    source = scanned('{"step":7,"time":1.5,"metrics":{"a":0.25,"b":3}}')
    assert source.streams["a"].rows == [(source.streams["a"].id, 1, 0, 7, 1.5, 0.25)]
    assert source.streams["b"].rows[0][5] == 3.0
    assert source.broken == 0


@pytest.mark.parametrize(
    ("written", "value"), [("Infinity", math.inf), ("-Infinity", -math.inf), ("NaN", math.nan)]
)
@pytest.mark.parametrize("quoted", [True, False])
def test_values_that_are_no_numbers_are_values(written, value, quoted):
    """NaN and the infinities are stored, written our way or as other encoders do."""
    text = f'"{written}"' if quoted else written
    source = scanned(f'{{"step":1,"time":2.0,"metrics":{{"a":{text}}}}}')
    ((_, _, _, read),) = points(source)
    assert read == value or (math.isnan(read) and math.isnan(value))
    assert source.broken == 0


def test_a_step_that_does_not_go_on_begins_a_segment():
    """A metric's step that repeats or goes back begins a new segment and nothing is dropped."""
    source = scanned(*(line_of(step=step) for step in (1, 2, 2, 3, 1, 5)))
    assert points(source) == [
        (1, 0, 1, 0.5),
        (2, 0, 2, 0.5),
        (3, 1, 2, 0.5),
        (4, 1, 3, 0.5),
        (5, 2, 1, 0.5),
        (6, 2, 5, 0.5),
    ]


def test_segments_are_counted_for_each_metric():
    """A metric that goes back leaves the segments of the others alone."""
    source = scanned(
        line_of(step=5), line_of(step=5, metrics={"b": 1.0}), line_of(step=3), line_of(step=6)
    )
    assert [row[1] for row in points(source)] == [0, 1, 1]
    assert [row[1] for row in points(source, "b")] == [0]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "null",
        "[]",
        "17",
        '"text"',
        "{}",
        '{"step":1}',
        '{"step":1,"time":2.0,"metrics":[1]}',
        '{"step":null,"time":2.0,"metrics":{"a":1}}',
        '{"step":"1","time":2.0,"metrics":{"a":1}}',
        '{"step":1.5,"time":2.0,"metrics":{"a":1}}',
        '{"step":true,"time":2.0,"metrics":{"a":1}}',
        '{"step":9223372036854775808,"time":2.0,"metrics":{"a":1}}',
        '{"step":1,"time":"now","metrics":{"a":1}}',
        '{"step":1,"time":NaN,"metrics":{"a":1}}',
        '{"step":1,"metrics":{"a":1}}',
        '{"step":1,"time":2.0,"metrics":{"a":1}} {"step":2,"time":2.0,"metrics":{"a":1}}',
        '{"event":"start"}',
        '{"event":7,"time":1.0}',
        '{"event":"start","time":1.0,"data":[]}',
        '{"event":"start","time":1.0,"step":"x"}',
        '{"event":"\\ud800","time":1.0}',
        b'{"event":"caf\xe9","time":1.0}',
        "\ufeff" + line_of(),
        "[" * 100_000,
        '{"event":"e","time":1.0,"data":{"a":' + "[" * 5000 + "]" * 5000 + "}}",
        "9" * 10_000,
    ],
)
def test_a_line_that_cannot_be_read_is_counted_and_remembered(line):
    """A broken line adds no row, and is counted with its number."""
    source = scanned(line_of(), line, line_of(step=2))
    assert len(points(source)) == 2
    assert source.events == []
    assert (source.broken, source.broken_lines, source.line) == (1, [2], 3)


@pytest.mark.parametrize("value", ["null", '"high"', "[1]", "1" + "0" * 400])
def test_one_bad_value_does_not_take_the_others_with_it(value):
    """Of a line with an unreadable value the other values are kept and the line is counted."""
    source = scanned(f'{{"step":1,"time":2.0,"metrics":{{"bad":{value},"a":0.5}}}}')
    assert points(source) == [(1, 0, 1, 0.5)]
    assert "bad" not in source.streams
    assert source.broken_lines == [1]


def test_a_name_that_cannot_be_stored_is_a_broken_value():
    """Half a surrogate pair in a metric's name is no text of any encoding."""
    source = scanned('{"step":1,"time":2.0,"metrics":{"\\udc80":1.0,"a":0.5}}')
    assert list(source.streams) == ["a"]
    assert source.broken == 1


@pytest.mark.parametrize(
    "line",
    [
        line_of(host="x", metrics={"a": 0.5}, extra={"k": 1}),
        "  " + line_of() + " \r",
        line_of(step=1.0),
        line_of(time=2),
        line_of(metrics={"a": True}),
    ],
)
def test_what_other_writers_add_does_no_harm(line):
    """Unknown keys, space around, CRLF, whole floats as steps and integer times are read."""
    source = scanned(line)
    assert source.broken == 0
    ((line_number, segment, step, _),) = points(source)
    assert (line_number, segment, step) == (1, 0, 1)


def test_blank_lines_are_no_lines_to_complain_about():
    """Empty lines are passed over but keep their numbers."""
    source = scanned("", "  \r", line_of())
    assert source.broken == 0
    assert points(source) == [(3, 0, 1, 0.5)]


def test_line_numbers_kept_are_bounded():
    """A file of nothing but rubbish is counted wholly, and remembered by its first lines."""
    source = scanned(*["rubbish"] * (BROKEN_KEPT + 50))
    assert source.broken == BROKEN_KEPT + 50
    assert source.broken_lines == list(range(1, BROKEN_KEPT + 1))


def test_an_event_keeps_its_data_and_stands_where_its_file_stands():
    """An event without a step stands at the last step its file named, or at 0 before any."""
    source = scanned(
        '{"event":"start","time":1.0,"step":null,"data":{"pid":5}}',
        line_of(step=40),
        '{"event":"alert","time":3.0,"data":{"t":"\\ud800","x":NaN}}',
        '{"event":"checkpoint","time":4.0,"step":30,"data":{}}',
        '{"event":"finish","time":5.0}',
    )
    events = [source.event_at(row) for row in source.events]
    assert [(e.name, e.at.segment, e.at.step, e.at.line) for e in events] == [
        ("start", 0, 0, 1),
        ("alert", 0, 40, 3),
        ("checkpoint", 1, 30, 4),
        ("finish", 1, 30, 5),
    ]
    assert events[0].data == {"pid": 5}
    assert events[1].data["t"] == "\ud800"
    assert math.isnan(events[1].data["x"])


def test_a_new_file_has_named_no_step():
    """Before the first step the place of a file is below every step, negative ones too."""
    assert scanned('{"event":"start","time":1.0}').step == BEFORE
    assert points(scanned(line_of(step=-5), line_of(step=-4))) == [(1, 0, -5, 0.5), (2, 0, -4, 0.5)]


def test_keys_follow_from_names_alone():
    """Equal names give equal keys, other names others, and all fit SQLite's integers."""
    assert key_of("R-1", "a", "b") == key_of("R-1", "a", "b")
    assert len({key_of("R-1", "ab"), key_of("R-1", "a", "b"), key_of("R-1a", "b")}) == 3
    assert 0 <= key_of("R-1", "\udc80") < 1 << 63


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
LINES = st.one_of(
    st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b"")),
    st.fixed_dictionaries(
        {},
        optional={
            "step": st.integers(-5, 20) | JSON,
            "time": st.floats() | JSON,
            "metrics": st.dictionaries(st.text(max_size=3), st.floats() | JSON, max_size=3) | JSON,
            "event": st.text(max_size=3) | JSON,
            "data": JSON,
        },
    ).map(lambda record: json.dumps(record).encode()),
)


def rows_of(source):
    """All that a scan found, in a form where NaN equals NaN."""
    return repr((source.line, source.broken, source.broken_lines, source.streams, source.events))


@given(st.lists(LINES, max_size=8), st.integers(0, 8))
def test_any_bytes_can_be_scanned_in_any_bites(lines, cut):
    """No line raises, each is counted once, and the rows do not depend on where a bite ends."""
    whole, parts = scanned(*lines), scanned(*lines[:cut])
    scan(parts, lines[cut:])
    assert whole.line == len(lines)
    assert rows_of(whole) == rows_of(parts)


@given(st.lists(LINES, max_size=8))
@example([b'{"step":1,"time":2.0,"metrics":{"a":1e999}}'])
@example([b'{"step":1,"time":2.0,"metrics":{"a":123456789012345678901234567890}}'])
@example([b'{"step":18446744073709551616,"time":2.0,"metrics":{"a":1}}'])
@example([b'{"step":1,"step":2,"time":2.0,"metrics":{"a":1,"a":2}}'])
@example([b'{"step":-0,"time":-0.0,"metrics":{"a":-0}}'])
def test_the_quick_parser_changes_nothing_but_the_time(lines):
    """The rows are the same whether orjson is installed or not."""
    quick = rows_of(scanned(*lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanning, "quick_loads", lambda text: json.loads(text.decode()))
        assert rows_of(scanned(*lines)) == quick
