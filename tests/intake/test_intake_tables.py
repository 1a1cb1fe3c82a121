import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake.decoding import decoded

from orchestrator.store.formats import CSV, JSONL, Cursor, Rules

BROKEN = None


def rows(form, text):
    """(line, step, metrics) of a text."""
    return decoded(form, text if isinstance(text, bytes) else text.encode())


CSVS = [
    ("step,loss\n1,0.5\n2,nan\n", [(2, 1, {"loss": 0.5}), (3, 2, {"loss": float("nan")})]),
    ("epoch,step,train_loss,val_loss\n0,9,0.5,\n0,9,,0.25\n",
     [(2, 9, {"epoch": 0.0, "train_loss": 0.5}), (3, 9, {"epoch": 0.0, "val_loss": 0.25})]),
    ("epoch,loss\n1,0.5\n", [(2, 1, {"loss": 0.5})]),
    ('"Step";"loss, mean"\n3;0.5\n', [(2, 3, {"loss, mean": 0.5})]),
    ("\ufeffglobal_step\tloss\r\n1.0\t1e-3\r\n", [(2, 1, {"loss": 0.001})]),
    ("step,loss,note\n1,0.5,ok\n", [(2, 1, {"loss": 0.5})]),
    ("step,loss\n1,0.5\nstep,loss,acc\n2,0.25,1\n",
     [(2, 1, {"loss": 0.5}), (4, 2, {"loss": 0.25, "acc": 1.0})]),
    ("step,loss\n1,0.5,9\nx,1\n,3\n2,0.25\n",
     [(2, 0, BROKEN), (3, 0, BROKEN), (5, 2, {"loss": 0.25})]),
    ("step,loss\n1.5,0.5\n", [(2, 0, BROKEN)]),
    ("id,text\n1,a\n2,b\n", []),
    ("1,2\n3,4\n", []),
    ("\n\nstep,loss\n\n1,0.5\n", [(5, 1, {"loss": 0.5})]),
    ("step,time,loss\n1,12.5,0.5\n", [(2, 1, {"time": 12.5, "loss": 0.5})]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "found"), CSVS)
def test_rows_below_a_header_are_points(text, found):
    """Steps by the column's name, values of the other columns; gaps and words are none."""
    assert repr(rows(CSV, text)) == repr(found)


JSONS = [
    ('{"step": 1, "loss": 0.5}\n', [(1, 1, {"loss": 0.5})]),
    ('{"_step": 1, "_runtime": 3, "train": {"loss": 0.5, "deep": {"x": true}}}\n',
     [(1, 1, {"_runtime": 3.0, "train/loss": 0.5, "train/deep/x": 1.0})]),
    ('{"epoch": 1.0, "eval_loss": 0.5, "step": 10}\n', [(1, 10, {"epoch": 1.0, "eval_loss": 0.5})]),
    ('{"epoch": 2.0, "loss": "NaN"}\n', [(1, 2, {"loss": float("nan")})]),
    ('{"epoch": 0.5, "loss": 1}\n{"text": "no metric"}\n[1]\n', [(3, 0, BROKEN)]),
    ('{"step": 1, "loss": NaN, "words": ["a"], "none": null}\nrubbish\n\n',
     [(1, 1, {"loss": float("nan")}), (2, 0, BROKEN)]),
    ('{"step": "1", "loss": 0.5}\n{"step": 99999999999999999999, "loss": 1}\n', []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "found"), JSONS)
def test_objects_with_a_step_are_points(text, found):
    """Numbers of each object at its step, nested names joined by a slash."""
    assert repr(rows(JSONL, text)) == repr(found)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (CSV, "step,timestamp,loss\n1,1700000000.5,0.5\n"),
        (JSONL, '{"step": 1, "_timestamp": 1700000000.5, "loss": 0.5}\n'),
    ],
)
def test_a_time_of_the_clock_is_the_time_of_the_point(form, text):
    """What is a time since 1970 dates the point and is no metric; a duration is a metric."""
    (found,) = form.decode(Cursor(), text.encode(), Rules())
    assert (found.time, found.metrics) == (1700000000.5, {"loss": 0.5})


def test_a_line_too_long_to_keep_is_broken():
    """The line that a bite could not hold is counted, and the next one keeps its number."""
    cursor = Cursor()
    assert [found.metrics for found in JSONL.decode(cursor, None, Rules())] == [None]
    (found,) = JSONL.decode(cursor, b'{"step": 1, "a": 2}\n', Rules())
    assert (found.line, found.metrics) == (2, {"a": 2.0})


@pytest.mark.parametrize(("form", "texts"), [(CSV, CSVS), (JSONL, JSONS)])
def test_lines_read_one_by_one_give_the_same(form, texts):
    """The header, and where a line stands, outlast a bite."""
    for text, _ in texts:
        data = text.encode()
        ends = [place + 1 for place, byte in enumerate(data) if byte == 10]
        assert repr(decoded(form, data, cuts=ends)) == repr(rows(form, text))


@given(
    st.binary(max_size=200)
    | st.lists(st.dictionaries(st.text(max_size=4), st.floats() | st.text(max_size=3))).map(
        lambda objects: "\n".join(map(json.dumps, objects)).encode()
    )
)
def test_no_bytes_are_an_error(data):
    """Any line is read, passed over or counted."""
    for form, head in ((CSV, b""), (CSV, b"step,a\n"), (JSONL, b"")):
        decoded(form, head + data + b"\n")
