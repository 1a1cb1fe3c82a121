"""Verdicts on the run itself: steps, time, events, logs, checkpoints, files, commands."""

import signal
from collections.abc import Callable
from dataclasses import replace

from orchestrator.criteria.judging.bound import Bound
from orchestrator.criteria.judging.monitors import EventMonitor, LogMonitor, literal
from orchestrator.criteria.judging.watching import (
    REST_OF_RUN,
    SECONDS,
    Pointless,
    Setting,
    hedged,
    manual,
    open_or,
)
from orchestrator.criteria.predicates.expression import (
    Amount,
    CommandResult,
    FileExists,
    Free,
    Happened,
    Output,
    Released,
)
from orchestrator.criteria.values import shown, shown_margin
from orchestrator.domain.criterion import Evidence, State, Verdict
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.point import Event
from orchestrator.domain.run import Outcome

_PHASES = {"train", "eval"}
_TOLD_TO_LEAVE = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
# 75: checkpointed, start me again; the others: told to leave, behind a shell.
_AS_INTENDED = frozenset({0, 75, None, *(128 + n for n in _TOLD_TO_LEAVE)})
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})


class AmountTest(Pointless):
    """A number of the run itself: largest step, valid checkpoints, wall time, exit code."""

    def __init__(self, leaf: Amount, setting: Setting) -> None:
        factor = SECONDS.get(leaf.value.unit or "s", 1.0) if leaf.of == "duration" else 1.0
        self._factor = factor
        self._unit = (leaf.value.unit or "s") if leaf.of == "duration" else None
        other = None if leaf.value2 is None else leaf.value2.value
        self._bound = Bound.of(leaf.op, leaf.value.value, other, leaf.tolerance)
        self._measure = {
            "step": self._step,
            "checkpoints": self._checkpoints,
            "duration": self._duration,
            "exit": self._exit,
        }[leaf.of]

    def verdict(self, facts: RunFacts) -> Verdict:
        """What is known of the run."""
        return self._measure(facts)

    def _step(self, facts: RunFacts) -> Verdict:
        """The largest step; it can only rise, so what it passed stays passed."""
        reached = facts.max_step
        if reached is None:
            return open_or(State.NO_DATA, facts, "no point with a step was logged")
        found = Evidence(kind="step", text=f"largest step logged: {reached:,}", step=reached)
        how = f"step {reached:,}"
        return self._compared(facts, float(reached), how, "steps", evidence=found)

    def _checkpoints(self, facts: RunFacts) -> Verdict:
        """The number of checkpoints whose manifest is valid; old ones may be deleted."""
        valid = [saved for saved in facts.checkpoints if saved.valid]
        broken = len(facts.checkpoints) - len(valid)
        how = f"{len(valid)} valid checkpoint{'' if len(valid) == 1 else 's'}"
        how += f", {broken} broken" if broken else ""
        evidence = None
        if valid:
            newest = max(
                valid, key=lambda saved: (saved.attempt, saved.step, saved.time, saved.path)
            )
            how += f", newest {newest.path},"
            evidence = Evidence(
                kind="checkpoint", text=newest.path, source=newest.path, step=newest.step,
                time=newest.time,
            )  # fmt: skip
        verdict = self._compared(facts, float(len(valid)), how, "checkpoints", evidence=evidence)
        return verdict if facts.ended or not verdict.final else self._unfinished(verdict)

    @staticmethod
    def _unfinished(verdict: Verdict) -> Verdict:
        state = State.PENDING if verdict.state is State.FAILED else verdict.state
        return replace(verdict, state=state, final=False, why=f"{verdict.why}; {REST_OF_RUN}")

    def _duration(self, facts: RunFacts) -> Verdict:
        """The wall time of all attempts in sum, without the time between them; it can only rise."""
        spent = facts.elapsed
        if facts.exit is not None and facts.ended:
            spent = facts.exit.ended - facts.exit.started
        if spent is None:
            return open_or(State.NO_DATA, facts, "how long the run took is not known")
        spent += sum(exit_.ended - exit_.started for exit_ in facts.earlier)
        value, unit = spent / self._factor, self._unit
        text = f"{'ran' if facts.ended else 'has run'} {shown(value, unit)}"
        time = facts.exit.ended if facts.exit is not None and facts.ended else None
        evidence = Evidence(kind="exit", text=text, time=time) if facts.ended else None
        return self._compared(facts, value, text, unit, evidence=evidence)

    def _exit(self, facts: RunFacts) -> Verdict:
        """The exit code of the last command."""
        if not facts.ended:
            return Verdict(state=State.PENDING, final=False, why="the run has not ended")
        record = facts.exit
        if record is None or record.code is None:
            number = None if record is None else record.signal
            if number is not None:
                why = f"ended by signal {number}, without an exit code"
                evidence = Evidence(kind="exit", text=why, time=record.ended if record else None)
                return Verdict(state=State.FAILED, final=True, why=why, evidence=evidence)
            return open_or(State.NO_DATA, facts, "no exit record gives a code")
        how = f"exit code {record.code}"
        evidence = Evidence(kind="exit", text=how, time=record.ended)
        return self._compared(facts, float(record.code), how, None, evidence=evidence)

    def _compared(
        self,
        facts: RunFacts,
        value: float,
        how: str,
        unit: str | None,
        *,
        evidence: Evidence | None,
    ) -> Verdict:
        """A verdict on a number that only rises while the run goes on."""
        bound = self._bound
        met, margin = bound.test()(value), bound.margin(value)
        final = facts.ended or bound.lasting(value, rising=True)
        state = State.MET if met else State.FAILED if final else State.PENDING
        shown_unit = self._unit
        why = f"{how} {bound.relation(shown_unit, met=met)}"
        if margin is not None:
            words = f" {unit}" if unit == "steps" else ""
            why += f", margin {shown_margin(margin, shown_unit)}{words}"
        if met and not final:
            why = hedged(why)
        return Verdict(
            state=state,
            final=final,
            why=why,
            value=value,
            margin=margin,
            unit=unit,
            evidence=evidence,
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


class EventTest(Pointless):
    """That an event happened, or that it did not."""

    def __init__(self, leaf: Happened, setting: Setting) -> None:
        self._leaf = leaf
        self._monitor = setting.journal.watch_events(EventMonitor(event_matcher(leaf.event)))

    def verdict(self, facts: RunFacts) -> Verdict:
        """What the events so far say."""
        first, name = self._monitor.first, self._leaf.event
        what = f"end of {name}" if name in _PHASES else f"event {name!r}"
        if first is not None:
            state = State.FAILED if self._leaf.absent else State.MET
            at = first.at
            found = Evidence(kind="event", text=what, source=at.source, line=at.line, time=at.time)
            return Verdict(state=state, final=True, why=f"there is an {what}", evidence=found)
        state = State.MET if self._leaf.absent else State.FAILED
        return open_or(state, facts, f"no {what}" + ("" if facts.ended else " so far"))


def crash_event(event: Event) -> bool:
    """Whether a process of the run ended as none should."""
    if event.name != "process" or event.data.get("state") != "end":
        return False
    code, number = event.data.get("code"), event.data.get("signal")
    return number in _CRASHES or code not in _AS_INTENDED


class HazardTest(Pointless):
    """That a hazard (oom, crash, error) left no trace in logs and in the exit's cause."""

    def __init__(self, leaf: Free, setting: Setting) -> None:
        self._hazard = leaf.hazard
        self._logs = setting.journal.hazard(leaf.hazard)
        self._crashes = setting.journal.watch_events(EventMonitor(crash_event))

    def verdict(self, facts: RunFacts) -> Verdict:
        """What logs and exit say."""
        if self._logs.hits:
            return _hit(self._logs, State.FAILED)
        if cause := _exit_cause(self._hazard, self._crashes, facts):
            evidence = Evidence(kind="exit", text=cause)
            return Verdict(state=State.FAILED, final=True, why=cause, evidence=evidence)
        return _no_hit(self._logs, facts, oom=self._hazard == "oom")


class OutputTest(Pointless):
    """That the logs hold a text, or that they do not."""

    def __init__(self, leaf: Output, setting: Setting) -> None:
        self._leaf = leaf
        logs = setting.journal.logs
        self._logs = logs.setdefault(f"text:{leaf.text}", LogMonitor(literal(leaf.text)))

    def verdict(self, facts: RunFacts) -> Verdict:
        """What the logs say."""
        logs, absent = self._logs, self._leaf.absent
        if logs.hits:
            return _hit(logs, State.FAILED if absent else State.MET)
        if absent:
            return _no_hit(logs, facts)
        if not logs.seen:
            return open_or(State.NO_DATA, facts, "there is no log to search")
        found = Evidence(kind="log", text=f"0 hits in {_searched(logs)}")
        so_far = "" if facts.ended else " so far"
        verdict = open_or(State.FAILED, facts, f"0 hits{so_far} in {_searched(logs)}")
        return replace(verdict, evidence=found)


def _searched(logs: LogMonitor) -> str:
    return f"{logs.lines:,} lines, {len(logs.seen)} log{'s' if len(logs.seen) != 1 else ''}"


def _hit(logs: LogMonitor, state: State) -> Verdict:
    hit = logs.hits[0]
    why = f"{hit.text[:120]!r} in {hit.source}, line {hit.line:,}"
    found = Evidence(kind="log", text=hit.text[:200], source=hit.source, line=hit.line)
    return Verdict(state=state, final=True, why=why, evidence=found)


def _no_hit(logs: LogMonitor, facts: RunFacts, *, oom: bool = False) -> Verdict:
    """Absence is proved only by logs that were read to an end that is known."""
    if not logs.seen:
        return open_or(State.NO_DATA, facts, "there is no log to search")
    searched = _searched(logs)
    evidence = Evidence(kind="log", text=f"0 hits in {searched}")
    if not facts.ended:
        why = f"0 hits so far in {searched}; {REST_OF_RUN}"
        return Verdict(state=State.PENDING, final=False, why=why, evidence=evidence)
    if oom and facts.exit is not None and facts.exit.signal == signal.SIGKILL:
        why = f"0 hits in {searched}, but it ended by SIGKILL, which is how the kernel frees memory"
        return Verdict(state=State.NO_DATA, final=True, why=why, evidence=evidence)
    if facts.outcome in {None, Outcome.LOST}:
        why = f"0 hits in {searched}, but how the run ended is unknown"
        return Verdict(state=State.NO_DATA, final=True, why=why, evidence=evidence)
    return Verdict(state=State.MET, final=True, why=f"0 hits in {searched}", evidence=evidence)


def _exit_cause(hazard: str, crashes: EventMonitor, facts: RunFacts) -> str | None:
    if hazard == "oom":
        exits = (*facts.earlier, *((facts.exit,) if facts.exit is not None else ()))
        killed = any((record.oom_kill or 0) > 0 for record in exits)
        return "the kernel ended a process for want of memory" if killed else None
    if crashes.first is not None:
        data = crashes.first.data
        number = data.get("signal")
        how = f"signal {number}" if number is not None else f"exit code {data.get('code')}"
        where = f" in attempt {crashes.first.at.attempt}" if facts.attempts > 1 else ""
        return f"{data.get('phase') or 'a program'} ended by {how}{where}"
    if facts.ended and facts.outcome is Outcome.FAILED:
        code = facts.exit.code if facts.exit else None
        return "the run failed" + (f" with exit code {code}" if code is not None else "")
    return None


class FileTest(Pointless):
    """That a path or glob matches something in the workspace or the run folder."""

    def __init__(self, leaf: FileExists, setting: Setting) -> None:
        self._pattern = leaf.path

    def verdict(self, facts: RunFacts) -> Verdict:
        """What is there now."""
        found = facts.find_files(self._pattern)
        if not found:
            return open_or(State.FAILED, facts, f"nothing matches {self._pattern}")
        first = min(found)
        why = f"{first} exists" + (f" and {len(found) - 1} more" if len(found) > 1 else "")
        evidence = Evidence(kind="file", text=first, source=first)
        return Verdict(state=State.MET, final=facts.ended, why=why, evidence=evidence)


class CommandTest(Pointless):
    """That a command line, when a person had it run, ended with 0 and printed a text."""

    def __init__(self, leaf: CommandResult, setting: Setting) -> None:
        self._leaf = leaf

        def recorded(event: Event) -> bool:
            return event.name == "command" and event.data.get("command") == leaf.command

        self._monitor = setting.journal.watch_events(EventMonitor(recorded))

    def verdict(self, facts: RunFacts) -> Verdict:
        """What its newest run gave."""
        newest = self._monitor.last
        if newest is None:
            why = (
                f"{self._leaf.command!r} was not run: run `exp ticket check TICKET --run-commands`"
            )
            return manual(why, final=facts.ended)
        code, prints = newest.data.get("code"), self._leaf.prints
        why = f"{self._leaf.command!r} ended with code {code}"
        met = code == 0
        if prints is not None:
            printed = prints in str(newest.data.get("output", ""))
            why += f" and {'printed' if printed else 'did not print'} {prints!r}"
            met = met and printed
        at = newest.at
        evidence = Evidence(kind="event", text=why, source=at.source, line=at.line, time=at.time)
        state = State.MET if met else State.FAILED if facts.ended else State.PENDING
        return Verdict(state=state, final=facts.ended, why=why, evidence=evidence)


class ReleasedTest(Pointless):
    """That the run left no process behind."""

    def __init__(self, leaf: Released, setting: Setting) -> None:
        """Nothing to prepare."""

    def verdict(self, facts: RunFacts) -> Verdict:
        """What the exit record says."""
        return _released(facts)


def _released(facts: RunFacts) -> Verdict:
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
