"""From the evidence of an attempt's end to its cause."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.diagnose.causes.launchers import End, end_of, name_of
from orchestrator.diagnose.causes.memory import shortage
from orchestrator.diagnose.causes.signs import cause_of_exception, cause_of_line, gave_up_over_nan
from orchestrator.diagnose.causes.traces import Line, Trace, lines_of, same, traces_of
from orchestrator.domain.retry import Cause
from orchestrator.domain.run import NO_RETRY, REQUEUE, ExitRecord, Outcome, StopRequest

_TOLD_TO_LEAVE = {signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1}
_QUOTED = 600  # characters of a log that stand in the evidence
_LAST_LINES = 200  # in which a line without a traceback may tell the cause
_LAST_WORDS = 20  # in which a program says why it gives up
# What a process says when another one has failed before it.
_ECHOES = ("ChildFailedError", "SignalException", "BrokenPipeError", "EOFError")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """What a process of the run said at its end: the `finish` event."""

    code: int | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Everything that is known of the end of an attempt.

    `log` is the end of out.log. `phase` is what was going on. `boots` are the machine's boot ids
    when the attempt started and now, None if unknown. `lost_gpus` is what telemetry said of GPUs
    that went away, in words.
    """

    exit: ExitRecord
    outcome: Outcome
    why: str
    log: str = ""
    phase: str | None = None
    stop: StopRequest | None = None
    boots: tuple[str | None, str | None] = (None, None)
    finished: tuple[Finish, ...] = ()
    lost_gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Why an attempt failed; `fingerprint` is equal for failures that are the same."""

    cause: Cause
    evidence: str
    fingerprint: str


def name_cause(ending: Ending) -> Diagnosis:
    """Name the cause of an end that is not complete."""
    lines = lines_of(ending.log)
    end = end_of(ending.exit.code, ending.exit.signal, lines)
    asked = _by_code(ending, end)
    if asked is not None:
        return asked
    if ending.outcome is Outcome.STOPPED and ending.stop is not None:
        stop = ending.stop
        return _plain(Cause.STOPPED, f"{stop.by} asked for the end: {stop.why}", "stopped")
    if end.code is None and end.signal is None:
        return _without_status(ending)
    if ending.exit.error is not None:
        return _plain(Cause.PROGRAM, ending.exit.error, same(ending.exit.error))
    if end.signal is not None and end.signal in {*_TOLD_TO_LEAVE, signal.SIGINT, signal.SIGKILL}:
        return _by_signal(ending, signal.Signals(end.signal))
    if end.code == 0:
        return _plain(Cause.SHORT, ending.why, f"exit 0 in {ending.phase}")
    return _by_words(ending, end, lines)


def _plain(cause: Cause, evidence: str, fingerprint: str) -> Diagnosis:
    return Diagnosis(cause=cause, evidence=evidence, fingerprint=fingerprint)


def _by_code(ending: Ending, end: End) -> Diagnosis | None:
    """What the program asked for by its exit code, or in its `finish` event behind a launcher."""
    failed = end.code != 0
    codes = {end.code, *(f.code for f in ending.finished if failed)}
    where = f" in {ending.phase}" if ending.phase else ""
    if NO_RETRY in codes and ending.outcome is not Outcome.STOPPED:
        return _plain(Cause.NO_RETRY, f"exit code {NO_RETRY}{where}: do not retry", "exit 93")
    if REQUEUE in codes and (ending.outcome is not Outcome.STOPPED or _over_time(ending)):
        why = f"exit code {REQUEUE}{where}: asks to be started again"
        said = f" ({ending.stop.why})" if ending.stop else ""
        return _plain(Cause.REQUEUE, why + said, "exit 75")
    return None


def _over_time(ending: Ending) -> bool:
    return ending.stop is not None and ending.stop.is_limit


def _without_status(ending: Ending) -> Diagnosis:
    then, now = ending.boots
    if then is not None and now is not None and then != now:
        return _plain(Cause.PREEMPTED, "the machine was restarted", "reboot")
    return _plain(Cause.LOST, ending.exit.error or ending.why, f"lost in {ending.phase}")


def _by_signal(ending: Ending, number: signal.Signals) -> Diagnosis:
    where = f" in {ending.phase}" if ending.phase else ""
    fingerprint = f"{number.name}{where}"
    if number in _TOLD_TO_LEAVE:
        why = f"{number.name}{where}, which nobody asked exp for"
        return _plain(Cause.PREEMPTED, why, fingerprint)
    if number is signal.SIGINT:
        return _plain(Cause.STOPPED, f"interrupted{where} (SIGINT)", fingerprint)
    trouble = _gpu_trouble(ending)
    if trouble:
        return _plain(Cause.GPU_LOST, f"{number.name}{where}; telemetry: {trouble}", fingerprint)
    return _killed(ending, f"killed by SIGKILL{where}", fingerprint)


def _killed(ending: Ending, how: str, fingerprint: str) -> Diagnosis:
    """A SIGKILL proves nothing by itself; the kernel's count of its own kills does."""
    kills = ending.exit.oom_kill
    if kills:
        told = f"the kernel killed for want of memory (oom_kill +{kills})"
        return _plain(Cause.HOST_OOM, f"{how}; {told}", fingerprint)
    told = "the kernel does not tell of oom kills here" if kills is None else "oom_kill +0"
    return _plain(Cause.KILLED, f"{how}; nothing says who or why ({told})", fingerprint)


def _gpu_trouble(ending: Ending) -> str | None:
    return "; ".join(ending.lost_gpus) or None


def _by_words(ending: Ending, end: End, lines: list[Line]) -> Diagnosis:
    """The exception that came first, else a line that proves something, else the code alone."""
    # A signal may come long after an exception that the program survived.
    root = _root(ending, lines if end.signal is None else lines[-_LAST_LINES:])
    if root is not None:
        return _by_exception(ending, root)
    how = name_of(end.signal) if end.signal is not None else f"exit code {end.code}"
    how += f" in {ending.phase}" if ending.phase else ""
    trouble = _gpu_trouble(ending)
    if trouble:
        return _plain(Cause.GPU_LOST, f"{how}; telemetry: {trouble}", how)
    found = _telling_line(lines)
    if found is not None:
        cause, text = found
        return _plain(cause, f"{how}; {_quote(text)}", f"{how}: {same(text)}")
    words = [line.text for line in lines if line.text.strip()][-1:]
    said = f"; last words: {_quote(words[0])}" if words else "; it printed nothing"
    return _plain(Cause.PROGRAM, how + said, how)


def _by_exception(ending: Ending, root: Trace) -> Diagnosis:
    root = _reason(root)
    cause = cause_of_exception(root.raised)
    rank = f" ({root.rank})" if root.rank else ""
    at = f" at {root.place}" if root.place else ""
    where = f", in {ending.phase}" if ending.phase else ""
    quoted = f"{_quote(root.raised)}{rank}{at}{where}"
    if cause is Cause.KILLED:
        return _killed(ending, quoted, root.fingerprint)
    if cause is Cause.CUDA_OOM:
        message = root.raised
        if shortage(message) is None:  # wrapped: the numbers stand on the lines behind
            message = f"{message} {root.more}"
        asked = shortage(message)
        sums = f"; {asked.arithmetic}" if asked and asked.arithmetic else ""
        quoted = f"{_quote(message)}{rank}{at}{where}{sums}"
    elif cause is Cause.PROGRAM and "CUDA" in root.raised and (trouble := _gpu_trouble(ending)):
        return _plain(Cause.GPU_LOST, f"{quoted}; telemetry: {trouble}", root.fingerprint)
    return _plain(cause, quoted, root.fingerprint)


def _reason(trace: Trace) -> Trace:
    """Of exceptions raised from one another the first that was short of memory; else the last.

    A program may catch others and fail on its own account. Nobody mends a lack of memory so.
    """
    chain, told = trace, trace
    while chain.reason is not None:
        chain = chain.reason
        told = chain if cause_of_exception(chain.raised) is Cause.CUDA_OOM else told
    return told


def _root(ending: Ending, lines: list[Line]) -> Trace | None:
    """The exception that ended the program; of several ranks, that of the first one to fail.

    What a rank met because another one was gone already is no root while there is another.
    """
    last: dict[str | None, Trace] = {}
    for trace in _fatal(ending, traces_of(lines)):
        if trace.rank not in last or not _is_echo(trace) or _is_echo(last[trace.rank]):
            last[trace.rank] = trace
    first = sorted(last.values(), key=lambda trace: (_is_echo(trace), trace.line))
    return first[0] if first and not first[0].kind.endswith(_ECHOES[:2]) else None


def _fatal(ending: Ending, traces: list[Trace]) -> Iterator[Trace]:
    """Tracebacks that may have ended the program: all, unless its processes named theirs."""
    errors = [finish.error for finish in ending.finished if finish.error]
    named = [trace for trace in traces if any(_names(error, trace) for error in errors)]
    unseen = [e for e in errors if not any(_names(e, trace) for trace in traces)]
    for error in unseen:
        kind, _, message = error.partition(": ")
        named.append(Trace(kind=kind, message=message.split("\n")[0], line=len(traces)))
    yield from named or traces


def _names(error: str, trace: Trace) -> bool:
    kind, _, message = error.partition(": ")
    return trace.kind.rpartition(".")[2] == kind and message.startswith(trace.message)


def _is_echo(trace: Trace) -> bool:
    return trace.kind.endswith(_ECHOES) or cause_of_exception(trace.raised) is Cause.NCCL


def _telling_line(lines: list[Line]) -> tuple[Cause, str] | None:
    """The first of the last lines that proves a cause; a collective's failure only without one."""
    told = [(cause_of_line(line.text), line.text) for line in lines[-_LAST_LINES:]]
    found = [(cause, text) for cause, text in told if cause is not None]
    words = [line.text for line in lines if line.text.strip()][-_LAST_WORDS:]
    found += [(Cause.NAN, text) for text in words if gave_up_over_nan(text)]
    return min(found, key=lambda pair: pair[0] is Cause.NCCL, default=None)


def _quote(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _QUOTED else f"{words[:_QUOTED]}…"
