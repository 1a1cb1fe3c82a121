"""Reading a ticket file: nothing is lost, and people's forms are understood."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.tickets import git_blob, parse

REPOSITORY = Path(__file__).parents[2]
SEEDS = REPOSITORY.parent / "shared" / "seeds"
REAL_FILES = sorted(
    {
        *(Path(__file__).parent / "data").glob("*.md"),
        *REPOSITORY.glob("*.md"),
        *(REPOSITORY / "tickets").glob("*.md"),
        *(REPOSITORY.parent / "shared").rglob("*.md"),
    }
)
PIECES = st.sampled_from(
    [
        *("# T-0001: title", "## Evidence", "### x ##", "#", "**Status**: READY", "**After:** —"),
        *("- [ ] a", "* [x] b", "  1. [X] c", "- [ ]", "- a", "   more", "```", "~~~ py", "````"),
        *("---", "key: value", "list:", "  - T-1", "x: [a, 'b']", "x: |", "...", "<!--", "-->"),
        *("<!-- exp:begin a -->", "<!-- exp:end a -->", "<!-- exp:begin b -->", "\ufeff", "Ã¤ 🧩"),
        *("\n", "\r\n", "\r", "\n\n", " ", "\t", "\x0b", "\x85", "\u2028", "\x00", "—"),
    ]
)
TICKET_LIKE = st.lists(PIECES | st.text(max_size=8)).map("".join)


@given(st.binary())
def test_any_bytes(raw):
    """Any sequence of bytes is a document that gives itself back."""
    document = parse(raw, "tickets/T-0001.md")
    assert document.raw == raw
    assert document.ticket.id == "T-0001"


@given(TICKET_LIKE, st.binary(max_size=3), st.booleans())
def test_any_ticket_like_text(text, broken, bom):
    """Marks in any order, with any line ends, a BOM or broken bytes, come back byte for byte."""
    raw = (b"\xef\xbb\xbf" if bom else b"") + text.encode() + broken + text.encode()
    document = parse(raw, "tickets/T-0001.md")
    assert document.raw == raw
    assert document.ticket.blob == git_blob(raw)


@given(TICKET_LIKE)
def test_places_are_true(text):
    """Every box, field, heading and block stands at the characters where the layout says."""
    layout = parse(text.encode(), "tickets/T-0001.md").layout
    for box, at in zip(layout.boxes, layout.box_marks, strict=True):
        assert text[at - 1] == "["
        assert text[at] in ("xX" if box.checked else " ")
        assert text[at + 1] == "]"
    for field in layout.fields:
        if field.style == "header":
            assert text[field.start : field.end] == field.value
    for heading in layout.headings:
        assert text[heading.start : heading.end].lstrip("\ufeff ").startswith("#" * heading.level)
    for name, (start, end) in layout.blocks.items():
        assert name in text[start:end].partition("-->")[0]
        assert text[start:end].rstrip(" \t").endswith("-->")


@pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.name)
def test_real_files_come_back(path):
    """Every real Markdown file is byte-identical after reading."""
    raw = path.read_bytes()
    assert parse(raw, f"tickets/{path.name}").raw == raw


@pytest.mark.skipif(not (SEEDS / "T-0017.md").exists(), reason="the seeds are not beside us")
def test_seed_is_read_wholly():
    """The real ticket T-0017 gives its header, its nine boxes and their sections."""
    ticket = parse((SEEDS / "T-0017.md").read_bytes(), "tickets/T-0017.md").ticket
    assert (ticket.id, ticket.status, ticket.phase) == ("T-0017", "DONE", "COMPLETED")
    assert ticket.title.startswith("Run 5% validation training")
    assert (ticket.after, ticket.before, ticket.experiment) == ((), (), None)
    assert [box.section for box in ticket.checkboxes].count("Acceptance Criteria") == 6
    assert [box.heading for box in ticket.checkboxes].count("Manual Verification") == 3
    assert all(box.checked for box in ticket.checkboxes)


def test_header(sudoku):
    """Header fields are read in any order, with links, backticks and remarks around values."""
    document = parse(sudoku, "tickets/T-0042-sudoku.md")
    ticket = document.ticket
    assert ticket.id == "T-0042"
    assert ticket.title == "Train the 6\u00d76 Sudoku core to 80 % exact 🧩"
    assert ticket.after == ("T-0040", "T-0041")
    assert ticket.before == ()
    assert ticket.experiment == "experiments/sudoku/core.toml"
    assert document.value("owner") == "Mia Ångström (she asks first)"
    assert document.field("Not a field") is None


def test_boxes(sudoku):
    """Boxes of every list style count, with continued lines; fences and comments hide theirs."""
    boxes = parse(sudoku, "tickets/T-0042.md").ticket.checkboxes
    assert [(box.text[:24], box.checked, box.heading) for box in boxes] == [
        ("Training runs for ~1,500", True, "Acceptance Criteria"),
        ("eval/exact > 80% on 500 ", False, "Acceptance Criteria"),
        ("No NaN in the loss (firs", False, "Acceptance Criteria"),
        ("Checkpoints saved to `ru", True, "Acceptance Criteria"),
        ("the newest one loads", False, "Acceptance Criteria"),
        ("eval/exact > 80% <!-- ex", False, "Acceptance Criteria"),
        ("It/s above 25", False, "Nice to have"),
        ("A person has looked at t", False, "Manual Verification"),
    ]
    assert boxes[1].text == "eval/exact > 80% on 500 held-out puzzles, median of three seeds"
    assert {box.section for box in boxes} == {"Acceptance Criteria", "Verification Plan"}
    lines = sudoku.decode().splitlines()
    assert all(box.text[:10] in lines[box.line - 1] for box in boxes)


def test_line_ends_do_not_matter(sudoku):
    """A file with CRLF or bare CR and a BOM holds the same ticket."""
    plain = parse(sudoku, "tickets/T-0042.md").ticket
    for newline in (b"\r\n", b"\r"):
        raw = b"\xef\xbb\xbf" + sudoku.replace(b"\n", newline)
        ticket = parse(raw, "tickets/T-0042.md").ticket
        assert ticket.checkboxes == plain.checkboxes
        assert (ticket.title, ticket.after, ticket.status) == (
            plain.title, plain.after, plain.status,
        )  # fmt: skip


def test_lazy_lines_belong_to_their_box():
    """A line without indent that goes on with a box's sentence belongs to the box."""
    text = "- [ ] runs 500 steps without\nany NaN\n- plain item\n- [x] b\n\nprose\n"
    boxes = parse(text.encode(), "tickets/T-0001.md").ticket.checkboxes
    assert [box.text for box in boxes] == ["runs 500 steps without any NaN", "b"]


def test_front_matter(backlog):
    """Front matter gives id, title, dependencies and a status in our word, unread keys aside."""
    document = parse(backlog, "tickets/T-0043.md")
    ticket = document.ticket
    assert (ticket.title, ticket.status) == ("Evaluate: all checkpoints", "ONGOING")
    assert ticket.after == ("T-0042", "T-0040")
    assert document.value("priority") == "high"
    assert document.value("ordinal") == "1000"
    assert document.title_id == "T-0043"
    assert [box.text for box in ticket.checkboxes] == ["every checkpoint has a score"]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# T-0001: a: b", "a: b"),
        ("# T-0001 — a", "a"),
        ("# a ##", "a"),
        ("## only a section", "night run"),
        ("# T-0001", "night run"),
        ("# T-0001x y", "T-0001x y"),
        ("```\n# code\n```\n# real", "real"),
    ],
)
def test_title(text, title):
    """The title is the first top heading without the id, else the words of the file's name."""
    assert parse(text.encode(), "tickets/T-0001-night-run.md").ticket.title == title


def test_unknown_words_stay():
    """A status or phase that nobody knows is kept as it is written, a dash is nothing."""
    raw = "# T-0001: x\n**Status**: Paused (ask Mia)\n**Phase**: —\n".encode()
    ticket = parse(raw, "tickets/T-0001.md").ticket
    assert (ticket.status, ticket.phase) == ("Paused (ask Mia)", "")


def test_broken_bytes_are_named():
    """The first line that is not UTF-8 is known, and the rest of the file is read."""
    document = parse(b"# T-0001: x\n**Status**: READY\n\xe4\n- [ ] a\n", "tickets/T-0001.md")
    assert document.broken_line == 3
    assert document.ticket.status == "READY"
    assert len(document.ticket.checkboxes) == 1


def test_hostile_lines_are_read_in_linear_time():
    """Lines of a hundred thousand spaces, brackets or dashes do not stop the reader."""
    evil = " " * 100_000 + "x"
    for start in (
        "**a**:",
        "- [ ] a",
        "# a",
        "a: ",
        "- [ ] " + "(is " * 20_000,
        "- [ ] " + "- " * 9_000,
    ):
        raw = f"---\n{start}{evil}\n---\n{start}{evil}\n".encode()
        assert parse(raw, "tickets/T-0001.md").raw == raw
    raw = b"- [ ] same\n" * 10_000
    assert len({box.key for box in parse(raw, "tickets/T-0001.md").ticket.checkboxes}) == 10_000


def test_blob_is_gits(tmp_path):
    """The blob is the name that git itself gives to the bytes."""
    import subprocess

    raw = "# Ünïcode\r\n".encode()
    (tmp_path / "f").write_bytes(raw)
    told = subprocess.run(
        ["git", "hash-object", "--no-filters", "f"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert git_blob(raw) == told
