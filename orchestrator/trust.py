"""Workspaces whose commands a person agreed to run, remembered by path and content, as direnv does.

The list lies in the user's own state folder: a workspace that comes with a git clone or an archive
cannot bring its trust along. What changed since is not trusted any more. Subjects, such as the
commands and the notices of a workspace, are agreed to together and change apart.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from orchestrator.errors import EnvironmentFailure, InvalidFileError
from orchestrator.fsio import locked, read_json, to_json, write_atomic


def trust_file() -> Path:
    """`exp/trust.json` below $XDG_STATE_HOME, or below ~/.local/state."""
    state = os.environ.get("XDG_STATE_HOME", "")
    # The specification of these folders says that a relative path is to be ignored.
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
    return base / "exp" / "trust.json"


def digest_of(parts: Iterable[tuple[str, bytes]]) -> str:
    """One hash over named contents, in the order of their names; lengths keep them apart."""
    total = sha256()
    for name, content in sorted(parts):
        label = name.encode("utf-8", "surrogateescape")
        total.update(b"%d %d\0" % (len(label), len(content)) + label + content)
    return total.hexdigest()


def trusted() -> dict[str, dict[str, str]]:
    """What was agreed to, by the path of each workspace: a digest for each subject.

    Raises:
        InvalidFileError: the list is torn.
    """
    try:
        data: Any = read_json(trust_file())
    except FileNotFoundError:
        return {}
    entries = data.get("workspaces") if isinstance(data, dict) else None
    if not isinstance(entries, dict):
        raise InvalidFileError(f"{trust_file()} is no list of trust", hint=f"rm {trust_file()}")
    return {
        str(path): {str(subject): str(digest) for subject, digest in entry["digests"].items()}
        for path, entry in entries.items()
        if isinstance(entry, dict) and isinstance(entry.get("digests"), dict)
    }


def is_trusted(root: Path, subject: str, digest: str) -> bool:
    """Whether exactly this content at this place was agreed to."""
    return trusted().get(_name(root), {}).get(subject) == digest


def trust(root: Path, digests: Mapping[str, str]) -> None:
    """Remember that a person agreed to run what this workspace holds now, subject by subject.

    Raises:
        EnvironmentFailure: the list cannot be written.
    """
    _change(lambda known: known | {_name(root): dict(digests)})


def revoke(root: Path) -> bool:
    """Forget a workspace, also one that is gone; False if it was not trusted."""
    before = trusted()
    _change(lambda known: {path: d for path, d in known.items() if path != _name(root)})
    return _name(root) in before


def _change(edit: Callable[[dict[str, dict[str, str]]], dict[str, dict[str, str]]]) -> None:
    path = trust_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot create {path.parent}: {error.strerror}", hint=f"ls -ld {path.parent.parent}"
        ) from error
    with locked(path.with_suffix(".lock"), busy=f"{path} is being changed", wait=True):
        now = time.time()
        entries = {name: {"digests": d, "time": now} for name, d in edit(trusted()).items()}
        write_atomic(path, to_json({"workspaces": entries}))


def _name(root: Path) -> str:
    return str(root.resolve())
