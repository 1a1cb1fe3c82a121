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
_CONDITIONS = _WORDS | {
    State.MET: "true",
    State.FAILED: "not true",
    State.PENDING: "not so far",
}
_BAD = {"failed", "alarm: true"}


def verdict_words(criterion: Criterion, verdict: Verdict) -> str:
    """`met`, `failed`, …; of an alarm and of a rule whether its condition is true."""
    if criterion.reading.is_goal:
        return _WORDS[verdict.state]
    name = "alarm" if criterion.reading.is_alarm else "rule"
    return f"{name}: {_CONDITIONS[verdict.state]}"


def tally(seen: Observation) -> str:
    """`2 of 3 criteria met`, and the alarms that are true."""
    pairs = list(zip(seen.record.criteria, seen.verdicts, strict=True))
    goals = [verdict for criterion, verdict in pairs if criterion.reading.is_goal]
    met = sum(verdict.state is State.MET for verdict in goals)
    rung = sum(c.reading.is_alarm and v.state is State.MET for c, v in pairs)
    alarms = f", {rung} alarm{'s' * (rung != 1)} true" if rung else ""
    return f"{met} of {len(goals)} criteria met{alarms}"


def evidence_lines(ticket: Ticket, seen: Observation, ours: frozenset[str]) -> str:
    """What is written under Evidence at the end of a run; `ours` are boxes that a run ticked."""
    boxes = {box.key: box for box in ticket.checkboxes}
    changes = {c.criterion.key: c for c in tickets.changes_since(ticket, seen.record.criteria)}
    lines = [f"Run {seen.folder.id}, judged by the criteria as they stood at its start:", ""]
    for criterion, verdict in zip(seen.record.criteria, seen.verdicts, strict=True):
        line = _line(seen, criterion, verdict)
        box, change = boxes.get(criterion.key), changes.get(criterion.key)
        remark = _remark(criterion, verdict, box, change, by_run=criterion.key in ours)
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
    criterion: Criterion,
    verdict: Verdict,
    box: Checkbox | None,
    change: Change | None,
    *,
    by_run: bool,
) -> str | None:
    """What a person did to the line since the start."""
    if change is not None or (box is None and criterion.tickable):
        numbers = f" ({change.numbers})" if change and change.numbers else ""
        return f"Edited since the start{numbers}: the box was left alone"
    if not criterion.reading.is_goal or box is None:
        return None
    if box.checked and verdict.state is State.FAILED:
        who = "an earlier run" if by_run else "a person"
        return f"Ticked by {who}, against this evidence"
    if verdict.state is State.MET and not box.checked:
        return "Opened again by a person: left open"
    return None


def one_line(text: str) -> str:
    """Text without line ends."""
    return " ".join(text.split())
