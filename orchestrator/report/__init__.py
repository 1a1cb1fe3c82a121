"""Status documents: facts in, Markdown and SVG bytes out; nothing is read or written here."""

from typing import TYPE_CHECKING, Any

from orchestrator.report.facts import (
    AttemptFacts,
    CriterionFacts,
    Dependent,
    GitFacts,
    MetricFacts,
    Milestone,
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
from orchestrator.report.series import higher_is_better, metric_facts, pace, targets_of

if TYPE_CHECKING:
    from orchestrator.report.status import render_status

__all__ = [
    "AttemptFacts",
    "CriterionFacts",
    "Dependent",
    "GitFacts",
    "MetricFacts",
    "Milestone",
    "Moment",
    "Progress",
    "ReportFacts",
    "RunInfo",
    "Sample",
    "Target",
    "TicketFacts",
    "code",
    "higher_is_better",
    "literal",
    "metric_facts",
    "notes_of",
    "pace",
    "render_status",
    "targets_of",
]


def __getattr__(name: str) -> Any:
    if name == "render_status":
        from orchestrator.report import status  # noqa: PLC0415 - 60 ms, only who renders a page

        return status.render_status
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
