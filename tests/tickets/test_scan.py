"""The pass over a ticket's lines: fences, comments and markers, checked against Markdown itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt  # comes with Rich

from orchestrator.tickets import parse
from orchestrator.tickets.scan import pair_blocks, scan, split_lines

LINES = st.lists(
    st.sampled_from(
        [
            *(
                "# a",
                "## b ##",
                "### c #d",
                "   # e",
                "#f",
                "####### g",
                "#",
                "words",
                "",
                "  words",
            ),
            *("```", "````", "``` py", "~~~", "~~~~", "~~~ `x`", "``` `x`", " ```  ", "``"),
            *("<!-- a", "b -->", "<!-- c -->", "> # quoted", "> ```"),
        ]
    ),
    max_size=14,
)


def marks(text: str) -> list[tuple[str, int]]:
    return [(mark.kind, mark.line) for mark in scan(split_lines(text)).marks]


@given(LINES)
def test_headings_are_markdowns(lines):
    """Headings are those that a Markdown parser finds: none in fences, comments or quotes."""
    text = "\n".join(lines)
    tokens = MarkdownIt("commonmark").parse(text)
    wanted = [
        (int(token.tag[1:]), token.map[0] + 1, tokens[index + 1].content)
        for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0 and token.markup.startswith("#")
    ]
    found = [(h.level, h.line, h.text) for h in parse(text.encode(), "T-0001.md").layout.headings]
    assert found == wanted


@given(LINES)
def test_open_fences_are_markdowns(lines):
    """A fence or comment is unclosed exactly if a heading appended to the file is swallowed."""
    text = "\n".join(lines)
    last = parse((text + "\n\n# last").encode(), "T-0001.md").layout.headings[-1:]
    seen = bool(last) and last[0].text == "last" and last[0].line == text.count("\n") + 3
    assert seen == (parse(text.encode(), "T-0001.md").layout.unclosed is None)


@given(st.text(alphabet="ab\n\r\x0b\x0c\x1c\x85\u2028\ufeff"))
def test_lines_make_the_text(text):
    """Lines joined are the text, and only CR, LF and CRLF end one."""
    lines = split_lines(text)
    assert "".join(lines) == text
    normal = text.replace("\r\n", "\n").replace("\r", "\n")
    assert [line.rstrip("\r\n") for line in lines] == normal.removesuffix("\n").split("\n")[
        : len(lines)
    ]
    assert len(lines) == normal.count("\n") + (not normal.endswith("\n") and normal != "")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- [ ] a", ["box"]),
        ("\t- [x] a", ["box"]),
        ("12. [X] a", ["box"]),
        ("3) [ ]", ["box"]),
        ("+ [ ] a", ["box"]),
        ("- [] a", []),
        ("- [ ]a", []),
        ("- [y] a", []),
        ("-[ ] a", []),
        ("[ ] a", []),
        ("> - [ ] a", []),
        ("- [link](x)", []),
        ("**Status**: x", ["field"]),
        ("**Status:** x", ["field"]),
        ("** Status**: x", ["field"]),
        ("**Status** x", []),
        ("**a:b**: x", []),
        ("**Status**: x\n## y\n**Phase**: z", ["field", "heading"]),
        ("# x\n**Status**: x\n# y\n**Phase**: z", ["heading", "field", "heading", "field"]),
        ("<!-- exp:begin a -->", ["marker"]),
        ("  <!--exp:end a.b-C-->  ", ["marker"]),
        ("<!-- exp: a > 1 -->", []),
        ("x <!-- exp:begin a -->", []),
        ("```\n- [ ] a\n```\n- [ ] b", ["fence", "box"]),
        ("````\n```\n- [ ] a\n````\n- [ ] b", ["fence", "box"]),
        ("~~~\n```\n- [ ] a\n~~~\n- [ ] b", ["fence", "box"]),
        ("- [ ] a\n  ```\n  - [ ] b\n  ```\n- [ ] c", ["box", "fence", "box"]),
        ("```\n- [ ] a\n``` no\n- [ ] b", ["fence"]),
        ("<!--\n- [ ] a\n--> - [ ] b\n- [ ] c", ["box"]),
        ("\ufeff- [ ] a", ["box"]),
        ("a\n\ufeff- [ ] a", []),
    ],
)
def test_marks(text, found):
    """Each form of a mark is seen, each near miss is not."""
    assert [kind for kind, _ in marks(text)] == found


@pytest.mark.parametrize(
    ("markers", "blocks", "problem"),
    [
        ("Ba Ea Bb Eb", ["a", "b"], None),
        ("", [], None),
        ("Ba", [], "block a begins on line 1 but does not end"),
        ("Ea", [], "block a ends on line 1 but does not begin"),
        ("Ba Eb Ea", ["a"], "block b ends on line 2 but does not begin"),
        ("Ba Bb Eb Ea", ["b"], "block a begins on line 1 but does not end"),
        ("Ba Ea Ba Ea", ["a"], "block a stands a second time on line 3"),
    ],
)
def test_blocks_pair(markers, blocks, problem):
    """Markers pair in order; the first that is wrong is named with its line."""
    edges = {"B": "begin", "E": "end"}
    text = "\n".join(f"<!-- exp:{edges[one[0]]} {one[1]} -->" for one in markers.split())
    paired, wrong = pair_blocks(scan(split_lines(text)).marks)
    assert [block.name for block in paired] == blocks
    assert wrong == problem


def test_quoted_fence_in_our_block():
    """A fence that we quote in a block ends with it: what follows is read as before."""
    text = "<!-- exp:begin a -->\n```\n# log\n```\n<!-- exp:end a -->\n- [ ] b\n"
    layout = parse(text.encode(), "T-0001.md").layout
    assert [box.text for box in layout.boxes] == ["b"]
    assert layout.headings == ()
