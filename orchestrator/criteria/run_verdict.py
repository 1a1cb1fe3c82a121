"""Verdicts on the run itself: steps, events, logs, checkpoints, files, what is left running."""

import signal
from collections.abc import Callable

from orchestrator.criteria.monitors import EventMonitor, LogMonitor
from orchestrator.criteria.values import comparison, margin_of, shown, shown_margin
from orchestrator.domain.criterion import Clause, Evidence, State, Verdict
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.point import Event
from orchestrator.domain.run import Outcome

_PHASES = {"train", "eval"}
_AS_INTENDED = frozenset({0, 75, None})  # 75: checkpointed, start me again
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})


def step_verdict(clause: Clause, facts: RunFacts) -> Verdict:
    """Judge the largest step; it can only rise, so what it passed stays passed."""
    reached, bound = facts.max_step, clause.value or 0.0
    if reached is None:
        state = State.NO_DATA if facts.ended else State.PENDING
        return Verdict(state=state, final=facts.ended, why="no point with a step was logged")
    tolerance = clause.tolerance or 0.0
    met = comparison(clause.op, bound, None, tolerance)(reached)
    margin = margin_of(clause.op, reached, bound, None, tolerance)
    beyond = clause.op in {"<", "<="} or (clause.op == "~=" and reached > bound)
    if met:
        final = facts.ended or clause.op in {">", ">="}
        state = State.MET
    else:
        final = facts.ended or beyond
        state = State.FAILED if final else State.PENDING
    relation = f"{clause.op} {shown(bound)}"
    why = f"step {reached:,} {relation if met else f'is not {relation}'}"
    why += f", margin {shown_margin(margin, None)} steps"
    if met and not final:
        why += "; can change until the run ends"
    return Verdict(
        state=state,
        final=final,
        why=why,
        value=float(reached),
        margin=margin,
        unit="steps",
        evidence=Evidence(kind="step", text=f"largest step logged: {reached:,}", step=reached),
    )


def event_matcher(name: str) -> Callable[[Event], bool]:
    """Which events a name stands for; `train` and `eval` mean that the phase ended well."""

    def named(event: Event) -> bool:
        return event.name == name

    def phase_ended(event: Event) -> bool:
        if event.data.get("phase") != name or event.data.get("state") != "end":
            return False
        if event.name == "process":
            return event.data.get("code") == 0
        # A training loop may open a train phase for every epoch: only its process says it all.
        return event.name == "phase" and name != "train"

    return phase_ended if name in _PHASES else named


def event_verdict(clause: Clause, monitor: EventMonitor, facts: RunFacts) -> Verdict:
    """Judge that an event happened, or that it did not."""
    first, name = monitor.first, clause.metric or ""
    what = f"end of {name}" if name in _PHASES else f"event {name!r}"
    if first is not None:
        state = State.MET if clause.op == "exists" else State.FAILED
        at = first.at
        found = Evidence(kind="event", text=f"{what}", source=at.source, line=at.line, time=at.time)
        return Verdict(state=state, final=True, why=f"there is an {what}", evidence=found)
    if clause.op == "absent":
        state = State.MET if facts.ended else State.PENDING
    else:
        state = State.FAILED if facts.ended else State.PENDING
    so_far = "" if facts.ended else " so far"
    return Verdict(state=state, final=facts.ended, why=f"no {what}{so_far}")


def crash_event(event: Event) -> bool:
    """Whether a process of the run ended as none should."""
    if event.name != "process" or event.data.get("state") != "end":
        return False
    code, number = event.data.get("code"), event.data.get("signal")
    return number in _CRASHES or code not in {*_AS_INTENDED, 128 + signal.SIGTERM}


def log_verdict(
    clause: Clause, logs: LogMonitor, crashes: EventMonitor, facts: RunFacts
) -> Verdict:
    """Judge that a hazard (oom, crash, error) left no trace in logs and in the exit's cause."""
    hazard = clause.metric or ""
    searched = f"{logs.lines:,} lines, {len(logs.seen)} log{'s' if len(logs.seen) != 1 else ''}"
    if logs.hits:
        hit = logs.hits[0]
        why = f"{hit.text[:120]!r} in {hit.source}, line {hit.line:,}"
        found = Evidence(kind="log", text=hit.text[:200], source=hit.source, line=hit.line)
        return Verdict(state=State.FAILED, final=True, why=why, evidence=found)
    if cause := _exit_cause(hazard, crashes, facts):
        return Verdict(
            state=State.FAILED, final=True, why=cause, evidence=Evidence(kind="exit", text=cause)
        )
    if not logs.seen:
        why = "there is no log to search"
        state = State.NO_DATA if facts.ended else State.PENDING
        return Verdict(state=state, final=facts.ended, why=why)
    evidence = Evidence(kind="log", text=f"0 hits in {searched}")
    if not facts.ended:
        why = f"0 hits so far in {searched}; can change until the run ends"
        return Verdict(state=State.PENDING, final=False, why=why, evidence=evidence)
    if facts.outcome in {None, Outcome.LOST}:
        why = f"0 hits in {searched}, but how the run ended is unknown"
        return Verdict(state=State.NO_DATA, final=True, why=why, evidence=evidence)
    return Verdict(state=State.MET, final=True, why=f"0 hits in {searched}", evidence=evidence)


def _exit_cause(hazard: str, crashes: EventMonitor, facts: RunFacts) -> str | None:
    if hazard == "oom":
        killed = facts.exit is not None and (facts.exit.oom_kill or 0) > 0
        return "the kernel ended a process for want of memory" if killed else None
    if crashes.first is not None:
        data = crashes.first.data
        number = data.get("signal")
        how = f"signal {number}" if number is not None else f"exit code {data.get('code')}"
        return f"{data.get('phase') or 'a program'} ended by {how}"
    if facts.ended and facts.outcome is Outcome.FAILED:
        code = facts.exit.code if facts.exit else None
        return "the run failed" + (f" with exit code {code}" if code is not None else "")
    return None


def checkpoint_verdict(clause: Clause, facts: RunFacts) -> Verdict:
    """Judge the number of checkpoints whose manifest is valid."""
    valid = [saved for saved in facts.checkpoints if saved.valid]
    op, bound = (">=", 1.0) if clause.op == "exists" else (clause.op, clause.value or 0.0)
    met = comparison(op, bound, None, 0.0)(len(valid))
    broken = len(facts.checkpoints) - len(valid)
    why = f"{len(valid)} valid checkpoint{'' if len(valid) == 1 else 's'}"
    why += f", {broken} broken" if broken else ""
    evidence = None
    if valid:
        newest = max(valid, key=lambda saved: (saved.attempt, saved.step, saved.time, saved.path))
        why += f", newest {newest.path}"
        evidence = Evidence(
            kind="checkpoint", text=newest.path, source=newest.path, step=newest.step,
            time=newest.time,
        )  # fmt: skip
    unmet = State.FAILED if facts.ended else State.PENDING
    return Verdict(
        state=State.MET if met else unmet,
        final=facts.ended,
        why=why if facts.ended else f"{why}; can change until the run ends",
        value=float(len(valid)),
        margin=margin_of(op, len(valid), bound, None, 0.0),
        unit="checkpoints",
        evidence=evidence,
    )


def file_verdict(clause: Clause, facts: RunFacts) -> Verdict:
    """Judge that a path or glob matches something in the workspace or the run folder."""
    pattern = clause.metric or ""
    found = facts.find_files(pattern)
    if found:
        first = min(found)
        why = f"{first} exists" + (f" and {len(found) - 1} more" if len(found) > 1 else "")
        return Verdict(
            state=State.MET,
            final=facts.ended,
            why=why,
            evidence=Evidence(kind="file", text=first, source=first),
        )
    state = State.FAILED if facts.ended else State.PENDING
    return Verdict(state=state, final=facts.ended, why=f"nothing matches {pattern}")


def resources_verdict(facts: RunFacts) -> Verdict:
    """Judge that the run left no process behind."""
    if not facts.ended:
        return Verdict(state=State.PENDING, final=False, why="the run has not ended")
    record = facts.exit
    if record is None or (record.code is None and record.signal is None):
        why = "no exit record says what was left running"
        return Verdict(state=State.NO_DATA, final=True, why=why)
    ended = f"{record.leftovers} leftover{'' if record.leftovers == 1 else 's'} ended"
    text = f"{record.survivors} processes left, {ended}"
    return Verdict(
        state=State.MET if record.survivors == 0 else State.FAILED,
        final=True,
        why=text,
        value=float(record.survivors),
        evidence=Evidence(kind="exit", text=text, time=record.ended),
    )
