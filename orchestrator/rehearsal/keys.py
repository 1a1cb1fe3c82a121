"""What a rehearsal holds for: hashes, by which an old result is known to be still true."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

from orchestrator.domain.rehearsal import RehearsalKey
from orchestrator.domain.run import RunRecord
from orchestrator.redact import is_secret_name

# Settings of [rehearse] that decide whether it is done, and not what it shows.
_NOT_SHOWN = {"when", "above", "estimate"}
_UNKNOWN_CODE = "the code: without git nobody can tell whether it is the same"


def key_of(
    record: RunRecord,
    code: Sequence[str] | None,
    environment: Mapping[str, Any],
    device: Mapping[str, Any],
) -> RehearsalKey:
    """The key of a rehearsal of `record`.

    `code` are words that differ whenever the code does (git's tree, a hash of local changes), None
    where nobody can tell; `environment` and `device` any plain data that does.
    """
    return RehearsalKey(
        code=None if code is None else digest(list(code)),
        spec=digest(_spec_of(record)),
        environment=digest(environment),
        device=digest(device),
    )


def digest(value: Any) -> str:
    """SHA-256 of plain data; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def differences(held: RehearsalKey, now: RehearsalKey) -> tuple[str, ...]:
    """What a rehearsal that held for `held` does not say of `now`, in words; empty if it holds."""
    code: tuple[str, ...] = ("the code",) if held.code != now.code else ()
    if held.code is None or now.code is None:
        code = (_UNKNOWN_CODE,)
    names = ("spec", "environment", "device")
    others = [name for name in names if getattr(held, name) != getattr(now, name)]
    return (*code, *(f"the {name}" for name in others))


def _spec_of(record: RunRecord) -> dict[str, Any]:
    """Those parts of the spec that a rehearsal depends on, equal on every machine."""
    rehearse = {k: v for k, v in asdict(record.rehearse).items() if k not in _NOT_SHOWN}
    return {
        "experiment": record.experiment,
        "params": record.params,
        "commands": [
            [command.phase, *(_portable(word, record.cwd) for word in command.argv)]
            for command in record.commands
        ],
        "resources": record.resources,
        "planned_steps": record.planned_steps,
        "grace": record.grace,
        "rehearse": rehearse,
        # A secret's value stays out of hashes too: one could be guessed from its hash.
        "env": {name: None if is_secret_name(name) else v for name, v in record.env.items()},
    }


def _portable(word: str, cwd: str) -> str:
    """A word of a command without the folders that only this machine has."""
    name, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
    path = PurePosixPath(value)
    if not path.is_absolute():
        return word
    inside = path.is_relative_to(cwd) and cwd not in ("", "/")
    return f"{name}{equals}{path.relative_to(cwd) if inside else path.name}"
