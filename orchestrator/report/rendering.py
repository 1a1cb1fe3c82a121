"""A report: one Markdown page and its curves, as bytes, and the same as one page of HTML."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from orchestrator.domain.report import ReportKind
from orchestrator.errors import InvalidFileError
from orchestrator.redact import redact, redacted
from orchestrator.report.bars import bar_charts_of, draw_bars
from orchestrator.report.curves import charts_of, draw, evaluations_of, span_of
from orchestrator.report.facts import ReportFacts
from orchestrator.report.page import LINE_END, fill
from orchestrator.report.view import view_of

# No text of others can hold it: control characters are taken out of it.
_NOTES_PLACE = "\x01"
_CHARTS = {
    ReportKind.STATUS: 6,
    ReportKind.CHECKPOINT: 1,
    ReportKind.LOG: 0,
    ReportKind.ANALYSIS: 6,
}


def render_report(
    facts: ReportFacts, kind: ReportKind = ReportKind.STATUS, templates: Path | None = None
) -> dict[str, bytes]:
    """Render the page and its curves: file name beside the page → content, the page first.

    The same facts give the same bytes. Secrets, home folders and host names are taken out, except
    of the notes, which are a person's own words and stay as they are. `templates` is the folder
    of a workspace's own templates, which win over the shipped ones.

    Raises:
        InvalidFileError: a template of the workspace is wrong, or would lose the person's notes.
    """
    safe = safe_facts(facts)
    tail = redact("\n".join(facts.log_tail), facts.hosts, facts.home, facts.secrets)
    charts = charts_of(safe.metrics)
    span = span_of(charts)
    marked = evaluations_of(safe.metrics)
    charts = charts[: _CHARTS[kind]]
    bars = bar_charts_of(safe) if kind is ReportKind.ANALYSIS else []
    view = view_of(safe, kind, (charts, bars), tail)
    page = page_with_notes(kind.template, view, facts.notes, templates)
    return {
        kind.page: page,
        **{chart.file: draw(chart, safe.attempts, span, marked) for chart in charts},
        **{chart.file: draw_bars(chart) for chart in bars},
    }


def page_with_notes(
    template: str, view: Mapping[str, object], notes: str, templates: Path | None
) -> bytes:
    """A page whose template has one place for a person's own words, put there verbatim.

    Raises:
        InvalidFileError: as `render_report`.
    """
    page = fill(template, {**view, "notes": _NOTES_PLACE}, templates)
    if page.count(_NOTES_PLACE) != 1:
        raise InvalidFileError(
            f"the template {template} must hold {{{{ notes }}}} once, nothing was rendered",
            hint="extend report/base.md.j2, which does",
        )
    page = page.replace(LINE_END, "\n").replace(_NOTES_PLACE, notes or "\n")
    return page.encode(errors="surrogateescape")


def safe_facts(facts: ReportFacts) -> ReportFacts:
    """The facts with every text redacted; histories hold numbers only and are passed by."""
    bare = tuple(replace(metric, history=()) for metric in facts.metrics)
    bare_facts = replace(facts, metrics=bare, notes="", secrets=())
    safe = redacted(bare_facts, facts.hosts, facts.home, facts.secrets)
    pairs = zip(safe.metrics, facts.metrics, strict=True)
    return replace(safe, metrics=tuple(replace(m, history=full.history) for m, full in pairs))
