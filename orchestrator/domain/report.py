"""The four kinds of report: the same facts, other sections, one page each."""

from enum import StrEnum


class ReportKind(StrEnum):
    """What a page is for; its value is the word for `--kind`."""

    STATUS = "status"  # how it stands now
    CHECKPOINT = "checkpoint"  # what happened, why, what was changed, what was learned
    LOG = "log"  # everything in the order of time, over all runs
    ANALYSIS = "analysis"  # before, after, target: what the numbers say

    @property
    def page(self) -> str:
        """Name of the page beside its curves."""
        return "report.md" if self is ReportKind.STATUS else f"{self}.md"

    @property
    def template(self) -> str:
        """Name of its template."""
        return f"report/{self}.md.j2"
