"""The status report: one Markdown page and its curves, as bytes."""

from dataclasses import replace
from pathlib import Path

from orchestrator.errors import InvalidFileError
from orchestrator.redact import redact, redacted
from orchestrator.report.curves import charts_of, draw, span_of
from orchestrator.report.facts import ReportFacts
from orchestrator.report.page import LINE_END, fill
from orchestrator.report.view import view_of

PAGE = "report.md"
TEMPLATE = "report/status.md.j2"
# No text of others can hold it: control characters are taken out of it.
_NOTES_PLACE = "\x01"


def render_status(facts: ReportFacts, templates: Path | None = None) -> dict[str, bytes]:
    """Render the page and its curves: file name beside the page → content.

    The same facts give the same bytes. Secrets, home folders and host names are taken out, except
    of the notes, which are a person's own words and stay as they are. `templates` is the folder
    of a workspace's own templates, which win over the shipped ones.

    Raises:
        InvalidFileError: a template of the workspace is wrong, or would lose the person's notes.
    """
    safe = _safe(facts)
    tail = redact("\n".join(facts.log_tail), facts.hosts, facts.home, facts.secrets)
    charts = charts_of(safe.metrics)
    span = span_of(charts)
    files = {chart.file: draw(chart, safe.attempts, span) for chart in charts}
    page = fill(TEMPLATE, {**view_of(safe, charts, tail), "notes": _NOTES_PLACE}, templates)
    if page.count(_NOTES_PLACE) != 1:
        raise InvalidFileError(
            f"the template {TEMPLATE} must hold {{{{ notes }}}} once, nothing was rendered",
            hint="extend report/base.md.j2, which does",
        )
    page = page.replace(LINE_END, "\n").replace(_NOTES_PLACE, facts.notes or "\n")
    return {PAGE: page.encode(errors="surrogateescape"), **files}


def _safe(facts: ReportFacts) -> ReportFacts:
    """The facts with every text redacted; histories hold numbers only and are passed by."""
    bare = tuple(replace(metric, history=()) for metric in facts.metrics)
    bare_facts = replace(facts, metrics=bare, notes="", secrets=())
    safe = redacted(bare_facts, facts.hosts, facts.home, facts.secrets)
    pairs = zip(safe.metrics, facts.metrics, strict=True)
    return replace(safe, metrics=tuple(replace(m, history=full.history) for m, full in pairs))
