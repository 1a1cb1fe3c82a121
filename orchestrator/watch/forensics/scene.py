"""What the parts of a bundle are made from."""

import os
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.domain.attempt import Failure
from orchestrator.domain.run import AttemptState, RunRecord
from orchestrator.watch.censor import Censor
from orchestrator.workspace import AttemptFolder

PIECE = 256 << 10  # bytes that are taken of any one file
MARGIN = 8 << 10  # bytes more that are read and not kept: no secret is longer, none is cut in two
_LAST_WAIT = 1.0  # seconds for a program that was killed


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """An attempt that went wrong; `attempt` is what its files tell."""

    folder: AttemptFolder
    record: RunRecord
    attempt: AttemptState
    failure: Failure
    censor: Censor


def end_of_file(path: Path, size: int = PIECE) -> str:
    """The last bytes of a file as text, from the first whole line on if there is one.

    Raises:
        OSError: it cannot be read, or is no plain file: a pipe would be waited for.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        start = max(0, file.seek(0, os.SEEK_END) - size)
        file.seek(start)
        text = file.read(size).decode(errors="replace")
    return text.partition("\n")[2] or text if start else text


def said_by(argv: list[str], *, seconds: float) -> str:
    """What a program prints, at most `PIECE` bytes; one that hangs in the driver is left alone.

    Raises:
        OSError: there is no such program.
        TimeoutError: it did not end in time.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LAST_WAIT)
            raise TimeoutError(f"{argv[0]} did not end within {seconds:.0f} s") from error
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - PIECE))
        return output.read(PIECE).decode(errors="replace")
