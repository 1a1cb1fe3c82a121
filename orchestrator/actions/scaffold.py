"""`exp init`: what a new workspace begins with; nothing that exists is touched."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator import tickets
from orchestrator.errors import EnvironmentFailure
from orchestrator.templates import shipped_templates
from orchestrator.workspace import Workspace

_EXAMPLE_TICKET = Path("tickets/T-0001.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold:
    """Files made, and files that were there already and were kept; relative to the root."""

    root: Path
    made: tuple[Path, ...]
    kept: tuple[Path, ...]


def init_workspace(root: Path) -> Scaffold:
    """Create tickets/, experiments/, exp.toml and .exp/ in `root` with an example that runs.

    A workspace that has tickets already gets no example ticket.

    Raises:
        EnvironmentFailure: the folder cannot be written.
    """
    workspace = Workspace(root.absolute())
    made, kept = [], []
    has_tickets = bool(tickets.ticket_files(workspace.tickets))
    try:
        for relative, content in _scaffold_files():
            if relative == _EXAMPLE_TICKET and has_tickets:
                continue
            target = workspace.root / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with target.open("xb") as file:
                    file.write(content)
            except FileExistsError:
                kept.append(relative)
            else:
                made.append(relative)
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot write {error.filename}: {error.strerror}", hint=f"ls -ld {workspace.root}"
        ) from error
    workspace.prepare_state()
    return Scaffold(root=workspace.root, made=tuple(made), kept=tuple(kept))


def _scaffold_files() -> list[tuple[Path, bytes]]:
    shipped = shipped_templates() / "scaffold"
    return [
        (path.relative_to(shipped), path.read_bytes())
        for path in sorted(shipped.rglob("*"))
        if path.is_file()
    ]
