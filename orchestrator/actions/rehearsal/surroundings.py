"""The machine and the workspace before a rehearsal, looked at from outside."""

import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestrator.domain.hardware import GpuReading
from orchestrator.domain.rehearsal import Plan
from orchestrator.domain.run import RunRecord
from orchestrator.git import Repository
from orchestrator.host import SHARED_MEMORY, Host
from orchestrator.rehearsal.measures import checkpoints_kept
from orchestrator.rehearsal.preflight import Surroundings
from orchestrator.store import Reader
from orchestrator.watch.committing import commit_warning, start_refusal
from orchestrator.workspace import RunFolder, Workspace

_PATIENCE = 2.0  # seconds that a mirror may take to answer
_SHOWN = 3  # untracked files that are named
_PORT = re.compile(r"--master[-_]port(?:=(\d+))?")
_IS_PATH = re.compile(r"(?:^|[_.-])(?:path|file|dir|folder|root)s?$", re.IGNORECASE)
_IS_MADE = re.compile(
    r"(?:^|[_.-])(?:out|output|save|log|cache|result|tmp|temp|work|export|dest|checkpoint|ckpt|run|dump|write)",
    re.IGNORECASE,
)
_PORTS = {"http": 80, "https": 443}
_WANDB = "https://api.wandb.ai"


def surroundings_of(
    workspace: Workspace,
    record: RunRecord,
    plan: Plan,
    mirror: Mapping[str, Any],
    gpus: GpuReading,
) -> Surroundings:
    """Look at all that a preflight judges; takes some seconds where a mirror does not answer."""
    workspace.prepare_state()
    host = Host().read(workspace.state)
    total, free = _room(SHARED_MEMORY)
    ports = tuple(sorted(set(_ports(record))))
    size, log = _earlier(workspace, record)
    return Surroundings(
        disk_free=host.disk_free,
        inodes_free=host.inodes_free,
        shared_total=total,
        shared_free=free,
        memory_total=host.memory_total,
        memory_available=host.memory_available,
        gpus=gpus,
        ports=ports,
        taken=tuple(port for port in ports if _problem_of("127.0.0.1", port) is None),
        git=tuple(_git(workspace)),
        mirrors=dict(_mirrors(mirror)),
        missing=tuple(sorted({*_missing(workspace, record.params), *_unread(workspace, record)})),
        checkpoint=size,
        checkpoints=checkpoints_kept(plan),
        log=log,
    )


def disk_free(workspace: Workspace) -> tuple[int | None, int | None]:
    """Bytes and inodes that are free where checkpoints go."""
    host = Host().read(workspace.state)
    return host.disk_free, host.inodes_free


def _room(path: Path) -> tuple[int | None, int | None]:
    """Bytes in all and free bytes of a file system."""
    with suppress(OSError):
        found = os.statvfs(path)
        return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    return None, None


def _ports(record: RunRecord) -> Iterator[int]:
    """Ports that the spec or the commands name."""
    named = record.env.get("MASTER_PORT") or os.environ.get("MASTER_PORT") or ""
    texts = [named]
    for command in record.commands:
        for word, following in zip(command.argv, (*command.argv[1:], ""), strict=True):
            match = _PORT.fullmatch(word)
            if match is not None:
                texts.append(match[1] or following)
    yield from (int(text) for text in texts if text.isdecimal() and 0 < int(text) < 65536)


def _problem_of(host: str, port: int) -> str | None:
    """Why nobody answers there; None if somebody does."""
    try:
        socket.create_connection((host, port), timeout=_PATIENCE).close()
    except OSError as error:
        return f"{host}:{port}: {error.strerror or error}"
    return None


def _git(workspace: Workspace) -> Iterator[str]:
    repository = Repository.find(workspace.root)
    if repository is None:
        yield "no git repository: the code of the run is kept nowhere"
        return
    refusal = start_refusal(repository) or commit_warning(workspace, repository)
    if refusal is not None:
        yield refusal
    untracked = repository.snapshot().untracked
    if untracked:
        more = f" and {len(untracked) - _SHOWN} more" if len(untracked) > _SHOWN else ""
        yield f"untracked, not in the snapshot: {', '.join(untracked[:_SHOWN])}{more}"


def _mirrors(mirror: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    for name, settings in mirror.items():
        url = next(_urls(settings), None)
        if url is None and name == "wandb" and settings:
            url = os.environ.get("WANDB_BASE_URL", _WANDB)
        if url is None:
            continue
        parts = urlsplit(url)
        try:
            port = parts.port or _PORTS[parts.scheme]
        except ValueError:
            yield name, f"{url} is no address"
        else:
            yield name, _problem_of(parts.hostname or "", port)


def _urls(value: Any) -> Iterator[str]:
    """Addresses in a section of the spec, however deep."""
    if isinstance(value, str) and urlsplit(value).scheme in _PORTS:
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _urls(each)


def _missing(workspace: Workspace, params: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Parameters that name a path to read which is not there; a place to write may be made."""
    for key, value in params.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _missing(workspace, value, f"{name}.")
        elif isinstance(value, str) and _is_absent_input(workspace, str(key), value):
            yield f"{name} = {value}"


def _unread(workspace: Workspace, record: RunRecord) -> Iterator[str]:
    """Options of commands that name a path to read which is not there."""
    for command in record.commands:
        for word, following in zip(command.argv, command.argv[1:], strict=False):
            name, equals, value = word.partition("=")
            value = value if equals else following
            plain = name.startswith("-") and not set(value) & set(" ;|&$")
            if plain and _is_absent_input(workspace, name.strip("-"), value):
                yield f"{name} {value}"


def _is_absent_input(workspace: Workspace, key: str, value: str) -> bool:
    named = _names_input(workspace, key, value)
    return named and not (workspace.root / Path(value).expanduser()).exists()


def _names_input(workspace: Workspace, key: str, value: str) -> bool:
    """Whether a parameter surely names a path: `gpt2` and `org/model` may be names on a hub."""
    if _IS_MADE.search(key) or "://" in value or "{" in value or "\n" in value:
        return False
    if value.startswith(("/", "./", "../", "~/")):
        return True
    first = value.partition("/")[0]
    return bool(_IS_PATH.search(key)) and "/" in value and (workspace.root / first).is_dir()


def _earlier(workspace: Workspace, record: RunRecord) -> tuple[int | None, int | None]:
    """Size of the largest checkpoint, and of all records, of the ticket's newest run with one."""
    if record.ticket is None:
        return None, None
    with Reader(workspace.database) as reader:
        for row in reader.runs(ticket=record.ticket.id):
            saved = reader.checkpoints(row.id)
            if saved:
                return max(each.bytes for each in saved), _records(workspace.run(row.id))
    return None, None


def _records(folder: RunFolder) -> int:
    """Bytes of logs and records of a run."""
    files = (file for attempt in folder.attempts() for file in attempt.path.iterdir())
    return sum(file.stat().st_size for file in files if file.is_file())
