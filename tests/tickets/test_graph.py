"""The order of tickets: queue, inverse edges, circles and pictures of them."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.ticket import Ticket
from orchestrator.ids import ticket_id
from orchestrator.tickets import cycles, freed_by, inverse, mermaid, ready, tree, unblocks

STATUSES = ["READY", "BLOCKED", "DONE", "ONGOING", "FAILED", "IDEA", "Paused", ""]


def ticket(number: int, status: str = "READY", *after: int, title: str = "x") -> Ticket:
    return Ticket(
        id=ticket_id(number), title=title, path=f"tickets/{ticket_id(number)}.md", status=status,
        phase="", after=tuple(map(ticket_id, after)), before=(), experiment=None, checkboxes=(),
        blob="",
    )  # fmt: skip


TICKETS = st.lists(
    st.builds(
        lambda number, status, after: ticket(number, status, *after),
        st.integers(1, 12),
        st.sampled_from(STATUSES),
        st.lists(st.integers(1, 14), max_size=3),
    ),
    max_size=12,
    unique_by=lambda one: one.id,
)


def test_ready_queue():
    """Ready are READY tickets whose dependencies are all DONE, ordered by number."""
    tickets = [
        ticket(10000, "READY"), ticket(20, "READY", 1), ticket(3, "READY", 1, 2), ticket(1, "DONE"),
        ticket(2, "ONGOING"), ticket(4, "BLOCKED", 1), ticket(5, "READY", 99),
    ]  # fmt: skip
    assert [one.id for one in ready(tickets)] == ["T-0020", "T-10000"]


def test_freed_by_the_last_dependency():
    """A ticket is freed by the last of those it waits for, and only if it is BLOCKED."""
    tickets = [
        ticket(1, "ONGOING"), ticket(2, "DONE"), ticket(3, "BLOCKED", 1, 2),
        ticket(4, "BLOCKED", 1, 5), ticket(5, "READY"), ticket(6, "IDEA", 1),
        ticket(7, "DONE", 1), ticket(8, "BLOCKED", 1),
    ]  # fmt: skip
    assert [one.id for one in freed_by(tickets, "T-0001")] == ["T-0003", "T-0008"]
    assert unblocks(tickets, "T-0001") == ("T-0003", "T-0006", "T-0008")
    assert freed_by(tickets, "T-0002") == []


@given(TICKETS)
def test_freed_tickets_are_ready_afterwards(tickets):
    """What a DONE ticket frees is in the ready queue once both statuses are written."""
    for one in tickets:
        freed = {found.id for found in freed_by(tickets, one.id)}
        after = [
            ticket(
                int(t.id[2:]),
                "DONE" if t.id == one.id else "READY" if t.id in freed else t.status,
                *(int(a[2:]) for a in t.after),
            )
            for t in tickets
        ]
        assert freed - {one.id} <= {found.id for found in ready(after)}


@given(TICKETS)
def test_inverse_of_the_inverse(tickets):
    """Each edge of After appears once in the inverse, and no other does."""
    edges = {(one.id, before) for one in tickets for before in one.after}
    turned = [(one, before) for before, ids in inverse(tickets).items() for one in ids]
    assert set(turned) == edges


@given(TICKETS)
def test_circles_are_found_exactly(tickets):
    """Each path is a closed walk of After from its smallest id; without one an order exists."""
    after = {one.id: set(one.after) for one in tickets}
    paths = cycles(tickets)
    for path in paths:
        assert path[0] == path[-1] == min(path)
        assert len(set(path)) == len(path) - 1
        assert all(b in after[a] for a, b in pairwise(path))
    on_a_path = {one for path in paths for one in path}
    for start in after:
        reached, front = set(), {start}
        while front:
            front = {n for one in front for n in after.get(one, ()) if n in after} - reached
            reached |= front
        assert (start in reached) == (start in on_a_path)


def test_circle_of_one_and_long_chains():
    """A ticket after itself is a circle of one, and ten thousand in a row need no recursion."""
    assert cycles([ticket(1, "READY", 1)]) == [("T-0001", "T-0001")]
    chain = [ticket(n, "BLOCKED", n - 1) for n in range(2, 3000)]
    assert cycles([ticket(1), *chain]) == []
    (path,) = cycles([ticket(1, "BLOCKED", 2999), *chain])
    assert len(path) == 3000
    assert len(tree([ticket(1), *chain]).splitlines()) == 2999


def test_tree():
    """The tree shows each ticket below what it waits for, expanded once, with what is missing."""
    tickets = [
        ticket(1, "DONE", title="data"), ticket(2, "READY", 1, title="train"),
        ticket(3, "BLOCKED", 1, 2, title="evaluate"), ticket(4, "BLOCKED", 3, 77, title="report"),
        ticket(5, "IDEA", title="other"), ticket(6, "", 7), ticket(7, "READY", 6),
    ]  # fmt: skip
    assert tree(tickets).splitlines() == [
        "T-0001 [DONE] data",
        "├── T-0002 [READY] train",
        "│   └── T-0003 [BLOCKED] evaluate",
        "│       └── T-0004 [BLOCKED] report (after T-0077: missing)",
        "└── T-0003 [BLOCKED] evaluate (see above)",
        "T-0005 [IDEA] other",
        "T-0006 [no status] x",
        "└── T-0007 [READY] x",
        "    └── T-0006 [no status] x (see above)",
    ]


@given(TICKETS)
def test_tree_shows_every_ticket(tickets):
    """Every ticket is expanded once in the tree, circles included."""
    lines = [line for line in tree(tickets).splitlines() if not line.endswith("(see above)")]
    shown = [re.search(r"T-\d+", line)[0] for line in lines]
    assert sorted(shown) == sorted(one.id for one in tickets)


def test_mermaid():
    """The flowchart has a node a ticket, an arrow an edge, a class a status, and missing nodes."""
    text = mermaid([ticket(1, "DONE"), ticket(2, "BLOCKED", 1, 9, title='say "hi"; <b>]')])
    assert text.splitlines() == [
        "flowchart TD",
        '    T0001["T-0001: x"]',
        '    T0002["T-0002: say #34;hi#34;#59; #60;b#62;#93;"]',
        '    T0009["T-0009: missing"]',
        "    T0001 --> T0002",
        "    T0009 --> T0002",
        "    classDef done fill:#d3f9d8,stroke:#2b8a3e",
        "    class T0001 done",
        "    classDef blocked fill:#e9ecef,stroke:#868e96",
        "    class T0002 blocked",
    ]


@given(st.text())
def test_mermaid_label_cannot_break_out(title):
    """No title can end its node or begin a line of its own."""
    lines = mermaid([ticket(1, "", title=title)]).split("\n")
    assert len(lines) == 2
    assert re.fullmatch(r'    T0001\["[^"\[\]{}<>`]*"\]', lines[1], re.DOTALL)
