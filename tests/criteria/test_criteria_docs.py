"""docs/criteria.md says what the reader does."""

import re
from pathlib import Path

import pytest

from orchestrator.criteria import parse_predicate, read
from orchestrator.domain.criterion import Decidable

PAGE = Path(__file__).parents[2] / "docs" / "criteria.md"
_CODE = re.compile(r"`` (.+?) ``|`([^`]+)`")


def _code(cell):
    return [first or second for first, second in _CODE.findall(cell)]


def _rows():
    table = PAGE.read_text(encoding="utf-8").split("## What is understood")[1]
    lines = [line for line in table.splitlines() if line.startswith("| ") and "`" in line]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[:13]]


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row[0])
def test_documented_forms_are_read(row):
    """Every predicate of the table parses and every whole example in it is read."""
    for predicate in _code(row[2].replace("joined by `and`", "")):
        assert parse_predicate(predicate)
    for example in _code(row[1]):
        if "…" not in example and not example.startswith("reaches"):
            reading = read(example)
            assert reading.decidable is Decidable.YES, (example, reading.why)


def test_refused_examples_of_the_page_are_refused():
    """What the page says is refused is refused."""
    part = PAGE.read_text(encoding="utf-8").split("## Refused")[1].split("## Which")[0]
    for example in _code(part):
        if re.search(r"\d", example):
            assert read(example).decidable is not Decidable.YES, example
