"""docs/criteria.md says what the reader does."""

import re
from pathlib import Path

import pytest

from orchestrator.criteria import parse_predicate, read
from orchestrator.domain.criterion import Decidable

PAGE = (Path(__file__).parents[2] / "docs" / "criteria.md").read_text(encoding="utf-8")
_CODE = re.compile(r"`` ?(.+?) ?``(?!`)|`([^`]+)`")


def _code(cell):
    return [first or second for first, second in _CODE.findall(cell)]


def _part(title):
    return PAGE.split(f"## {title}")[1].split("\n## ")[0]


def _rows(title):
    lines = [line for line in _part(title).splitlines() if line.startswith("| ") and "`" in line]
    return [[cell.strip() for cell in re.split(r"(?<!\\) \| ", line.strip("| "))] for line in lines]


@pytest.mark.parametrize("row", _rows("What is understood"), ids=lambda row: row[0])
def test_documented_forms_are_read(row):
    """Every predicate of the table parses and every whole example in it is read."""
    for predicate in _code(row[2].replace("joined by `and`", "")):
        assert parse_predicate(predicate)
    for example in _code(row[1]):
        reading = read(example)
        assert reading.decidable is Decidable.YES, (example, reading.why)


@pytest.mark.parametrize("kind", ["declare", "ask", "manual"])
def test_examples_that_are_asked_about_are_asked_about(kind):
    """Each example is answered as the page says."""
    part = re.search(rf"- \*\*{kind}\*\*:(.*?)(?=\n- \*\*|\n\n)", _part("Asked about"), re.DOTALL)
    examples = [text for text in _code(" ".join(part[1].split())) if " " in text]
    assert examples
    for example in examples:
        assert read(example).decidable == kind, (example, read(example).why)


@pytest.mark.parametrize("row", _rows("Explicit predicates"), ids=lambda row: row[0][:30])
def test_documented_predicates_parse(row):
    """Every whole predicate of the table is one; words alone are parts of one."""
    whole = [text for text in _code(row[0]) if not re.match(r"(at|after|by|final) ", text)]
    assert whole
    for text in whole:
        assert parse_predicate(text)
