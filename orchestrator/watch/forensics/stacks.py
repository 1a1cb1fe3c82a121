"""Where the programs stood: what py-spy wrote of a hang, what faulthandler wrote of a crash."""

import re
from collections.abc import Iterator
from contextlib import suppress

from orchestrator.diagnose.causes.traces import lines_of
from orchestrator.watch.forensics.scene import Scene, end_of_file

_TAIL = 1 << 20  # bytes of out.log that are looked through
_FILES = 8
_BEGIN = re.compile(r"Fatal Python error: |Timeout \(\d+:\d\d:\d\d|(?:Current thread|Thread) 0x")
_FRAME = re.compile(r'^\s+(?:File ".*", line (?:\d+|\?\?\?) in |\.\.\.|<no Python frame>)')
_AROUND = re.compile(r"^\s*$|^(?:Current thread|Thread) 0x|^Extension modules: ")


def stacks_text(scene: Scene) -> str | None:
    """stacks.txt: all of them, under the name of the file they come from; None without any."""
    parts = []
    for path in sorted(scene.folder.path.glob("stacks-*.txt"))[-_FILES:]:
        with suppress(OSError):
            parts.append(f"# {path.name}\n{end_of_file(path)}")
    with suppress(OSError):
        found = list(_faults(end_of_file(scene.folder.log, _TAIL)))
        if found:
            parts.append("# out.log\n" + "".join(f"{line}\n" for line in found))
    return "\n".join(parts) or None


def _faults(text: str) -> Iterator[str]:
    """The lines of faulthandler's tracebacks: from their head to the first line of another kind."""
    inside = False
    for line in lines_of(text):
        begins = _BEGIN.search(line.text) is not None
        inside = begins or (inside and bool(_FRAME.match(line.text) or _AROUND.match(line.text)))
        if inside:
            yield line.text.rstrip()
