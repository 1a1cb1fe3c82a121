"""How a program ended behind its launcher: torchrun's summary, a shell's 128 + N."""

import re
import signal
from dataclasses import dataclass

from orchestrator.diagnose.causes.traces import Line

_ROOT = re.compile(r"^Root Cause \(first observed failure\):")
_EXITCODE = re.compile(r"^\s*exitcode\s*: (-?\d+)")
_SIGNALLED = re.compile(r"SignalException: Process \d+ got signal: (\d+)")
_SUMMARY = 8  # lines of torchrun's words on one worker


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How the program itself ended: exactly one of code and signal, or neither if unknown."""

    code: int | None = None
    signal: int | None = None


def end_of(code: int | None, number: int | None, lines: list[Line]) -> End:
    """The end of the program behind the launcher that ended with `code` or by signal `number`.

    torchrun itself always ends with 1 and tells of its workers in a summary; a shell adds 128.
    """
    if number is None and code == 1:
        told = _told_by_torchrun(lines)
        if told is not None:
            code, number = (None, -told) if told < 0 else (told, None)
    if code is not None and _is_signal(code - 128):
        return End(signal=code - 128)
    return End(code=code, signal=number)


def name_of(number: int) -> str:
    """`SIGKILL`, or `signal 40` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _is_signal(number: int) -> bool:
    return number in set(signal.Signals)


def _told_by_torchrun(lines: list[Line]) -> int | None:
    """The exit code of the first worker that failed, -N for signal N; None if nothing tells."""
    for at in range(len(lines) - 1, -1, -1):
        if signalled := _SIGNALLED.search(lines[at].text):
            return -int(signalled[1])
        if _ROOT.match(lines[at].text):
            for line in lines[at : at + _SUMMARY]:
                if code := _EXITCODE.match(line.text):
                    return int(code[1])
            return None
    return None
