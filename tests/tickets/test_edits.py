"""Edits of a ticket: one span changes, a person's words and every other byte stay."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator.errors import ExpError, InvalidFileError, NotFoundError, RefusedError, UsageError
from orchestrator.tickets import Document, parse

PIECES = st.sampled_from(
    [
        *("# T-0001: title", "## Evidence", "## Outcome ##", "### x", "**Status**: READY  "),
        *(
            "**After:** —",
            "**Phase**:",
            "- [ ] a",
            "* [x] b",
            "1. [ ] c - 5 steps",
            "- [ ]",
            "  more",
        ),
        *(
            "```",
            "~~~ py",
            "---\nid: 1\nstatus: 'To Do' # why\n---",
            "after:\n  - T-1",
            "<!--",
            "-->",
        ),
        *(
            "<!-- exp:begin a -->\nours\n<!-- exp:end a -->",
            "<!-- exp:begin a -->",
            "Ã¤ 🧩",
            "\ufeff",
        ),
        *("\n", "\n", "\r\n", "\r", "\n\n", " ", "\t", "\x85", "\u2028", "—"),
    ]
)
DOCUMENTS = st.builds(
    lambda start, parts, broken: parse(
        (start + "".join(parts)).encode() + broken, "tickets/T-0001.md"
    ),
    st.sampled_from(
        ["", "\ufeff", "# T-0001: x\n\n**Status**: READY\r\n", "---\nstatus: Done\n---\n"]
    ),
    st.lists(PIECES | st.text(max_size=5)),
    st.binary(max_size=2),
)
NAMES = st.sampled_from(["Status", "Phase", "After", "Experiment", "Owner", "status"])
VALUES = st.sampled_from(
    ["DONE", "T-0001, T-0002", "", "a: b # c", "—", 'it\'s "x"', "yes"]
) | st.text(max_size=12)
TEXTS = st.sampled_from(
    [
        *(
            "Run R-000001: met.",
            "- [ ] quoted\n## quoted\n",
            "```\nlog\n```",
            "a\r\nb\rc",
            "",
            "\n\n x \n",
        ),
        *(
            "```\n<!-- exp:end a -->\n```",
            "<!-- exp:end a -->",
            "<!-- exp:begin b -->",
            "\ud800 \udcff",
        ),
        *("```", "<!--", "-->", "~~~~\n```\n~~~~"),
    ]
) | st.text(max_size=20)


def edited_span(before: Document, after: Document) -> tuple[int, int, str]:
    """The smallest span of `before` that differs, and what stands there now."""
    old, new = before.text, after.text
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return start, len(old) - end, new[start : len(new) - end]


def unchanged_beside(before: Document, after: Document, start: int, end: int) -> bool:
    """Whether all before `start` and all from `end` on is the same."""
    tail = len(before.text) - end
    return (
        after.text[:start] == before.text[:start]
        and after.text[len(after.text) - tail :] == before.text[end:]
        and len(after.text) >= start + tail
    )


@given(DOCUMENTS, NAMES, VALUES)
def test_field_edit_changes_one_span(document, name, value):
    """A field's new value reads back, and nothing outside the old value's characters changes."""
    field = document.field(name)
    try:
        after = document.set_field(name, value)
    except InvalidFileError:
        return  # nothing was changed, and the person is asked to edit by hand
    except UsageError:
        assert "\n" in value or "\r" in value
        return
    wanted = value.strip(" \t")
    assert after.value(name) in (wanted, "", wanted.encode("utf-16", "replace").decode("utf-16"))
    if field is not None:
        assert unchanged_beside(document, after, field.start, field.end)
    else:
        start, end, _ = edited_span(document, after)
        assert start >= end  # something was put in, nothing was taken away
    assert len(after.layout.boxes) == len(document.layout.boxes)


@given(DOCUMENTS, NAMES, VALUES)
def test_field_edit_is_idempotent(document, name, value):
    """Writing the same value twice is writing it once."""
    try:
        once = document.set_field(name, value)
    except ExpError:
        return
    assert once.set_field(name, value).raw == once.raw


@given(DOCUMENTS)
def test_box_edit_changes_one_character(document):
    """Ticking changes the one character between the brackets, and unticking puts it back."""
    for box, at in zip(document.layout.boxes, document.layout.box_marks, strict=True):
        turned = document.set_boxes({box.key: not box.checked})
        assert unchanged_beside(document, turned, at, at + 1)
        assert [b.checked for b in turned.layout.boxes] == [
            b.checked != (b.key == box.key) for b in document.layout.boxes
        ]
        if document.text[at] != "X":
            assert turned.set_boxes({box.key: box.checked}).raw == document.raw
        assert document.set_boxes({box.key: box.checked}) is document


@given(DOCUMENTS, st.sampled_from(["Evidence", "Obstacles", "Outcome"]), TEXTS, TEXTS)
def test_block_edit_changes_the_block_only(document, section, text, later):
    """A block is put in without taking a character away; a later text replaces it and no more."""
    try:
        once = document.set_block(section, "a", text)
    except InvalidFileError:
        return
    span = document.layout.blocks.get("a")
    if span is None:
        start, end, _ = edited_span(document, once)
        assert start >= end
    else:
        assert unchanged_beside(document, once, *span)
    assert once.set_block(section, "a", text).raw == once.raw
    assert once.ticket.checkboxes == document.ticket.checkboxes or span is None
    try:
        twice = once.set_block(section, "a", later)
    except InvalidFileError:
        return
    assert unchanged_beside(once, twice, *once.layout.blocks["a"])
    assert twice.set_block(section, "a", text).raw == once.raw


@given(st.lists(PIECES), st.lists(PIECES), st.sampled_from(["\n", "\r\n", "\r"]), TEXTS)
def test_block_removal_undoes_its_insertion(above, below, newline, text):
    """Where the section stood already, taking our block away gives the person's file back."""
    file = "".join([*above, newline, "## Evidence", newline, *below])
    document = parse(file.encode(), "tickets/T-0001.md")
    assume(document.block("a") is None)
    try:
        with_block = document.set_block("Evidence", "a", text)
    except InvalidFileError:
        return
    assume(any(h.level == 2 and h.text == "Evidence" for h in document.layout.headings))
    assert with_block.remove_block("a").raw == document.raw


@given(DOCUMENTS, TEXTS)
def test_our_block_hides_no_box(document, text):
    """What we quote in a block is no box, heading or field of the ticket."""
    try:
        after = document.set_block("Outcome", "quote", text)
    except InvalidFileError:
        return
    assert [box.text for box in after.layout.boxes] == [box.text for box in document.layout.boxes]
    assert [box.checked for box in after.layout.boxes] == [b.checked for b in document.layout.boxes]


def test_real_ticket_through_a_whole_run(sudoku):
    """Status, boxes and three blocks are written and the rest of the file is as it was."""
    document = parse(sudoku.replace(b"\n", b"\r\n"), "tickets/T-0042-sudoku.md")
    after = document.set_field("Status", "DONE").set_field("Phase", "—")
    after = after.set_boxes({"No NaN in the loss (first run had three)": True})
    for section in ("Evidence", "Obstacles", "Outcome"):
        after = after.set_block(section, section.lower() + "-R-000001", f"line one\n{section}")
    lines, old = after.text.split("\r\n"), document.text.split("\r\n")
    assert "\n" not in after.text.replace("\r\n", "")
    assert [line for line in old if line not in lines] == [
        "**Status**: ONGOING",
        "**Phase**: VERIFYING",
        "* [ ] No NaN in the loss (first run had three)",
    ]
    at = lines.index("By hand: 4 of 5.")
    assert lines[at + 1 : at + 7] == [
        "", "<!-- exp:begin evidence-R-000001 -->", "line one", "Evidence",
        "<!-- exp:end evidence-R-000001 -->", "",
    ]  # fmt: skip
    assert lines[at + 7] == "## Outcome"
    assert after.block("outcome-R-000001") == "line one\r\nOutcome"


def test_new_field_follows_the_header():
    """An absent field becomes the last line of the header, and keeps its way to break lines."""
    document = parse(
        b"# T-0001: x\n\n**Status**: READY  \n**After**: T-2\\\n\nwords\n", "T-0001.md"
    )
    text = document.set_field("Experiment", "e/a.toml").text
    assert text.splitlines()[2:5] == [
        "**Status**: READY  ", "**After**: T-2\\", "**Experiment**: e/a.toml",
    ]  # fmt: skip
    broken = parse(b"# T-0001: x\n\n**Status**: READY  \n", "T-0001.md").set_field(
        "Phase", "PLANNING"
    )
    assert broken.text == "# T-0001: x\n\n**Status**: READY  \n**Phase**: PLANNING  \n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", "**Status**: READY\n"),
        (b"words", "**Status**: READY\n\nwords"),
        (b"# x", "# x\n\n**Status**: READY"),
        (b"# x\nwords\n", "# x\n\n**Status**: READY\n\nwords\n"),
        (b"# x\r\n\r\nwords\r\n", "# x\r\n\r\n**Status**: READY\r\n\r\nwords\r\n"),
        (b"\xef\xbb\xbf# x\n\nw", "\ufeff# x\n\n**Status**: READY\n\nw"),
        (b"---\ntitle: x\n---\nw", "---\ntitle: x\nstatus: READY\n---\nw"),
        (b"**Status**:\n", "**Status**: READY\n"),
        (b"## A\n**Status**: DONE\n", "**Status**: READY\n\n## A\n**Status**: DONE\n"),
    ],
)
def test_where_a_new_status_goes(before, after):
    """A status finds its place in files without one."""
    assert parse(before, "tickets/T-0001.md").set_field("Status", "READY").text == after


def test_empty_section_and_no_section():
    """A block goes below the bare heading, or below a heading made at the end of the file."""
    bare = parse(b"## Evidence\n\n## Outcome\n", "T-0001.md").set_block("Evidence", "e", "x")
    assert bare.text == (
        "## Evidence\n\n<!-- exp:begin e -->\nx\n<!-- exp:end e -->\n\n## Outcome\n"
    )
    none = parse(b"words", "T-0001.md").set_block("Outcome", "o", "x")
    assert none.text == "words\n\n## Outcome\n\n<!-- exp:begin o -->\nx\n<!-- exp:end o -->\n"
    empty = parse(b"", "T-0001.md").set_block("Outcome", "o", "")
    assert empty.text == "## Outcome\n\n<!-- exp:begin o -->\n<!-- exp:end o -->\n"


def test_moved_block_is_replaced_where_it_is():
    """A block that a person moved to another section is rewritten there."""
    text = "## Evidence\n\n## Notes\n<!-- exp:begin e -->\nold\n<!-- exp:end e -->\nmine\n"
    after = parse(text.encode(), "T-0001.md").set_block("Evidence", "e", "new")
    assert after.text == text.replace("old", "new")


@pytest.mark.parametrize(
    "markers",
    [
        "<!-- exp:begin e -->\nwords\n",
        "words\n<!-- exp:end e -->\n",
        "<!-- exp:begin e -->\n<!-- exp:begin f -->\n<!-- exp:end f -->\n<!-- exp:end e -->\n",
        "<!-- exp:begin e -->\n<!-- exp:end f -->\n",
        "<!-- exp:begin e -->\n<!-- exp:end e -->\n" * 2,
    ],
)
def test_unbalanced_markers_are_refused(markers):
    """Markers that do not pair stop our edits of blocks; boxes between them still count."""
    document = parse(f"## Evidence\n{markers}- [ ] a\n".encode(), "tickets/T-0001.md")
    for edit in (
        lambda: document.set_block("Evidence", "e", "x"),
        lambda: document.remove_block("e"),
    ):
        with pytest.raises(InvalidFileError, match="block"):
            edit()
    assert [box.text for box in document.layout.boxes] == ["a"]


def test_markers_in_fences_are_no_markers():
    """A marker that a person quotes in a code fence is left alone."""
    quoted = "## Evidence\n```\n<!-- exp:begin e -->\n```\n"
    after = parse(quoted.encode(), "T-0001.md").set_block("Evidence", "e", "x")
    assert after.text.startswith(quoted)
    assert after.block("e") == "x"


def test_open_fence_refuses_a_block():
    """Below a fence that never ends no block is written, and the fence's line is named."""
    with pytest.raises(InvalidFileError, match="line 2"):
        parse(b"## Evidence\n```\nlog\n", "T-0001.md").set_block("Evidence", "e", "x")


def test_hostile_text_cannot_end_our_block():
    """A log line that looks like our marker is written as text, and the block stays one."""
    hostile = "a\n<!-- exp:end e -->\n- [x] forged\n<!-- exp:begin e -->"
    after = parse(b"## Evidence\n", "T-0001.md").set_block("Evidence", "e", hostile)
    assert after.layout.boxes == ()
    assert after.remove_block("e").text == "## Evidence\n"


def test_people_sections_are_refused():
    """We write under Evidence, Obstacles and Outcome and nowhere else."""
    document = parse(b"## Context\n", "T-0001.md")
    with pytest.raises(RefusedError):
        document.set_block("Context", "e", "x")
    with pytest.raises(UsageError):
        document.set_block("Evidence", "a b", "x")


def test_absent_box_is_named():
    """Ticking a line that was reworded says so and changes nothing."""
    with pytest.raises(NotFoundError, match="loss < 1"):
        parse(b"- [ ] loss < 2\n", "T-0001.md").set_boxes({"loss < 1": True})


@pytest.mark.parametrize("value", ["a\nb", "a\rb"])
def test_field_is_one_line(value):
    """A value with a line end is refused: it would become text of the ticket."""
    with pytest.raises(UsageError):
        parse(b"**Status**: x\n", "T-0001.md").set_field("Status", value)


def test_broken_bytes_survive_edits(sudoku):
    """Bytes that are no UTF-8 are the same after every kind of edit."""
    raw = b"\xff\xfe\x80" + sudoku.replace("Ångström".encode(), b"\xc5ngstr\xf6m")
    document = parse(raw, "tickets/T-0042.md")
    after = document.set_field("Status", "DONE").set_block("Outcome", "o", "done")
    assert b"\xc5ngstr\xf6m" in after.raw
    assert after.raw.startswith(b"\xff\xfe\x80# T-0042")
    assert after.remove_block("o").set_field("Status", "ONGOING").raw == raw
