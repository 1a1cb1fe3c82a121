"""Remarks: what a person said stands in the ticket, for people to read, and is read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import tickets
from orchestrator.domain.remark import Remark, RemarkKind

TEXT = "# T-0001: Learn\n\n## Acceptance Criteria\n- [ ] loss < 2\n\n## Evidence\n\nMine.\n"
CAUSE = Remark(
    kind=RemarkKind.CAUSE,
    by="Ada <a@b.c>",
    time=1.7e9,
    text="The batch of 512 was too much.\n\n    torch.cuda.OutOfMemoryError",
    run="R-000002",
)
NOTE = Remark(kind=RemarkKind.NOTE, by="Bob, of X <b@b.c>", time=1.8e9, text="- [ ] and this?")
WRITTEN = """
Mine.

<!-- exp:begin remarks -->
Remarks of people, the newest last:

- **cause** by Ada <a@b.c>, 2023-11-14 22:13:20 UTC, on R-000002:
  > The batch of 512 was too much.
  >
  >     torch.cuda.OutOfMemoryError
- **note** by Bob, of X <b@b.c>, 2027-01-15 08:00:00 UTC:
  > - [ ] and this?
<!-- exp:end remarks -->
"""


def document(text=TEXT):
    return tickets.parse(text.encode("utf-8", "surrogatepass"), "tickets/T-0001.md")


def with_remarks(*remarks, text=TEXT):
    made = document(text)
    for remark in remarks:
        made = tickets.add_remark(made, remark)
    return made


def test_a_remark_reads_as_markdown():
    """The list is one of quotations, and no box in it is the ticket's."""
    made = with_remarks(CAUSE, NOTE)
    assert made.text.endswith(WRITTEN)
    assert [box.text for box in made.ticket.checkboxes] == ["loss < 2"]


PIECES = [
    "<!--",
    "-->",
    "exp:end remarks",
    "&lt;!--",
    "&amp;",
    "lt;!--",
    "\n",
    "\r\n",
    "```",
    "~~~",
]
PIECES += [
    "# x",
    "- [ ] y",
    "- **note** by ",
    "  > ",
    ">",
    " ",
    "é",
    "\t",
    "\udcff",
    "\x1b[31m",
    "**",
]
WORDS = st.lists(st.sampled_from(PIECES)).map("".join)


@given(texts=st.lists(WORDS.filter(tickets.remark_text), min_size=1, max_size=3), by=WORDS)
def test_what_was_written_is_read_back(texts, by):
    """Remarks of any text come back as the ticket can hold them, and nothing else changes."""
    name = " ".join(tickets.remark_text(by).split())
    said = [
        Remark(kind=RemarkKind.RISK, by=name, time=1.7e9, text=tickets.remark_text(text))
        for text in texts
    ]
    made = with_remarks(*said)
    assert list(tickets.remarks_of(made)) == said
    assert tickets.unread_remarks(made) == ()
    assert made.ticket.checkboxes == document().ticket.checkboxes
    assert "".join(text for _, text in made.words_of_people()).startswith(TEXT.rstrip("\n"))


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_other_line_ends_are_read_as_well(newline):
    """A ticket with CRLF or CR holds the same remarks, in its own line ends."""
    made = with_remarks(CAUSE, NOTE, text=TEXT.replace("\n", newline))
    assert tickets.remarks_of(made) == (CAUSE, NOTE)
    assert "\n" not in made.text.replace("\r\n", "")


@pytest.mark.parametrize(
    ("old", "new", "kept", "left"),
    [
        ("**cause**", "**blame**", 1, 4),
        ("2023-11-14", "2023-02-31", 1, 4),
        ("2023-11-14", "lately", 1, 4),
        ("- **cause**", "A word of mine.\n\n- **cause**", 2, 1),
        ("too much.", "too little.", 2, 0),
    ],
)
def test_what_a_person_edits_is_kept_and_named(old, new, kept, left):
    """Lines of the block that are no remark stay when one is added, and lint names them."""
    edited = document(with_remarks(CAUSE, NOTE).text.replace(old, new))
    assert len(tickets.remarks_of(edited)) == kept
    assert len(tickets.unread_remarks(edited)) == left
    more = tickets.add_remark(edited, NOTE)
    assert edited.block("remarks") in more.block("remarks")
    assert tickets.remarks_of(more)[-1] == NOTE
    rules = [found.rule for found in tickets.lint([more], tickets.Knowledge())]
    assert rules.count("unreadable-remark") == left


def test_reviews_and_remarks_have_their_own_lists(tmp_path):
    """A file is read for its remarks alone; one without any, or none at all, has none."""
    path = tmp_path / "T-0001.md"
    assert tickets.remarks_at(path) == ()
    path.write_bytes(document().raw)
    assert tickets.remarks_at(path) == ()
    path.write_bytes(with_remarks(NOTE).raw)
    assert tickets.remarks_at(path) == (NOTE,)
    assert tickets.reviews_at(path) == ()
