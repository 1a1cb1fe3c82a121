"""Status documents: facts in, Markdown and SVG bytes out; nothing is read or written here."""

from orchestrator.report.facts import (
    AttemptFacts,
    CriterionFacts,
    Dependent,
    GitFacts,
    MetricFacts,
    Moment,
    Progress,
    ReportFacts,
    RunInfo,
    Sample,
    Target,
    TicketFacts,
)
from orchestrator.report.markdown import code, literal
from orchestrator.report.notes import notes_of
from orchestrator.report.series import metric_facts, pace
from orchestrator.report.status import render_status

__all__ = [
    "AttemptFacts",
    "CriterionFacts",
    "Dependent",
    "GitFacts",
    "MetricFacts",
    "Moment",
    "Progress",
    "ReportFacts",
    "RunInfo",
    "Sample",
    "Target",
    "TicketFacts",
    "code",
    "literal",
    "metric_facts",
    "notes_of",
    "pace",
    "render_status",
]
