"""The index of all reports: tickets by state, each with its criteria and its pages."""

import posixpath
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from orchestrator.clock import format_utc
from orchestrator.report import words
from orchestrator.report.facts import INDEX, Indexed
from orchestrator.report.rendering import page_with_notes, safe_facts

_TEMPLATE = "report/index.md.j2"
_ORDER = ("ONGOING", "BLOCKED", "READY", "FAILED", "DONE")


def render_index(
    tickets: Sequence[Indexed], notes: str = "", templates: Path | None = None
) -> bytes:
    """The page that lies at `facts.INDEX`; the same facts give the same bytes.

    Raises:
        InvalidFileError: a template of the workspace is wrong, or would lose the person's notes.
    """
    known = [Indexed(facts=safe_facts(each.facts), pages=each.pages) for each in tickets]
    states = sorted({each.facts.ticket.status for each in known}, key=_rank)
    groups = [
        {
            "state": state,
            "tickets": [_row(t) for t in known if t.facts.ticket.status == state],
        }
        for state in states
    ]
    newest = max((each.facts.time for each in known), default=None)
    view = {"groups": groups, "time": None if newest is None else format_utc(newest)}
    return page_with_notes(_TEMPLATE, view, notes, templates)


def _rank(state: str) -> tuple[int, str]:
    return (_ORDER.index(state) if state in _ORDER else len(_ORDER), state)


def _row(indexed: Indexed) -> dict[str, object]:
    facts = indexed.facts
    folder = posixpath.relpath(posixpath.dirname(facts.path), posixpath.dirname(INDEX))
    return {
        "id": facts.ticket.id,
        "title": facts.ticket.title,
        "run": None if facts.run is None else facts.run.id,
        "state": words.state_of_run(facts.run),
        "criteria": words.tally(facts.criteria),
        "time": format_utc(facts.time).removesuffix(" UTC"),
        "pages": [
            {"name": name, "link": quote(f"{folder}/{name}", safe="/.-_~")}
            for name in indexed.pages
        ],
    }
