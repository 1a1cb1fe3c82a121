"""A ticket file without loss: every byte is kept, and an edit changes one span of it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha1

from orchestrator.domain.ticket import Ticket
from orchestrator.errors import InvalidFileError, NotFoundError, RefusedError, UsageError
from orchestrator.ids import ticket_id
from orchestrator.tickets import words
from orchestrator.tickets.front_matter import write_value
from orchestrator.tickets.layout import Field, Heading, Layout, lay_out
from orchestrator.tickets.scan import split_lines

OUR_SECTIONS = ("Evidence", "Obstacles", "Outcome")

_TITLE = re.compile(
    r"T-(?P<number>\d{1,9})(?!\w)(?:[ \t]*[:.\u2013\u2014-])?[ \t]*(?P<text>.*)",
    re.ASCII | re.IGNORECASE,
)
_FILE = re.compile(r"(?:.*/)?T-(?P<number>\d{4,9})(?:-(?P<slug>[^/]*))?\.md", re.ASCII | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]*)\)")
_FIELD_NAME = re.compile(r"[A-Za-z][\w -]{0,38}", re.ASCII)
_BLOCK_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
_OUR_MARKER = re.compile(r"<!--(?=[ \t]*exp:(?:begin|end)\b)")
# Keys of front matter that mean one of our fields, in the order of preference.
_ALIASES = {
    "after": ("after", "dependencies", "depends_on", "depends-on"),
    "before": ("before", "blocks"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One ticket file. `text` holds all of it; bytes that are no UTF-8 are kept as surrogates.

    `path` is where the file lies in its workspace, as in `tickets/T-0017.md`; it gives the id.
    `blob` is git's hash of the bytes. `broken_line` is the first line that is not UTF-8.
    """

    text: str
    path: str
    blob: str
    layout: Layout
    broken_line: int | None = None

    @property
    def raw(self) -> bytes:
        """The file's bytes, equal to those that were read."""
        return self.text.encode("utf-8", "surrogateescape")

    @property
    def newline(self) -> str:
        """The ending of the first line, which new lines follow."""
        match = re.search(r"\r\n|\n|\r", self.text)
        return match[0] if match else "\n"

    @property
    def ticket(self) -> Ticket:
        """The ticket as the rest of the program knows it.

        A status or phase that is written in another case, or in Backlog.md's words, is named by
        ours; any other text stays as it is. A field that is absent or a dash is empty.
        """
        status, phase = self.value("Status"), self.value("Phase")
        return Ticket(
            id=file_id(self.path) or self.title_id or "",
            title=self._title(),
            path=self.path,
            status=words.known_status(status) or status,
            phase=words.known_phase(phase) or phase,
            after=words.ids_in(self.value("After")),
            before=words.ids_in(self.value("Before")),
            experiment=_path_in(self.value("Experiment")),
            checkboxes=self.layout.boxes,
            blob=self.blob,
        )

    @property
    def title_id(self) -> str | None:
        """The id that the title, or the front matter, states; it should be the file's."""
        title = self.layout.title
        match = title and _TITLE.fullmatch(title.text)
        if match:
            return ticket_id(int(match["number"]))
        return next(iter(words.ids_in(self.value("id"))), None)

    def field(self, name: str) -> Field | None:
        """The first field of this name, in any case; After and Before know their YAML names."""
        wanted = name.casefold()
        for key in _ALIASES.get(wanted, (wanted,)):
            for field in self.layout.fields:
                if field.name.casefold() == key:
                    return field
        return None

    def value(self, name: str) -> str:
        """The text of a field; empty if it is absent or holds a dash."""
        field = self.field(name)
        return "" if field is None or words.is_empty(field.value) else field.value

    def set_field(self, name: str, value: str) -> "Document":
        """Write a field's value; an absent field gets a line after the last one of the header.

        An empty value is written as an em dash, in front matter as an empty list or text.

        Raises:
            UsageError: the name or the value cannot stand on one line.
            InvalidFileError: the value there is YAML that is only kept, not understood.
        """
        value = value.strip(" \t")
        if not _FIELD_NAME.fullmatch(name) or re.search(r"[\r\n]", value):
            raise UsageError(f"{name!r}: {value!r} is no ticket field", hint="write it on one line")
        plain = "" if words.is_empty(value) else _encodable(value)
        field = self.field(name)
        if field is None:
            edited = self._add_field(name, plain)
        elif field.style == "header":
            edited = self._replace_value(field, plain or words.DASH)
        else:
            written = self.text[field.start : field.end]
            edited = self._replace_value(field, write_value(plain, written, field.style))
        if (field and field.style == "other") or edited.value(name) != plain:
            raise InvalidFileError(
                f"{self.path}: field {name} cannot be edited here without harm",
                hint=f"edit {name} in {self.path} by hand",
            )
        return edited

    def set_boxes(self, wanted: Mapping[str, bool]) -> "Document":
        """Tick (True) or untick (False) boxes by their keys; what is so already stays as it is.

        Raises:
            NotFoundError: no box has such a key, for instance because its line was reworded.
        """
        missing = wanted.keys() - {box.key for box in self.layout.boxes}
        if missing:
            raise NotFoundError(
                f"{self.path} has no box {min(missing)!r}", hint=f"open {self.path}"
            )
        text = list(self.text)
        for box, at in zip(self.layout.boxes, self.layout.box_marks, strict=True):
            if box.checked != wanted.get(box.key, box.checked):
                text[at] = "x" if wanted[box.key] else " "
        edited = "".join(text)
        return self if edited == self.text else self._reparsed(edited)

    def set_predicates(self, wanted: Mapping[str, str]) -> "Document":
        """Write explicit predicates at the end of the lines of boxes, by the keys of these.

        Raises:
            NotFoundError: no box has such a key.
            InvalidFileError: the comment would change which line is which, or hide something.
        """
        missing = wanted.keys() - {box.key for box in self.layout.boxes}
        if missing:
            raise NotFoundError(
                f"{self.path} has no box {min(missing)!r}", hint=f"open {self.path}"
            )
        pieces, done = [], 0
        for box, at in zip(self.layout.boxes, self.layout.box_marks, strict=True):
            if box.key in wanted:
                line = self.text[at : _line_end(self.text, at)]
                end = at + len(line.rstrip(" \t"))
                pieces += [self.text[done:end], f" <!-- exp: {wanted[box.key]} -->"]
                done = end
        edited = self._reparsed("".join([*pieces, self.text[done:]]))
        keys, now = [[box.key for box in one.layout.boxes] for one in (self, edited)]
        if keys != now:
            raise InvalidFileError(
                f"{self.path}: a predicate cannot be written here without harm",
                hint=f"write it by hand, and tell lines that say the same apart in {self.path}",
            )
        return edited

    def block(self, name: str) -> str | None:
        """The text between our markers of this name, without the line ends around it."""
        if name not in self.layout.blocks:
            return None
        start, end = self.layout.blocks[name]
        return _without_last_line_end("".join(split_lines(self.text[start:end])[1:-1]))

    def words_of_people(self) -> Iterator[tuple[int, str]]:
        """Every line outside of our blocks with its number, counted from 1."""
        spans, at = tuple(self.layout.blocks.values()), 0
        for number, line in enumerate(split_lines(self.text), 1):
            if not any(start <= at < end for start, end in spans):
                yield number, line
            at += len(line)

    def set_block(self, section: str, name: str, text: str) -> "Document":
        """Write our text between our markers: where they stand, else at the end of the section.

        A section that is absent is made at the end of the file. The text takes the file's own
        line ends and loses blank lines at its end.

        Raises:
            InvalidFileError: the markers do not balance, or an open fence hides the place.
            RefusedError: the section is not one of those that we may write in.
            UsageError: the name is not made of letters, digits, dots and dashes.
        """
        if section not in OUR_SECTIONS:
            raise RefusedError(f"{section} is for people to write", hint="use section Evidence")
        if not _BLOCK_NAME.fullmatch(name):
            raise UsageError(f"{name!r} is no name of a block", hint="write it like evidence")
        self._check_markers()
        inner = _harmless(text, self.newline)
        begin, end = f"<!-- exp:begin {name} -->", f"<!-- exp:end {name} -->"
        marked = self.newline.join([begin, inner, end] if inner else [begin, end])
        if name in self.layout.blocks:
            edited = self._splice(*self.layout.blocks[name], marked)
        else:
            edited = self._append(section, marked)
        if edited.layout.block_problem or edited.block(name) != inner:
            where = f"on line {self.layout.unclosed}" if self.layout.unclosed else "in its text"
            raise InvalidFileError(
                f"{self.path}: block {name} would be lost, a fence or comment {where} is open",
                hint=f"close it in {self.path} and repeat the command",
            )
        return edited

    def remove_block(self, name: str) -> "Document":
        """Take our block away with the blank line that was put before it; absent is no error.

        Raises:
            InvalidFileError: the markers do not balance.
        """
        self._check_markers()
        if name not in self.layout.blocks:
            return self
        start, end = self.layout.blocks[name]
        before = _without_last_line_end(_without_last_line_end(self.text[:start]))
        return self._splice(len(before), end, "")

    def _title(self) -> str:
        heading, name = self.layout.title, _FILE.fullmatch(self.path)
        if heading is not None:
            match = _TITLE.fullmatch(heading.text)
            title = match["text"] if match else heading.text
        else:
            title = self.value("title")
        slug = (name["slug"] or "").replace("-", " ").strip() if name else ""
        return title or slug or (name and ticket_id(int(name["number"]))) or self.path

    def _replace_value(self, field: Field, new: str) -> "Document":
        gap = "" if self.text[field.start - 1] in " \t" or not new else " "
        return self._splice(field.start, field.end, gap + new)

    def _add_field(self, name: str, value: str) -> "Document":
        """Put a new field after the last of the header, or where a header would begin."""
        newline, layout = self.newline, self.layout
        line = f"**{name}**: {value or words.DASH}"
        header = [field for field in layout.fields if field.style == "header"]
        if header:
            end = _line_end(self.text, header[-1].end)
            # Two spaces at a line's end are a line break in Markdown: the new line breaks as well.
            return self._splice(end, end, newline + line + self.text[header[-1].end : end])
        if layout.front_end is not None:
            entry = f"{name.casefold()}: {write_value(value, '', 'scalar')}{newline}"
            return self._splice(layout.front_end, layout.front_end, entry)
        if layout.title is not None:
            end = layout.title.end
            return self._splice(end, end, newline * 2 + line + self._gap_before(end, newline))
        start = 1 if self.text.startswith("\ufeff") else 0
        return self._splice(start, start, line + newline * (2 if self.text[start:] else 1))

    def _gap_before(self, end: int, newline: str) -> str:
        """A blank line, if the line that follows the one ending at `end` is not blank itself."""
        following = split_lines(self.text[end:])[1:2]
        return newline if following and following[0].strip() else ""

    def _append(self, section: str, marked: str) -> "Document":
        """Put our block behind the last words of the section, or of the file."""
        newline = self.newline
        end, heading = len(self.text), ""
        found = self._section(section)
        if found is None:
            heading = f"## {section}{newline * 2}"
        else:
            end = next((h.start for h in self.layout.headings if _ends(found, h)), end)
        at = _line_end(self.text, len(self.text[:end].rstrip()))
        lead = newline * 2 if self.text[:at].removeprefix("\ufeff") else ""
        tail = "" if self.text[at:] or not heading else newline
        return self._splice(at, at, lead + heading + marked + tail)

    def _section(self, name: str) -> Heading | None:
        for heading in self.layout.headings:
            if heading.level == 2 and heading.text.casefold() == name.casefold():
                return heading
        return None

    def _check_markers(self) -> None:
        if self.layout.block_problem is not None:
            raise InvalidFileError(
                f"{self.path}: {self.layout.block_problem}",
                hint=f"mend the <!-- exp:… --> lines in {self.path} and repeat the command",
            )

    def _splice(self, start: int, end: int, new: str) -> "Document":
        return self._reparsed(self.text[:start] + new + self.text[end:])

    def _reparsed(self, text: str) -> "Document":
        return parse(text.encode("utf-8", "surrogateescape"), self.path)


def parse(raw: bytes, path: str) -> Document:
    """Read a ticket's bytes; every sequence of bytes is a document, and gives itself back."""
    broken_line = None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        text = raw.decode("utf-8", "surrogateescape")
        broken_line = raw.count(b"\n", 0, error.start) + 1
    return Document(
        text=text, path=path, blob=git_blob(raw), layout=lay_out(text), broken_line=broken_line
    )


def git_blob(raw: bytes) -> str:
    """The name that git gives to a file of these bytes, 40 hexadecimal digits."""
    return sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest()


def file_id(path: str) -> str | None:
    """The ticket id in a file's name, or None if it is not the name of a ticket file."""
    match = _FILE.fullmatch(path)
    return ticket_id(int(match["number"])) if match else None


def _ends(section: Heading, heading: Heading) -> bool:
    return heading.start > section.start and heading.level <= section.level


def _line_end(text: str, position: int) -> int:
    """Where the line around `position` ends, before its ending."""
    match = re.compile(r"[\r\n]").search(text, position)
    return match.start() if match else len(text)


def _without_last_line_end(text: str) -> str:
    return text.removesuffix("\r\n") if text.endswith("\r\n") else re.sub(r"[\r\n]\Z", "", text)


def _encodable(text: str) -> str:
    """Text that is UTF-8: what came from broken bytes becomes the replacement character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _harmless(text: str, newline: str) -> str:
    """Our text with the file's line ends, and nothing in it that looks like a marker of ours."""
    plain = _OUR_MARKER.sub("&lt;!--", _encodable(text))
    return newline.join(re.split(r"\r\n|\n|\r", plain)).rstrip(" \t\r\n")


def _path_in(value: str) -> str | None:
    """The path that a field names: as it is, in backticks, or as a link's target."""
    link = _LINK.search(value)
    return (link[1] if link else value.strip("`")) or None
