"""Where templates are found, and the sandbox that renders them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment


def shipped_templates() -> Path:
    """Folder of the templates that come with the tool.

    A wheel carries them inside the package; a checkout keeps them beside it.
    """
    package = Path(__file__).resolve().parent
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent / "templates"


def template_folders(workspace_templates: Path | None) -> list[Path]:
    """Folders to look in, in order: the workspace's own templates win over the shipped ones."""
    shipped = shipped_templates()
    if workspace_templates is None or workspace_templates.resolve() == shipped:
        return [shipped]
    return [workspace_templates, shipped]


def sandbox(workspace_templates: Path | None) -> SandboxedEnvironment:
    """Environment that renders Markdown and text: nothing is escaped, a missing name is an error.

    A template is data: the sandbox keeps it from reaching Python's internals. Raises what Jinja2
    raises (`TemplateError`), the caller knows which file to name.
    """
    from jinja2 import FileSystemLoader, StrictUndefined  # noqa: PLC0415 - slow, and rarely needed
    from jinja2.sandbox import SandboxedEnvironment  # noqa: PLC0415 - slow, and rarely needed

    return SandboxedEnvironment(
        loader=FileSystemLoader(template_folders(workspace_templates)),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
