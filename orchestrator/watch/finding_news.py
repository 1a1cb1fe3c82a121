"""Findings as news: each once, and none that another notice has told already."""

import math
from collections.abc import Collection, Iterator
from hashlib import sha256
from itertools import pairwise

from orchestrator.codec import read_record_if_present
from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.notice import NoticeKind, NoticeLevel
from orchestrator.domain.run import ExitRecord
from orchestrator.watch.findings import LOUD, known_findings, open_findings
from orchestrator.watch.news import News, progress, subject
from orchestrator.watch.observer import Observation
from orchestrator.workspace import AttemptFolder, RunFolder

_LEVELS = {Severity.WARN: NoticeLevel.WARN, Severity.ERROR: NoticeLevel.ERROR}
_OWN_NOTICE = "hang"  # by its own clock, with the stacks
# What of a run's other news says the same, by the begin of their names.
_ALSO = {
    "disk-full": "disk",
    "disk-low": "disk",
    "gpu-idle": "hang:",
    "gpu-spinning": "hang:",
    "rank-behind": "hang:",
    "answer-known": "decided:",
}


def news_of_findings(seen: Observation, told: Collection[str]) -> Iterator[News]:
    """Open findings that cost something or spoil a result; `told` are the names of earlier news.

    What was found about the end of an attempt that was tried again is told by nobody.
    """
    for known in known_findings(seen.folder):
        finding = known.finding
        if known.closed is not None or finding.severity not in LOUD or finding.id == _OWN_NOTICE:
            continue
        also = _ALSO.get(finding.id)
        if also is not None and any(what.startswith(also) for what in told):
            continue
        if not _between_attempts(seen.folder, known.opened):
            yield _news(seen, finding)


def _news(seen: Observation, finding: Finding) -> News:
    return News(
        what=f"finding:{sha256(finding.key.encode()).hexdigest()[:12]}",
        kind=NoticeKind.FINDING,
        level=_LEVELS[finding.severity],
        title=f"{subject(seen)}: {finding.title}",
        text=(
            _quoted(finding.evidence[0]),
            finding.arithmetic,
            finding.meaning,
            f"→ {finding.action}",
            progress(seen),
            f"exp doctor {seen.folder.id}",
        ),
    )


def why_it_ended(folder: RunFolder) -> tuple[str, ...]:
    """The worst finding about a run that has ended, in the lines of a notice."""
    worst = next((each for each in open_findings(folder) if each.severity in LOUD), None)
    return () if worst is None else (worst.title, worst.arithmetic, f"→ {worst.action}")


def _quoted(quote: Quote) -> str:
    place = quote.source if quote.line is None else f"{quote.source}:{quote.line}"
    return f"> {place} {quote.text}"


def _between_attempts(folder: RunFolder, moment: float) -> bool:
    """Whether an attempt had ended by then, and the one after it had not begun."""
    attempts = folder.attempts()
    for before, after in pairwise(attempts):
        ended = read_record_if_present(ExitRecord, before.exit_file)
        if ended is not None and ended.ended <= moment <= _began(after):
            return True
    return False


def _began(attempt: AttemptFolder) -> float:
    try:
        return attempt.process_file.stat().st_mtime
    except FileNotFoundError:
        return math.inf
