"""The documents as stories: how each is told again, and what its page must say."""

from dataclasses import dataclass

from seeds import distill, facts_distill, facts_hrm, facts_sage, facts_urm, hrm, sage, urm
from seeds.workshop import Workshop

from orchestrator.domain.report import ReportKind
from orchestrator.watch.reporting.write import Asked, write_report


@dataclass(frozen=True)
class Story:
    """A document, the kind of page that it is, and when it was written."""

    document: str
    tell: object
    ticket: str
    kind: ReportKind
    now: float
    facts: tuple
    flagged: tuple

    def shop(self, root):
        """A workspace in which all of it has happened."""
        shop = Workshop(root)
        self.tell(shop)
        return shop

    def render(self, shop):
        """The files of our page by name, its own first."""
        asked = Asked(kind=self.kind, html=True)
        files = write_report(shop.workspace, self.ticket, now=self.now, asked=asked)
        return {name: (shop.root / name).read_bytes() for name in files}


STORIES = (
    Story(
        "sage-status-update.md",
        sage.status_story,
        "T-0021",
        ReportKind.STATUS,
        sage.SAGE_NOW,
        facts_sage.STATUS,
        facts_sage.STATUS_FLAGGED,
    ),
    Story(
        "sage-oom-checkpoint.md",
        sage.checkpoint_story,
        "T-0021",
        ReportKind.CHECKPOINT,
        sage.SAGE_REPORTED,
        facts_sage.CHECKPOINT,
        facts_sage.CHECKPOINT_FLAGGED,
    ),
    Story(
        "hrm-training-log.md",
        hrm.log_story,
        "T-0031",
        ReportKind.LOG,
        hrm.HRM_NOW,
        facts_hrm.LOG,
        facts_hrm.FLAGGED,
    ),
    Story(
        "distillation-analysis.md",
        distill.analysis_story,
        "T-0041",
        ReportKind.ANALYSIS,
        distill.DISTILL_NOW,
        facts_distill.ANALYSIS,
        facts_distill.FLAGGED,
    ),
    Story(
        "T-0017.md",
        urm.ticket_story,
        "T-0017",
        ReportKind.STATUS,
        urm.URM_ENDED + 100,
        facts_urm.TICKET,
        facts_urm.FLAGGED,
    ),
)
