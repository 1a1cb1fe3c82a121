"""`exp trust`: what a workspace may run, and whether a person agreed to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator import tickets, trust
from orchestrator.errors import InvalidFileError, RefusedError
from orchestrator.notify import SUBJECT, digest_of_notify, notify_config
from orchestrator.workspace import Workspace

_COMMANDS = "commands"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRow:
    """A trusted workspace; `state` is trusted, changed (since), or gone."""

    path: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """What was agreed to: how many specs, and how many lines that may name a command.

    `notify` says whether a command or URLs of [notify] are among it.
    """

    path: str
    specs: int
    lines: int
    notify: bool


def trust_workspace(workspace: Workspace) -> Trusted:
    """Remember the workspace with what it may run now."""
    digests = _digests(workspace)
    trust.trust(workspace.root, digests)
    return Trusted(
        path=str(workspace.root),
        specs=len(list(_specs(workspace))),
        lines=len(list(_lines(workspace))),
        notify=SUBJECT in digests,
    )


def require_trust(workspace: Workspace) -> None:
    """Refuse to run what nobody agreed to.

    Raises:
        RefusedError: the workspace is not trusted, or has changed since it was.
    """
    if trust.is_trusted(workspace.root, _COMMANDS, _commands(workspace)):
        return
    known = str(workspace.root.resolve()) in trust.trusted()
    why = "has changed since it was trusted" if known else "is not trusted"
    raise RefusedError(
        f"{workspace.root} {why}: its commands are not run",
        hint=f"look at experiments/ and the criteria, then exp trust {workspace.root}",
    )


def trust_list() -> list[TrustRow]:
    """Every workspace that was trusted."""
    return [
        TrustRow(path=path, state=_state(Path(path), digests))
        for path, digests in sorted(trust.trusted().items())
    ]


def _state(root: Path, digests: Mapping[str, str]) -> str:
    if not root.is_dir():
        return "gone"
    try:
        return "trusted" if _digests(Workspace(root)) == digests else "changed"
    except InvalidFileError:
        return "changed"  # into something that nobody can read


def _digests(workspace: Workspace) -> dict[str, str]:
    """What may run, by subject: an edited spec must not silence the notices of a crash."""
    notify = digest_of_notify(workspace.root, notify_config(workspace.root / "exp.toml"))
    return {_COMMANDS: _commands(workspace)} | ({SUBJECT: notify} if notify is not None else {})


def _commands(workspace: Workspace) -> str:
    return trust.digest_of([*_specs(workspace), *_lines(workspace)])


def _specs(workspace: Workspace) -> Iterator[tuple[str, bytes]]:
    for path in workspace.experiments.rglob("*.toml"):
        if path.is_file():
            yield str(path.relative_to(workspace.root)), path.read_bytes()


def _lines(workspace: Workspace) -> Iterator[tuple[str, bytes]]:
    """Criteria that may name a command: more than do, so that none is missed.

    Ticks and notes are left out: what a run writes into its ticket must not end the trust.
    """
    for ticket in tickets.load_all(workspace.tickets):
        for box in ticket.checkboxes:
            claim = tickets.split_note(box.text)[0]
            if "`" in claim or "command" in claim.casefold():
                key = f"{ticket.path}\0{box.key}"
                yield key, claim.encode("utf-8", "surrogateescape")
