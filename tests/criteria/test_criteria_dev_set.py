"""The score on labelled lines: what must never happen, and how much is read."""

import json
from pathlib import Path

import pytest

from orchestrator.criteria import read
from orchestrator.domain.criterion import Decidable, Subject

OWN = Path(__file__).with_name("own_lines.jsonl")
DEV = Path(__file__).parents[3] / "shared" / "criteria" / "dev.jsonl"
_EXISTENCE = {"exists", "deleted", "released", "triggered"}
_ABSENCE = {"absent", "is_finite"}


def _rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def _open_question(row):
    """Whether the label says that a person must be asked."""
    return row["kind"] == "manual" or "ambiguity" in row["reading"]


def _tests(reading):
    compared = (clause for clause in reading.clauses if clause.value is not None)
    return [
        (clause.op, clause.value if clause.value2 is None else [clause.value, clause.value2])
        for clause in compared
    ]


def _matches(row, reading):
    """Whether a definite reading has the label's operator, value and direction."""
    label = row["reading"]
    op, value = (label.get("op") or "").removeprefix("count "), label.get("value")
    ops = {clause.op for clause in reading.clauses}
    if op in _ABSENCE:
        return ops == {"absent"}
    if op in _EXISTENCE:
        return bool(ops & {"exists", "released"}) and not _tests(reading)
    about = "approx" in (label.get("qualifier") or "") and op == ">="
    wanted = [("~=" if about else op, value)]
    if "op2" in label:
        wanted.append((label["op2"], label["value2"]))
    return all(test in _tests(reading) for test in wanted)


@pytest.mark.parametrize("path", [OWN, DEV], ids=["own", "dev"])
def test_no_definite_reading_is_wrong(path, capsys):
    """No line labelled manual or ambiguous is definite, and no definite reading is wrong."""
    if not path.exists():
        pytest.skip("the labelled lines are not beside this checkout")
    rows = _rows(path)
    definite = [
        (row, reading) for row in rows if (reading := read(row["line"])).decidable is Decidable.YES
    ]
    guessed = [row["line"] for row, _ in definite if _open_question(row)]
    wrong = [(row["line"], reading.predicate) for row, reading in definite
             if not _open_question(row) and not _matches(row, reading)]  # fmt: skip
    decidable = sum(not _open_question(row) for row in rows)
    kinds = sum(read(row["line"]).kind == row["kind"] for row in rows)
    with capsys.disabled():
        print(
            f"\n{path.name}: {len(rows)} lines, definite on open questions {len(guessed)}, "
            f"wrong {len(wrong)}, read {len(definite)} of {decidable} decidable "
            f"({len(definite) / decidable:.0%}), kind right {kinds / len(rows):.0%}"
        )
    assert guessed == []
    assert wrong == []
    assert len(definite) >= 0.2 * decidable


def test_definite_readings_name_their_subject():
    """Every definite reading of the sample says what it looks at."""
    for row in _rows(OWN):
        reading = read(row["line"])
        if reading.decidable is Decidable.YES:
            subjects = {clause.subject for clause in reading.clauses}
            assert subjects <= set(Subject)
            assert all(clause.metric or clause.op == "absent" for clause in reading.clauses)
