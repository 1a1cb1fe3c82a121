"""`exp criteria read`: lines in, readings out, through the command that people pipe into."""

import json
import subprocess

import pytest
from conftest import EXP

from orchestrator.actions.criteria import reading_json
from orchestrator.domain.criterion import Clause, Decidable, Kind, Reading, Subject

KEYS = ["kind", "clauses", "polarity", "tier", "note", "decidable", "why", "predicate"]
CLAUSE = [
    "metric", "op", "value", "value2", "unit", "aggregate", "anchor", "quantifier", "baseline",
    "hold",
]  # fmt: skip


def read(lab, text, *words):
    """Pipe text into the command; return the finished process and what it printed."""
    done = lab.exp("criteria", "read", *words, input=text)
    return done, [json.loads(line) for line in done.stdout.splitlines()]


def bounds(rows):
    """The number that each reading compares with."""
    return [row["clauses"][0]["value"] for row in rows]


def test_a_line_has_exactly_the_documented_keys(lab):
    """Every reading has all keys in their order, and a percentage is a fraction."""
    done, rows = read(lab, '{"line": "pass@1 > 5% (achieved 11.25%)"}\n')
    assert done.returncode == 0, done.stderr
    assert [list(row) for row in rows] == [KEYS]
    assert [list(clause) for clause in rows[0]["clauses"]] == [CLAUSE]
    clause = rows[0]["clauses"][0]
    assert (clause["metric"], clause["op"], clause["value"], clause["unit"]) == (
        "pass@1", ">", 0.05, "%",
    )  # fmt: skip
    assert rows[0]["note"] == "achieved 11.25%"


def test_the_heading_counts(lab):
    """The same line under another heading is of another tier or polarity."""
    lines = [
        {"line": "eval/loss < 2"},
        {"line": "eval/loss < 2", "heading": None},
        {"line": "eval/loss < 2", "heading": "Nice to have"},
        {"line": "eval/loss < 2", "heading": "Warning signs"},
    ]
    _, rows = read(lab, "".join(json.dumps(line) + "\n" for line in lines))
    assert [(row["tier"], row["polarity"]) for row in rows] == [
        ("must", "positive"),
        ("must", "positive"),
        ("nice", "positive"),
        ("must", "inverted"),
    ]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("no json", "no JSON at column 1"),
        ('{"line": 5}', '"line" is no text'),
        ('{"text": "x"}', '"line" is missing'),
        ('["loss < 2"]', "not an object"),
        ('{"line": "x", "heading": []}', '"heading" is no text'),
        ("[" * 100_000, "cannot be read"),
        ('{"line": ' + "9" * 5000 + "}", "cannot be read"),
    ],
)
def test_a_broken_line_is_named_and_the_others_are_read(lab, bad, said):
    """Line number and reason on stderr, nothing on stdout for it, and exit code 4."""
    done, rows = read(lab, f'{{"line": "loss < 1"}}\n\n{bad}\n{{"line": "loss < 3"}}')
    assert done.returncode == 4
    assert f"line 3: {said}" in done.stderr.replace("JSON that ", "")
    assert bounds(rows) == [1.0, 3.0]


def test_bytes_that_are_no_text_are_named(lab):
    """A line that is not UTF-8 is a broken line, not a crash."""
    done = lab.exp(
        "criteria", "read", input=b'{"line": "\xff"}\n{"line": "loss < 1"}\n', text=False
    )
    assert done.returncode == 4
    assert b"line 1: byte 11 is not UTF-8" in done.stderr
    assert done.stdout.count(b"\n") == 1


def test_odd_text_stays_one_line_of_ascii(lab):
    """Lone surrogates, line separators and control characters neither break lines nor encodings."""
    text = json.dumps({"line": "a \ud800 \u2028 \x85 \x1b[31m > 3 🎉"}) + "\n"
    done, rows = read(lab, text)
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert len(rows) == 1


def test_a_markdown_file_gives_its_criteria_with_their_lines(lab):
    """Each checkbox of a document with its line, read under its headings."""
    path = lab.ticket(criteria="- [ ] loss < 2\n- [x] acc > 1 - 1.5")
    path.write_text(path.read_text() + "\n## Warning signs\n- [ ] loss > 9\n")
    done, rows = read(lab, None, str(path))
    assert done.returncode == 0, done.stderr
    assert [list(row) for row in rows] == [["line_number", "line", *KEYS]] * 3
    lines = path.read_text().splitlines()
    shown = ["- [ ] loss < 2", "- [x] acc > 1 - 1.5", "- [ ] loss > 9"]
    assert [lines[row["line_number"] - 1] for row in rows] == shown
    assert [row["line"] for row in rows] == shown
    assert [row["polarity"] for row in rows] == ["positive", "positive", "inverted"]
    piped, same = read(lab, path.read_text())
    assert piped.returncode == 0
    assert same == rows


def test_what_kind_of_input_it_is_follows_from_name_or_first_character(lab):
    """Blank lines and a byte order mark before the first brace change nothing."""
    _, rows = read(lab, '\n\n  {"line": "loss < 1"}\n')
    assert bounds(rows) == [1.0]
    path = lab.write("odd.txt", b'\xef\xbb\xbf{"line": "loss < 1"}\n')
    assert read(lab, None, str(path))[1] == rows
    assert read(lab, "")[1] == []
    assert lab.exp("criteria", "read", "none.md").returncode == 3


def test_a_reading_comes_before_the_next_line_is_asked(lab):
    """A program may keep the command open and ask line by line."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([EXP, "criteria", "read"], **pipes) as talk:
        for bound in (1, 2):
            talk.stdin.write(json.dumps({"line": f"loss < {bound}"}) + "\n")
            talk.stdin.flush()
            assert bounds([json.loads(talk.stdout.readline())]) == [bound]
        talk.stdin.close()
        assert talk.wait(timeout=30) == 0


def test_the_table_is_for_people(lab):
    """--table shows line, predicate or question, and nothing that drives a terminal."""
    lines = "train <!-- exp: loss < 2 -->", "training is stable \x1b[31m"
    text = "".join(json.dumps({"line": line}) + "\n" for line in lines)
    done = lab.exp("criteria", "read", "--table", input=text)
    assert done.returncode == 0
    assert "loss < 2" in done.stdout
    assert "manual" in done.stdout
    assert "\x1b" not in done.stdout


def test_clauses_of_every_form_fit_the_ten_keys():
    """A second metric is the value, a denominator the unit, a change comes before the operator."""
    shown = [
        Clause(subject=Subject.METRIC, metric="n", op=">", value=85.0, total=172.0, unit="grids"),
        Clause(subject=Subject.METRIC, metric="eval", op="<", other="train"),
        Clause(subject=Subject.METRIC, metric="acc", op=">=", value=0.02, change="improves_by",
               baseline="previous:acc"),
    ]  # fmt: skip
    reading = Reading(kind=Kind.THRESHOLD, clauses=tuple(shown), decidable=Decidable.YES)
    rows = reading_json(reading)["clauses"]
    assert [(row["op"], row["value"], row["unit"]) for row in rows] == [
        (">", 85.0, "of 172"),
        ("<", "train", None),
        ("improves_by >=", 0.02, None),
    ]
