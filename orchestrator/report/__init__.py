"""Status documents: facts in, Markdown and SVG bytes out; nothing is read or written here."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from orchestrator.report.facts import (
    AttemptFacts,
    CriterionFacts,
    Dependent,
    GitFacts,
    MetricFacts,
    Milestone,
    Moment,
    ReportFacts,
    RunInfo,
    Sample,
    Target,
    TicketFacts,
)
from orchestrator.report.markdown import code, literal
from orchestrator.report.notes import notes_of
from orchestrator.report.series import higher_is_better, metric_facts, spec_of, targets_of

if TYPE_CHECKING:
    from orchestrator.report.html import as_html
    from orchestrator.report.index import render_index
    from orchestrator.report.rendering import render_report

__all__ = [
    "AttemptFacts",
    "CriterionFacts",
    "Dependent",
    "GitFacts",
    "MetricFacts",
    "Milestone",
    "Moment",
    "ReportFacts",
    "RunInfo",
    "Sample",
    "Target",
    "TicketFacts",
    "as_html",
    "code",
    "higher_is_better",
    "literal",
    "metric_facts",
    "notes_of",
    "render_index",
    "render_report",
    "spec_of",
    "targets_of",
]


# Loaded when they are first asked for: Jinja2 and matplotlib cost what no other command needs.
_LATE = {"render_report": "rendering", "render_index": "index", "as_html": "html"}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(import_module(f"orchestrator.report.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
