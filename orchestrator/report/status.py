"""The status report: one Markdown page and its curves, as bytes."""

import re
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import InvalidFileError
from orchestrator.redact import redact, redacted
from orchestrator.report import markdown
from orchestrator.report.curves import charts_of, draw, span_of
from orchestrator.report.facts import ReportFacts
from orchestrator.report.view import Row, view_of
from orchestrator.templates import sandbox

if TYPE_CHECKING:
    from jinja2 import TemplateError

PAGE = "report.md"
TEMPLATE = "report/status.md.j2"
# No text of others can hold these: control characters are taken out of it.
_NOTES_PLACE = "\x01"
_LINE_END = "\x02"


def render_status(facts: ReportFacts, templates: Path | None = None) -> dict[str, bytes]:
    """Render the page and its curves: file name beside the page → content.

    The same facts give the same bytes. Secrets, home folders and host names are taken out, except
    of the notes, which are a person's own words and stay as they are. `templates` is the folder
    of a workspace's own templates, which win over the shipped ones.

    Raises:
        InvalidFileError: a template of the workspace is wrong, or would lose the person's notes.
    """
    safe = _safe(facts)
    tail = redact("\n".join(facts.log_tail), facts.hosts, facts.home)
    charts = charts_of(safe.metrics)
    span = span_of(charts)
    files = {chart.file: draw(chart, safe.attempts, span) for chart in charts}
    page = _fill(view_of(safe, charts, tail), templates)
    if page.count(_NOTES_PLACE) != 1:
        raise InvalidFileError(
            f"the template {TEMPLATE} must hold {{{{ notes }}}} once, nothing was rendered",
            hint="extend report/base.md.j2, which does",
        )
    page = page.replace(_LINE_END, "\n").replace(_NOTES_PLACE, facts.notes or "\n")
    return {PAGE: page.encode(errors="surrogateescape"), **files}


def _safe(facts: ReportFacts) -> ReportFacts:
    """The facts with every text redacted; histories hold numbers only and are passed by."""
    bare = tuple(replace(metric, history=()) for metric in facts.metrics)
    safe = redacted(replace(facts, metrics=bare, notes=""), facts.hosts, facts.home)
    pairs = zip(safe.metrics, facts.metrics, strict=True)
    return replace(safe, metrics=tuple(replace(m, history=full.history) for m, full in pairs))


def _fill(variables: Row, templates: Path | None) -> str:
    """The page with the notes' place left open, blank lines never more than one in a row."""
    from jinja2 import TemplateError  # noqa: PLC0415 - slow, only when a report is rendered

    environment = sandbox(templates)
    environment.filters.update(FILTERS)
    try:
        text = environment.get_template(TEMPLATE).render(**variables, notes=_NOTES_PLACE)
    except TemplateError as error:
        raise InvalidFileError(_blame(error), hint="see docs/reports.md for the names") from error
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _fenced(text: str) -> str:
    # Blank lines of a log are its own: kept out of the clean-up of blank lines.
    return markdown.fenced(text).replace("\n", _LINE_END)


def _blame(error: "TemplateError") -> str:
    """The error with its file and line; errors of rendering have them in their traceback only."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [(frame.filename, frame.lineno) for frame in frames if frame.filename.endswith(".j2")]
    name, line = getattr(error, "filename", None) or TEMPLATE, getattr(error, "lineno", None)
    if line is None and inside:
        name, line = inside[-1]
    where = f"{name}, line {line}" if line else name
    return f"the template {where} cannot be rendered: {error.message or error}"


FILTERS = {
    "literal": markdown.literal,
    "inline": markdown.inline,
    "code": markdown.code,
    "fenced": _fenced,
}
