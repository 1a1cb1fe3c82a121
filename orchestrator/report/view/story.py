"""What happened, in rows: timeline, attempts, findings, remarks, changes, checkpoints."""

from dataclasses import replace
from typing import Any

from orchestrator.clock import format_utc
from orchestrator.domain import figures
from orchestrator.domain.finding import KnownFinding, Quote
from orchestrator.domain.report import ReportKind
from orchestrator.report import words
from orchestrator.report.changes import FileChange
from orchestrator.report.facts import Moment, ReportFacts
from orchestrator.report.markdown import code, inline, literal

Row = dict[str, Any]

_MOST_FILES = 30
_MOST_SETTINGS = 40
_MOST_MOMENTS = 40
_MOST_LOGGED = 300
_MOST_ATTEMPTS = 20
_MOST_CHECKPOINTS = 30
_MOST_QUOTES = 6  # of a finding
_RETRY = {True: "may go well", False: "would end no better"}
REMARKS = ("cause", "lesson", "decision", "risk", "confidence", "next", "note")
_HOW = {"A": "added", "M": "changed", "D": "deleted", "R": "renamed"}


def clock(seconds: float | None) -> str:
    """`2026-01-31 09:05:07`, in UTC."""
    return figures.UNKNOWN if seconds is None else format_utc(seconds).removesuffix(" UTC")


def timeline(facts: ReportFacts, kind: ReportKind) -> list[Row]:
    """What happened since the time that is compared with; a long one has a gap.

    An incident begins with the run before, where it is that which failed.
    """
    since = facts.changes.since
    whole = kind is ReportKind.CHECKPOINT and facts.changes.failed
    moments = [m for m in facts.timeline if whole or since is None or m.time >= since.time]
    own = None if facts.run is None else facts.run.id
    earlier = sum(m.run in {None, own} for m in facts.timeline)
    earlier -= sum(m.run in {None, own} for m in moments)
    told = [_moment(_said_of(facts, moment)) for moment in moments]
    rows = _without_middle(told, _MOST_MOMENTS)
    return [*([_gap(earlier, "earlier")] if earlier else []), *rows]


def log(facts: ReportFacts) -> list[Row]:
    """Everything of all runs of the ticket with what people noted, the oldest first."""
    rows = [(m.time, _logged(m)) for m in facts.log]
    rows += [
        (
            remark.time,
            {
                "time": clock(remark.time),
                "step": figures.NONE,
                "text": f"{literal(remark.kind)} by {literal(_name(remark.by))}",
                "note": f"“{inline(remark.text)}”",
                "run": remark.run or figures.NONE,
            },
        )
        for remark in facts.remarks
    ]
    told = [row for _, row in sorted(rows, key=lambda pair: pair[0])]
    return _without_middle(told, _MOST_LOGGED)


def _said_of(facts: ReportFacts, moment: Moment) -> Moment:
    """With the run's name, if it is another one than the page's; a launch with the pause before."""
    own, since = facts.run.id if facts.run else None, facts.changes.since
    if moment.run not in {None, own} and not moment.text.startswith(str(moment.run)):
        return replace(moment, text=f"{moment.run}: {moment.text}")
    if moment.text == f"{own} launched" and since is not None and since.run is not None:
        pause = words.duration(moment.time - since.time)
        return replace(moment, text=f"{moment.text}, {pause} after {since.run} had ended")
    return moment


def _moment(moment: Moment) -> Row:
    return {
        "time": clock(moment.time),
        "step": figures.NONE if moment.step is None else f"{moment.step:,}",
        "text": literal(moment.text),
    }


def _logged(moment: Moment) -> Row:
    """As in a log: what it was, and behind a colon what is known of it, stand apart."""
    event, _, note = moment.text.partition(": ")
    return {
        **_moment(moment),
        "text": literal(event),
        "note": literal(note) or figures.NONE,
        "run": moment.run or figures.NONE,
    }


def _without_middle(rows: list[Row], most: int) -> list[Row]:
    if len(rows) <= most:
        return rows
    first, last = rows[: most // 4], rows[-3 * most // 4 :]
    return [*first, _gap(len(rows) - len(first) - len(last), "more"), *last]


def _gap(count: int, what: str) -> Row:
    text = f"… {count:,} {what} …"
    return {"time": "…", "step": "…", "text": text, "note": figures.NONE, "run": figures.NONE}


def attempts(facts: ReportFacts) -> list[Row]:
    """Each attempt with its cause and what followed; of very many the last ones."""
    return [_attempt(facts, at) for at in range(len(facts.attempts))][-_MOST_ATTEMPTS:]


def _attempt(facts: ReportFacts, at: int) -> Row:
    attempt = facts.attempts[at]
    ran = None
    if attempt.started is not None:
        ran = (facts.time if attempt.ended is None else attempt.ended) - attempt.started
    first, last = attempt.first_step, attempt.last_step
    known = first is not None and last is not None
    return {
        "number": attempt.number,
        "started": clock(attempt.started),
        "ran": words.duration(ran),
        "steps": f"{first:,} to {last:,}" if known else figures.UNKNOWN,
        "ending": literal(attempt.ending),
        "cause": code(attempt.cause or "") or figures.NONE,
        "decision": literal(attempt.decision or figures.NONE),
    }


def finding(known: KnownFinding) -> Row:
    """A finding with its evidence."""
    found = known.finding
    return {
        "severity": found.severity.upper(),
        "id": found.id,
        "title": found.title,
        "evidence": [
            {"place": _place(quote), "text": quote.text} for quote in found.evidence[:_MOST_QUOTES]
        ],
        "arithmetic": found.arithmetic,
        "meaning": found.meaning,
        "action": found.action,
        "retry": None if found.retry is None else _RETRY[found.retry],
        "opened": clock(known.opened),
        "closed": clock(known.closed),
    }


def _place(quote: Quote) -> str:
    return quote.source if quote.line is None else f"{quote.source}:{quote.line}"


def remarks(facts: ReportFacts) -> dict[str, list[Row]]:
    """What people noted by its kind, the oldest first; a kind that we do not know is a note."""
    found: dict[str, list[Row]] = {kind: [] for kind in REMARKS}
    for remark in sorted(facts.remarks, key=lambda remark: remark.time):
        row = {
            "by": _name(remark.by),
            "time": clock(remark.time),
            "text": remark.text,
            "run": remark.run,
        }
        found[remark.kind if remark.kind in found else "note"].append(row)
    return found


def _name(by: str) -> str:
    """A person without the address."""
    return by.partition(" <")[0]


def since(facts: ReportFacts) -> Row | None:
    """What counts as before."""
    before = facts.changes.since
    if before is None:
        return None
    return {
        "label": before.label,
        "run": before.run,
        "time": clock(before.time),
        "commit": before.commit[:10] if before.commit else None,
    }


def incident(facts: ReportFacts) -> bool:
    """Whether it is the run before that failed, and this one has not: what is gone was why."""
    failed_again = any(attempt.cause for attempt in facts.attempts)
    return facts.changes.failed and not failed_again and bool(gone(facts))


def gone(facts: ReportFacts) -> list[Row]:
    """What was found of the run before and is not found of this one."""
    here = {each.finding.key for each in facts.findings}
    return [finding(each) for each in facts.changes.findings if each.finding.key not in here]


def changed(facts: ReportFacts) -> Row:
    """Files and parameters that are another than before."""
    files, settings = facts.changes.files, facts.changes.settings
    return {
        "files": [_file(each) for each in files[:_MOST_FILES]],
        "settings": [
            {
                "name": each.name,
                "before": code(each.before or "") or figures.NONE,
                "after": code(each.after or "") or figures.NONE,
            }
            for each in settings[:_MOST_SETTINGS]
        ],
        "more_files": _count(len(files) - _MOST_FILES),
        "more_settings": _count(len(settings) - _MOST_SETTINGS),
    }


def _file(change: FileChange) -> Row:
    lines = None
    if change.added is not None and change.deleted is not None:
        lines = f"+{change.added:,} -{change.deleted:,}"
    return {
        "path": change.path,
        "how": _HOW.get(change.how[:1], "changed"),
        "lines": lines or figures.NONE,
    }


def _count(more: int) -> str | None:
    return f"{more:,}" if more > 0 else None


def checkpoints(facts: ReportFacts) -> Row:
    """The newest checkpoints, how many more there are, and what all take."""
    rows = [
        {
            "step": f"{checkpoint.step:,}",
            "path": checkpoint.path,
            "size": words.size(checkpoint.bytes),
            "files": f"{checkpoint.files:,}",
            "time": clock(checkpoint.time),
            "state": "valid" if checkpoint.valid else "**broken**",
        }
        for checkpoint in facts.checkpoints
    ]
    return {
        "rows": rows[-_MOST_CHECKPOINTS:],
        "earlier": _count(len(rows) - _MOST_CHECKPOINTS),
        "bytes": words.size(_bytes(facts)),
    }


def _bytes(facts: ReportFacts) -> int:
    """What all checkpoints take: as found on the disk, else as their lists say."""
    measured = None if facts.machine is None else facts.machine.checkpoints
    return sum(each.bytes for each in facts.checkpoints) if measured is None else measured
