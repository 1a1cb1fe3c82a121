"""How a run ends, or would end now: what is lost, what goes in circles, what is known already."""

import signal
from collections.abc import Iterator
from itertools import pairwise

from orchestrator.clock import format_duration
from orchestrator.diagnose.case import Case
from orchestrator.diagnose.causes import name_of
from orchestrator.diagnose.rules.pace import gpu_hours, hits_of, left
from orchestrator.diagnose.settings import setting
from orchestrator.domain.attempt import Failure
from orchestrator.domain.criterion import Criterion, State, Verdict
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.retry import Cause
from orchestrator.domain.run import Outcome, Phase

_SHOWN = 3  # lines of evidence of one kind
_NEAR = 0.9  # of a time limit
_LEAVE = {signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1}


def torn_checkpoint(case: Case) -> Iterator[Finding]:
    """A checkpoint whose files are not those of its manifest, or that could not be loaded."""
    good = [saved for saved in case.checkpoints if saved.valid]
    newest = max((saved.step for saved in good), default=None)
    for saved in case.checkpoints:
        if not saved.valid:
            where = f"{saved.path}: {saved.files} files, {saved.bytes:,} bytes by its manifest"
            yield _torn(
                f"step {saved.step}",
                f"The checkpoint of step {saved.step:,} is torn",
                (Quote(source=saved.path, text=where),),
                newest,
                worst=newest is None or saved.step > newest,
            )
    hits = hits_of(case, "torn_checkpoint")
    if hits:
        quotes = tuple(hit.quote for hit in hits[:_SHOWN])
        yield _torn("", f"A checkpoint cannot be read: {_line(hits[0].text)}", quotes, newest)


def _torn(
    subject: str, title: str, evidence: tuple[Quote, ...], newest: int | None, *, worst: bool = True
) -> Finding:
    back = "there is no other" if newest is None else f"newest valid one: step {newest:,}"
    return Finding(
        id="torn-checkpoint",
        subject=subject,
        severity=Severity.ERROR if worst else Severity.WARN,
        title=f"{title}; {back}",
        evidence=evidence,
        arithmetic=back,
        meaning="Its writer was killed or the disk was full. Loading it fails, or gives weights "
        "that are partly wrong.",
        action=(
            "Nothing to resume from: start again, and save through run.checkpoint(...)"
            if newest is None
            else "Resume through track.resume_path(), which skips it; keep at least two"
        ),
        retry=newest is not None,
    )


def crash_loop(case: Case) -> Iterator[Finding]:
    """The last attempts ended alike, and none of them got further."""
    count = case.thresholds.crash_loop
    numbers = sorted(case.failures)[-count:]
    last = [case.failures[number] for number in numbers]
    if len(last) < max(2, count) or numbers[-1] < case.attempt - 1:
        return
    if len({failure.fingerprint for failure in last}) > 1 or _gets_further(case, last):
        return
    at = last[-1].checkpoint
    place = "no checkpoint" if at is None else f"the checkpoint of step {at:,}"
    yield Finding(
        id="crash-loop",
        severity=Severity.ERROR,
        title=f"The same end {len(last)} times without progress: {_line(last[-1].evidence)}",
        evidence=tuple(
            Quote(source=f"attempt-{number}/failure.json", text=failure.evidence)
            for number, failure in zip(numbers, last, strict=True)
        ),
        arithmetic=f"{len(last)} × {_line(last[-1].fingerprint)}, each from {place}",
        meaning="Another attempt from the same state ends the same way.",
        action="Change what the evidence names before exp run resume",
        retry=False,
    )


def _gets_further(case: Case, last: list[Failure]) -> bool:
    """Whether a checkpoint came between, or steps where nobody sees the checkpoints."""
    known = {failure.checkpoint for failure in last}
    before = last[0].checkpoint
    newer = [s for s in case.checkpoints if s.valid and (before is None or s.step > before)]
    if len(known) > 1 or newer:
        return True
    return before is None and (last[-1].step or 0) > (last[0].step or 0)


def incomplete(case: Case) -> Iterator[Finding]:
    """It ended by itself with exit code 0 before the plan was done."""
    ended, planned = case.exit, case.record.planned_steps
    if ended is None or ended.code != 0 or case.outcome is not Outcome.INCOMPLETE:
        return
    done = case.max_step or 0
    ran = {phase.phase for phase in ended.phases}
    wanted = {command.phase for command in case.record.commands}
    if planned is not None and done < planned:
        what = f"{done:,} of {planned:,} planned steps = {done / planned:.1%}"
    elif Phase.EVAL in wanted - ran:
        what = "no final evaluation"
    else:
        return
    yield Finding(
        id="incomplete",
        severity=Severity.ERROR,
        title=f"Exit code 0, but {what}",
        evidence=(Quote(source=f"attempt-{case.attempt}/exit.json", text=f"code 0, {what}"),),
        arithmetic=what,
        meaning="A success that is none: the loop ended early (data ran out, a limit of its own).",
        action="Look at the last lines (exp run logs) and at what ends the program's loop; "
        "exp run resume goes on",
        retry=False,
    )


def answer_known(case: Case) -> Iterator[Finding]:
    """All required criteria are final, and it still runs."""
    if case.ended or not case.verdicts or len(case.verdicts) != len(case.record.criteria):
        return
    pairs = [
        (criterion, verdict)
        for criterion, verdict in zip(case.record.criteria, case.verdicts, strict=True)
        if criterion.required and verdict.state not in {State.MANUAL, State.WAIVED}
    ]
    if not pairs or not all(verdict.final for _, verdict in pairs):
        return
    rest, met = left(case), sum(verdict.state is State.MET for _, verdict in pairs)
    saved = "unknown" if rest is None else gpu_hours(case, rest)
    known = [v.evidence.time for _, v in pairs if v.evidence is not None and v.evidence.time]
    since = ""
    if len(known) == len(pairs):
        since = f"since the last verdict: {gpu_hours(case, case.now - max(known))}; "
    yield Finding(
        id="answer-known",
        severity=Severity.WARN,
        title=f"The answer is known ({met} of {len(pairs)} criteria met, all final) and it still "
        f"runs: {saved} to go",
        evidence=tuple(_verdict(criterion, verdict) for criterion, verdict in pairs),
        arithmetic=f"{since}planned rest: {saved}",
        meaning="No further step can change a verdict.",
        action=f'exp run stop {case.record.id}; with stop.when = "decided" it ends by itself',
    )


def _verdict(criterion: Criterion, verdict: Verdict) -> Quote:
    said, where = f"{criterion.text}: {verdict.state}, {verdict.why}", verdict.evidence
    if where is None or where.source is None:
        return Quote(source="ticket", text=said)
    return Quote(source=where.source, line=where.line, text=said)


def preempted(case: Case) -> Iterator[Finding]:
    """The scheduler or the machine ended the attempt; what it had not saved is lost."""
    failure, ended = case.failures.get(case.attempt), case.exit
    if failure is not None and failure.cause is not Cause.PREEMPTED:
        return
    if failure is not None:
        how = failure.evidence
    elif ended is not None and ended.signal in _LEAVE and case.outcome is not Outcome.STOPPED:
        how = f"ended by {name_of(ended.signal)}"
    else:
        return
    saved, done = _newest(case), case.max_step
    lost = None if done is None else done - (saved.step if saved is not None else 0)
    again = "unknown" if lost is None else f"{max(0, lost):,} steps"
    record = "failure.json" if failure is not None else "exit.json"
    yield Finding(
        id="preempted",
        severity=Severity.INFO,
        title=f"Preempted: {_line(how)}; to do again: {again}",
        evidence=(Quote(source=f"attempt-{case.attempt}/{record}", text=how),),
        arithmetic=f"{_count(done)} − {_count(saved.step if saved else 0)} saved = {again}",
        meaning="Nothing is wrong with the program.",
        action='exp run resume, or retry.on = ["preempted"]; a program that saves at SIGTERM and '
        "exits with 75 loses nothing",
        retry=True,
    )


def time_limit(case: Case) -> Iterator[Finding]:
    """The attempt's time is nearly over and its newest checkpoint is old."""
    limit = case.record.resources.get("time_limit")
    if case.ended or case.started is None or not isinstance(limit, int | float):
        return
    used, rest = case.now - case.started, left(case)
    if used < _NEAR * limit or (rest is not None and used + rest < limit):
        return
    saved = _newest(case)
    since = used if saved is None else case.now - max(saved.time, case.started)
    usual = _interval(case)
    if usual is not None and since <= 2 * usual:
        return
    last = "no checkpoint" if saved is None else f"the last checkpoint {format_duration(since)} old"
    yield Finding(
        id="time-limit",
        severity=Severity.WARN,
        title=f"{format_duration(max(0.0, limit - used))} to the time limit, {last}",
        evidence=(_saved_quote(saved),),
        arithmetic=f"{format_duration(used)} of {format_duration(limit)} = {used / limit:.0%}; "
        f"at stake: {gpu_hours(case, since)}",
        meaning="At the limit it gets SIGTERM; without a save then, this time is lost.",
        action="Have the program save when run.should_stop() says so, and exit with 75",
    )


def no_checkpoint(case: Case) -> Iterator[Finding]:
    """It has run long, has long to go, and nothing is saved."""
    rest, limit = left(case), case.thresholds.unsaved
    if case.ended or case.started is None or rest is None or _newest(case) is not None:
        return
    used, every = case.now - case.started, setting(case, "checkpoint_every")
    if used < limit or rest < limit:
        return
    if every is not None and (case.max_step or 0) < every.value:
        return  # as it was told to: the first one is not due
    yield Finding(
        id="no-checkpoint",
        severity=Severity.WARN,
        title=f"Nothing saved in {format_duration(used)}, {format_duration(rest)} to go: a crash "
        f"now costs {gpu_hours(case, used)}",
        evidence=(_saved_quote(None),),
        arithmetic=f"{gpu_hours(case, used)}; {format_duration(used)} > {format_duration(limit)}",
        meaning="No checkpoint that exp can see: none was sealed with run.checkpoint(path, step).",
        action="Save every half an hour, and call run.checkpoint(path, step) behind it",
    )


def killed_unexplained(case: Case) -> Iterator[Finding]:
    """SIGKILL, and neither the kernel nor anybody else says why."""
    failure, ended = case.failures.get(case.attempt), case.exit
    if failure is not None and failure.cause is not Cause.KILLED:
        return
    if ended is None or ended.oom_kill:
        return
    killed, hits = ended.signal == signal.SIGKILL, hits_of(case, "killed")
    if failure is None and not (killed and case.outcome is Outcome.FAILED):
        return
    counted = "unknown" if ended.oom_kill is None else "+0"
    how = f"signal {ended.signal}, code {ended.code}, oom_kill {counted}"
    yield Finding(
        id="killed-unexplained",
        severity=Severity.INFO,
        title="Killed by SIGKILL, and nothing says who or why",
        evidence=(
            Quote(source=f"attempt-{case.attempt}/exit.json", text=how),
            *(hit.quote for hit in hits[:_SHOWN]),
        ),
        arithmetic=f"oom_kill of the control group: {counted}",
        meaning='The word "Killed" proves nothing: it may have been a person, a scheduler, or the '
        "kernel for want of memory.",
        action="dmesg -T | grep -i -e oom -e killed; look at system/memory_used before the end; "
        "sacct or kubectl describe, if a scheduler runs it",
    )


def _newest(case: Case) -> Checkpoint | None:
    good = [saved for saved in case.checkpoints if saved.valid]
    return max(good, key=lambda saved: (saved.attempt, saved.time, saved.step), default=None)


def _interval(case: Case) -> float | None:
    """The longest time between two saves of this attempt; None before there were two."""
    times = sorted(saved.time for saved in case.checkpoints if saved.attempt == case.attempt)
    return max((b - a for a, b in pairwise(times)), default=None)


def _saved_quote(saved: Checkpoint | None) -> Quote:
    if saved is None:
        return Quote(source="checkpoints", text="no valid manifest")
    return Quote(source=saved.path, text=f"saved at step {saved.step:,}")


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _line(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 100 else f"{words[:100]}…"
