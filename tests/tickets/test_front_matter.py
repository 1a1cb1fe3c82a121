"""YAML front matter: values are read and replaced where they stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InvalidFileError
from orchestrator.tickets import parse


def front(*lines: str) -> str:
    return "\n".join(["---", *lines, "---", "", "words", ""])


def document(*lines: str):
    return parse(front(*lines).encode(), "tickets/T-0001.md")


@pytest.mark.parametrize(
    ("lines", "key", "value"),
    [
        (["status: To Do"], "status", "To Do"),
        (["status: 'it''s' # why"], "status", "it's"),
        (['status: "a \\"b\\" # c"'], "status", 'a "b" # c'),
        (["status: a#b # c"], "status", "a#b"),
        (["status:"], "status", ""),
        (["status: # later"], "status", ""),
        (["x: [a, 'b, c', \"d\"] # e"], "x", "a, b, c, d"),
        (["x: []"], "x", ""),
        (["x:", "- a", "- 'b'"], "x", "a, b"),
        (["x:", "  # why", "  - a # because", "", "  - b"], "x", "a, b"),
        (["x: |", "  status: no", "status: yes!"], "status", "yes!"),
        (["x:", "  status: deep", "status: top"], "status", "top"),
        (["x: http://a:1/b"], "x", "http://a:1/b"),
    ],
)
def test_values(lines, key, value):
    """Scalars and lists are read in the forms that people write."""
    assert document(*lines).value(key) == value


@pytest.mark.parametrize(
    ("lines", "name", "value", "edited"),
    [
        (["status: To Do # why"], "Status", "Done", ["status: Done # why"]),
        (["status: 'To Do'"], "Status", "it's", ["status: 'it''s'"]),
        (['status: "To Do"'], "Status", 'a "b"', ['status: "a \\"b\\""']),
        (["status: x"], "Status", "a: b", ['status: "a: b"']),
        (["status: x"], "Status", "no", ['status: "no"']),
        (["status: x"], "Status", "12", ['status: "12"']),
        (["status:"], "Status", "DONE", ["status: DONE"]),
        (["status: x"], "Status", "—", ['status: ""']),
        (
            ["dependencies: [T-1] # two"],
            "After",
            "T-0002, T-0003",
            ["dependencies: [T-0002, T-0003] # two"],
        ),
        (
            ["dependencies:", "  - T-1", "  - T-2", "x: y"],
            "After",
            "T-0003",
            ["dependencies: [T-0003]", "x: y"],
        ),
        (["dependencies: []"], "After", "—", ["dependencies: []"]),
        (["title: x"], "Status", "DONE", ["title: x", "status: DONE"]),
    ],
)
def test_edits(lines, name, value, edited):
    """A new value takes the place and the quotes of the old one, a list stays a list."""
    assert document(*lines).set_field(name, value).text == front(*edited)


@pytest.mark.parametrize(
    "lines",
    [
        ["status: |", "  a", "  b"],
        ["status: {a: b}"],
        ["status: [a,", "  b]"],
        ["status:", "  a: b"],
        ["status:", "  - a", "  # a person's remark", "  - b"],
        ["status: &anchor x"],
        ["status: [[a], b]"],
    ],
)
def test_rich_values_are_refused(lines):
    """A value that an edit would damage is left to the person."""
    with pytest.raises(InvalidFileError, match="status"):
        document(*lines).set_field("status", "DONE")


@pytest.mark.parametrize(
    "text", ["---\nstatus: x\n", "--\nstatus: x\n---\n", "\n---\nstatus: x\n---\n"]
)
def test_no_front_matter(text):
    """A rule without its partner, or below the first line, begins no front matter."""
    assert parse(text.encode(), "tickets/T-0001.md").layout.front_end is None


def test_front_matter_and_header_together():
    """Where both stand, the front matter comes first, and a new field goes to the header."""
    text = "---\nstatus: Done\n---\n# T-0001: x\n**Status**: READY\n**Phase**: —\n"
    both = parse(text.encode(), "tickets/T-0001.md")
    assert both.ticket.status == "DONE"
    assert both.set_field("Status", "FAILED").text == text.replace("Done", "FAILED")
    assert both.set_field("Owner", "Mia").text == text + "**Owner**: Mia\n"


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=30))
def test_any_value_reads_back(value):
    """Whatever is written as a scalar is read again as the same text."""
    after = document("status: x").set_field("owner", value)
    wanted = value.strip(" \t")
    assert after.value("owner") in (wanted, "")
    assert after.value("status") == "x"
