"""The evidence of a run as its ticket holds it: one line for each criterion."""

from orchestrator import tickets
from orchestrator.domain.criterion import Criterion, State, Verdict
from orchestrator.domain.ticket import Checkbox, Ticket
from orchestrator.tickets import Change
from orchestrator.watch.observer import Observation

_WORDS = {
    State.MET: "met",
    State.FAILED: "failed",
    State.PENDING: "still open",
    State.NO_DATA: "no data",
    State.MANUAL: "for a person to judge",
    State.WAIVED: "waived",
}
_ALARM_WORDS = _WORDS | {
    State.MET: "alarm: true",
    State.FAILED: "alarm: not true",
    State.PENDING: "alarm: not so far",
    State.NO_DATA: "alarm: no data",
}


_BAD = {"failed", "alarm: true"}


def verdict_words(criterion: Criterion, verdict: Verdict) -> str:
    """`met`, `failed`, …; of an alarm whether it is true."""
    return (_ALARM_WORDS if is_alarm(criterion) else _WORDS)[verdict.state]


def is_alarm(criterion: Criterion) -> bool:
    """Whether a line must not become true; it never gates and is never ticked."""
    return criterion.reading.polarity == "inverted"


def tally(seen: Observation) -> str:
    """`2 of 3 criteria met`, and the alarms that are true."""
    pairs = list(zip(seen.record.criteria, seen.verdicts, strict=True))
    goals = [verdict for criterion, verdict in pairs if not is_alarm(criterion)]
    met = sum(verdict.state is State.MET for verdict in goals)
    rung = sum(is_alarm(criterion) and v.state is State.MET for criterion, v in pairs)
    alarms = f", {rung} alarm{'s' * (rung != 1)} true" if rung else ""
    return f"{met} of {len(goals)} criteria met{alarms}"


def evidence_lines(ticket: Ticket, seen: Observation) -> str:
    """What is written under Evidence at the end of a run."""
    boxes = {box.key: box for box in ticket.checkboxes}
    changes = {c.criterion.key: c for c in tickets.changes_since(ticket, seen.record.criteria)}
    lines = [f"Run {seen.folder.id}, judged by the criteria as they stood at its start:", ""]
    for criterion, verdict in zip(seen.record.criteria, seen.verdicts, strict=True):
        line = _line(seen, criterion, verdict)
        remark = _remark(criterion, verdict, boxes.get(criterion.key), changes.get(criterion.key))
        lines.append(f"{line}. **{remark}**" if remark else line)
    return "\n".join(lines)


def _line(seen: Observation, criterion: Criterion, verdict: Verdict) -> str:
    words = verdict_words(criterion, verdict)
    if words in _BAD:
        words = f"**{words}**"
    line = f"- {one_line(tickets.without_predicate(criterion.text))}: {words}. {verdict.why}"
    facts = [seen.folder.id]
    evidence, git = verdict.evidence, seen.record.git
    if evidence is not None and evidence.kind == "point":
        facts.append(evidence.text)
    if git is not None and git.commit is not None:
        facts.append(f"commit {git.commit[:10]}" + (" with local changes" if git.patch else ""))
    if evidence is not None and evidence.source is not None:
        place = f"{evidence.source}:{evidence.line}" if evidence.line else evidence.source
        facts.append(f"`{place}`")
    line += f" ({', '.join(facts)})"
    return "; ".join([line, *(f"**warning: {one_line(text)}**" for text in verdict.companions)])


def _remark(
    criterion: Criterion, verdict: Verdict, box: Checkbox | None, change: Change | None
) -> str | None:
    """What a person did to the line since the start."""
    if change is not None or box is None:
        numbers = f" ({change.numbers})" if change and change.numbers else ""
        return f"Edited since the start{numbers}: the box was left alone"
    if is_alarm(criterion):
        return None
    if box.checked and verdict.state is State.FAILED:
        return "Ticked by a person against this evidence"
    if verdict.state is State.MET and not box.checked:
        return "Opened again by a person: left open"
    return None


def one_line(text: str) -> str:
    """Text without line ends."""
    return " ".join(text.split())
