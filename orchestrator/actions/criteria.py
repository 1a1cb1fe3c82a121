"""`exp criteria read`: lines or a whole document in, what the machine understands of them out."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator import criteria
from orchestrator.criteria import read_document
from orchestrator.domain.criterion import Clause, Reading, Subject
from orchestrator.errors import InvalidFileError

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLine:
    """One criterion and its reading.

    `number` is the line of the document, counted from 1, or that of the JSON lines.
    """

    number: int
    line: str
    reading: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """A line of input that is no `{"line": …}`; `why` says what is wrong with it."""

    number: int
    why: str


def read_json_lines(lines: Iterable[bytes]) -> Iterator[ReadLine | BadLine]:
    """Read `{"line": …, "heading": …}` one by one as they come; blank lines are none.

    Keys beside these two are ignored, so that labelled data can be read as it is.
    """
    for number, raw in enumerate(lines, 1):
        text = raw.removeprefix(_BOM) if number == 1 else raw
        if not text.strip():
            continue
        try:
            line, heading = _request(text)
        except InvalidFileError as error:
            yield BadLine(number=number, why=str(error))
            continue
        reading = criteria.read(line, heading or None)
        yield ReadLine(number=number, line=line, reading=reading)


def _request(raw: bytes) -> tuple[str, str]:
    """The line and its heading.

    Raises:
        InvalidFileError: no JSON object, or one without a line of text.
    """
    try:
        request = json.loads(raw.decode())
    except UnicodeDecodeError as error:
        raise InvalidFileError(f"byte {error.start + 1} is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise InvalidFileError(f"no JSON at column {error.colno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, a thousand brackets
        raise InvalidFileError(f"JSON that cannot be read: {error}") from error
    if not isinstance(request, dict):
        raise InvalidFileError('not an object like {"line": "loss < 2"}')
    line, heading = request.get("line"), request.get("heading")
    if not isinstance(line, str):
        raise InvalidFileError('"line" is missing' if line is None else '"line" is no text')
    if not isinstance(heading, str | None):
        raise InvalidFileError('"heading" is no text')
    return line, heading or ""


def read_markdown(raw: bytes) -> Iterator[ReadLine]:
    """Read every criterion of a Markdown document, in the order of its lines."""
    for found in read_document(raw.decode("utf-8", "surrogateescape")):
        yield ReadLine(number=found.line, line=found.text, reading=found.reading)


def reading_json(reading: Reading) -> dict[str, Any]:
    """A reading as plain data for JSON; docs/criteria-json.md explains the keys."""
    return {
        "kind": str(reading.kind),
        "clauses": [_clause_json(clause) for clause in reading.clauses],
        "polarity": reading.polarity,
        "tier": reading.tier,
        "note": reading.note,
        "decidable": str(reading.decidable),
        "why": reading.why,
        "predicate": reading.predicate,
    }


def _clause_json(clause: Clause) -> dict[str, Any]:
    """One test. A second metric stands in the place of the number, a denominator in the unit's."""
    metric, op, value = clause.metric, clause.op, clause.value
    if clause.subject is Subject.COMMAND:
        passes = op == "passes"
        metric = f"exit_code of {metric}" if passes else f"stdout of {metric}"
        op, value = ("==", 0.0) if passes else ("contains", None)
    return {
        "metric": clause.unit if metric is None and op in {"absent", "exists"} else metric,
        "op": f"{clause.change} {op}" if clause.change else op,
        "value": value if clause.other is None else clause.other,
        "value2": clause.value2,
        "unit": clause.unit if clause.total is None else f"of {clause.total:.15g}",
        "aggregate": clause.aggregate,
        "anchor": clause.anchor,
        "quantifier": clause.quantifier,
        "baseline": clause.baseline,
        "hold": clause.hold,
    }
