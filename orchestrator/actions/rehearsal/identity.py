"""What a rehearsal holds for: code, spec, environment and device, gathered from this machine."""

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from orchestrator.actions.programs import is_python
from orchestrator.domain.hardware import GpuReading
from orchestrator.domain.rehearsal import RehearsalKey
from orchestrator.domain.run import RunRecord
from orchestrator.git import Repository
from orchestrator.rehearsal.keys import key_of
from orchestrator.workspace import Workspace

_LARGE = 64 << 20  # bytes of a file from which on its time of change stands for its content
_WORDS = {"tickets", "reports", ".exp"}  # folders that hold what people and the tool write
_ASK_LIMIT = 30.0  # seconds
_ASK = """
import json, platform
from importlib import metadata
found = sorted({(d.metadata["Name"] or "", d.version) for d in metadata.distributions()})
print(json.dumps([platform.python_version(), found]))
"""


def identity_of(workspace: Workspace, record: RunRecord, gpus: GpuReading | None) -> RehearsalKey:
    """The key of a rehearsal that would be made now; `gpus` None means that none are used."""
    return key_of(
        record,
        code=list(_code(workspace, record)),
        environment={"pythons": [_python(program) for program in _interpreters(record)]},
        device=_device(gpus),
    )


def _code(workspace: Workspace, record: RunRecord) -> Iterator[str]:
    """Name and hash of every file that may be code, tracked by git or not.

    The spec has a part of the key of its own, in which only counts what a rehearsal depends on.
    """
    repository = Repository.find(workspace.root)
    root = workspace.root if repository is None else repository.root
    names = _without_git(workspace, record) if repository is None else repository.files()
    spec = None if record.experiment is None else workspace.root / record.experiment
    for name in sorted(names):
        path = PurePosixPath(name)
        if root / name != spec and not _WORDS & set(path.parts[:-1]) and path.suffix != ".md":
            yield f"{name} {_content(root / name)}"


def _without_git(workspace: Workspace, record: RunRecord) -> Iterable[str]:
    """The files beside the spec, and those that the commands name."""
    names = set()
    if record.experiment is not None:
        spec = workspace.root / record.experiment
        names |= {str(f.relative_to(workspace.root)) for f in spec.parent.rglob("*") if f.is_file()}
    for command in record.commands:
        with_file = (word for word in command.argv if (workspace.root / word).is_file())
        names |= {word for word in with_file if not Path(word).is_absolute()}
    return {name for name in names if "__pycache__" not in name}


def _content(file: Path) -> str:
    """The hash of a file's bytes; of a large one its size and time, for reading it takes long."""
    try:
        if file.is_symlink():
            return f"-> {file.readlink()}"
        status = file.stat()
        if status.st_size > _LARGE:
            return f"{status.st_size} {status.st_mtime_ns}"
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return "gone"


def _interpreters(record: RunRecord) -> list[str]:
    return sorted({c.argv[0] for c in record.commands if is_python(c.argv[0])})


def _python(program: str) -> Any:
    """Version and installed distributions of an interpreter."""
    if program == sys.executable:
        found = {(d.metadata["Name"] or "", d.version) for d in metadata.distributions()}
        return [platform.python_version(), sorted(map(list, found))]
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        asked = subprocess.run(
            [program, "-c", _ASK], capture_output=True, timeout=_ASK_LIMIT, check=True
        )
        return json.loads(asked.stdout)
    return program


def _device(gpus: GpuReading | None) -> dict[str, Any]:
    reading = gpus.gpus if gpus is not None else None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "memory": memory,
        "driver": gpus.driver if gpus is not None else None,
        "gpus": None if reading is None else [[gpu.name, gpu.memory_total] for gpu in reading],
    }
