"""A person's own section of a report: found again, word for word, when the report is rendered."""

import re

from orchestrator.errors import InvalidFileError

OPENING = "<!-- exp:notes -->"
CLOSING = "<!-- /exp:notes -->"
_OPENING_LINE = re.compile(rf"^{re.escape(OPENING)}[ \t]*\r?\n", re.MULTILINE)
_CLOSING_LINE = re.compile(rf"^{re.escape(CLOSING)}[ \t]*\r?$", re.MULTILINE)


def notes_of(report: bytes) -> str:
    """What stands between the two marker lines of an earlier report, verbatim; `""` if nothing.

    The bytes need not be UTF-8; what is not is carried through. Of several opening markers the
    last one counts: the notes are the last section that may hold foreign text.

    Raises:
        InvalidFileError: there is an opening marker and no closing one, so that nobody can say
            where the person's words end.
    """
    text = report.decode(errors="surrogateescape")
    openings = list(_OPENING_LINE.finditer(text))
    if not openings:
        return ""
    begin = openings[-1].end()
    closings = list(_CLOSING_LINE.finditer(text, begin))
    if not closings:
        raise InvalidFileError(
            "the notes of the report have lost their closing line, nothing was rendered",
            hint=f"put the line {CLOSING} where your notes end",
        )
    return text[begin : closings[-1].start()]
