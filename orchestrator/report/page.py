"""A page out of a template: filters that make the text of others safe, and whose fault it is."""

import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import InvalidFileError
from orchestrator.report import markdown
from orchestrator.templates import sandbox

if TYPE_CHECKING:
    from jinja2 import TemplateError

# A line end that the clean-up of blank lines leaves alone. No text of others can hold it: control
# characters are taken out of it.
LINE_END = "\x02"


def fill(template: str, variables: Mapping[str, Any], templates: Path | None) -> str:
    """The page, blank lines never more than one in a row; LINE_END stands for kept line ends.

    Raises:
        InvalidFileError: a template of the workspace is wrong; names its file and line.
    """
    text = fill_page(template, variables, templates)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def fill_page(template: str, variables: Mapping[str, Any], templates: Path | None) -> str:
    """What the template says, as it says it.

    Raises:
        InvalidFileError: as `fill`.
    """
    from jinja2 import TemplateError  # noqa: PLC0415 - slow, only when a report is rendered

    environment = sandbox(templates)
    environment.filters.update(FILTERS)
    try:
        return environment.get_template(template).render(**variables)
    except TemplateError as error:
        hint = "see docs/reports.md for the names"
        raise InvalidFileError(_blame(error, template), hint=hint) from error


def _fenced(text: str) -> str:
    # Blank lines of a log are its own: kept out of the clean-up of blank lines.
    return markdown.fenced(text).replace("\n", LINE_END)


def _blame(error: "TemplateError", template: str) -> str:
    """The error with its file and line; errors of rendering have them in their traceback only."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [(frame.filename, frame.lineno) for frame in frames if frame.filename.endswith(".j2")]
    name, line = getattr(error, "filename", None) or template, getattr(error, "lineno", None)
    if line is None and inside:
        name, line = inside[-1]
    where = f"{name}, line {line}" if line else name
    return f"the template {where} cannot be rendered: {error.message or error}"


FILTERS = {
    "literal": markdown.literal,
    "inline": markdown.inline,
    "code": markdown.code,
    "fenced": _fenced,
}
