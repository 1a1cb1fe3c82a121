"""What follows, what is not known, and the commands to go on with, as Markdown lines and rows."""

from typing import Any

from orchestrator.domain.criterion import State
from orchestrator.domain.report import ReportKind
from orchestrator.domain.run import Outcome
from orchestrator.report import words
from orchestrator.report.facts import CriterionFacts, ReportFacts
from orchestrator.report.markdown import code, inline, literal

Row = dict[str, Any]


def next_steps(facts: ReportFacts, *, live: bool, decide: bool) -> list[str]:
    """What follows from the open criteria and the tickets that wait, as Markdown."""
    ticket = facts.ticket
    if facts.run is None:
        return [f"Start it: {code(f'exp ticket start {ticket.id}')}"]
    told = {
        State.FAILED: "Failed, decide what to change: “{}”",
        State.NO_DATA: "Make the run log what this needs: “{}”",
        **({} if live else {State.PENDING: "Still open, run again: “{}”"}),
        State.MANUAL: f"Check it yourself: “{{}}” ({code(f'exp ticket review {ticket.id}')})",
    }
    if decide:
        told[State.FAILED] = "Decide what becomes of it (Decision point): “{}”"
    steps = [
        sentence.format(_line(each))
        for state, sentence in told.items()
        for each in facts.criteria
        if each.verdict.state is state
        and each.criterion.required
        and each.criterion.reading.is_goal
    ]
    steps += _waited_for(facts) if live else []
    steps += [
        f"Look into the alarm: “{inline(each.criterion.text)}”"
        for each in facts.criteria
        if words.is_alarm(each) and each.verdict.state is State.MET
    ]
    steps += [
        f"{code(other.id)} waits for this ticket: {literal(other.title)}"
        for other in ticket.dependents
        if other.status != "DONE"
    ]
    return [*steps, *map(literal, facts.next_steps)]


def _waited_for(facts: ReportFacts) -> list[str]:
    """What only the rest of the run can tell, in one step."""
    asked = [
        f"“{_line(each)}”"
        for each in facts.criteria
        if each.verdict.state is State.PENDING
        and each.criterion.required
        and each.criterion.reading.is_goal
    ]
    return [f"Wait for the run to tell: {', '.join(asked)}"] if asked else []


def _line(each: CriterionFacts) -> str:
    return inline(each.criterion.text)


def unknown(facts: ReportFacts, kind: ReportKind, *, live: bool) -> list[str]:
    """Criteria without data, holes in the facts, and what nobody has said yet, as Markdown."""
    lines = [
        f"“{inline(each.criterion.text)}”: {literal(each.verdict.why)}"
        for each in facts.criteria
        if each.verdict.state is State.NO_DATA
    ]
    if facts.run is not None:
        lines += _holes(facts, live=live)
    lines += [
        f"whether checkpoint {code(checkpoint.path)} can be loaded: its files differ from its list"
        for checkpoint in facts.checkpoints
        if not checkpoint.valid
    ]
    return [*lines, *_unsaid(facts, kind), *map(literal, facts.unknown)]


def _holes(facts: ReportFacts, *, live: bool) -> list[str]:
    lines = []
    if facts.progress.planned is None:
        lines.append("how many steps are planned, and so the progress and the time left")
    if live and facts.progress.step is not None and facts.progress.speed is None:
        lines.append("speed and time left: too few points so far")
    if not facts.metrics:
        lines.append("metrics: no point was logged")
    if facts.machine is None:
        lines.append("use of GPU, memory and disk: no sample was taken")
    return lines


def _unsaid(facts: ReportFacts, kind: ReportKind) -> list[str]:
    """What only a person can say; nothing of it is drafted."""
    if kind is not ReportKind.CHECKPOINT or facts.run is None:
        return []
    said = {remark.kind for remark in facts.remarks}
    found = any(a.cause for a in facts.attempts) or any(f.closed is None for f in facts.findings)
    note = f'exp note {facts.ticket.id} --kind {{}} "…"'
    lines = []
    if "cause" not in said and not found:
        lines.append(f"the root cause: no evidence and no note ({code(note.format('cause'))})")
    if "lesson" not in said:
        lines.append(f"what was learned: no note of it ({code(note.format('lesson'))})")
    return lines


def commands(facts: ReportFacts, kind: ReportKind, *, live: bool) -> list[Row]:
    """How to look, go on and end, each with its purpose."""
    run, ticket = facts.run, facts.ticket.id
    known = [(f"exp ticket show {ticket}", "criteria with verdicts and evidence")]
    if run is None:
        known.append((f"exp ticket start {ticket}", "launch it"))
    elif live:
        known.insert(0, (f"exp run logs -f {run.id}", "follow the log"))
        known.append((f"exp run stop {run.id}", "end it, with time to save"))
    else:
        known.insert(0, (f"exp run logs {run.id}", "read the log"))
        saved = any(checkpoint.valid for checkpoint in facts.checkpoints)
        if saved and run.outcome is not Outcome.COMPLETED:
            known.append((f"exp run resume {run.id}", "go on from the newest valid checkpoint"))
    if run is not None:
        known.append((f"exp run show {run.id}", "the run with its attempts and metrics"))
    which = "" if kind is ReportKind.STATUS else f" --kind {kind}"
    known.append((f"exp report {ticket}{which}", "render this page again"))
    width = max(len(command) for command, _ in known)
    return [{"command": command.ljust(width), "why": why} for command, why in known]
