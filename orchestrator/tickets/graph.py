"""Which ticket waits for which: ready queue, inverse edges, cycles, tree and Mermaid.

`After` is the stored edge; everything else is computed from it. Ids that no ticket has are kept in
`After` and count as not DONE. Of several tickets with one id the first counts.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.domain.ticket import Ticket, TicketStatus
from orchestrator.ids import ticket_number

_CLASSES = {
    TicketStatus.DONE: "fill:#d3f9d8,stroke:#2b8a3e",
    TicketStatus.ONGOING: "fill:#d0ebff,stroke:#1864ab",
    TicketStatus.READY: "fill:#fff3bf,stroke:#e67700",
    TicketStatus.BLOCKED: "fill:#e9ecef,stroke:#868e96",
    TicketStatus.FAILED: "fill:#ffe3e3,stroke:#c92a2a",
}


def by_id(tickets: Iterable[Ticket]) -> dict[str, Ticket]:
    """Tickets under their ids, in the order of the ids."""
    found: dict[str, Ticket] = {}
    for ticket in tickets:
        found.setdefault(ticket.id, ticket)
    return dict(sorted(found.items(), key=lambda item: _order(item[0])))


def inverse(tickets: Iterable[Ticket]) -> dict[str, tuple[str, ...]]:
    """What `Before` should say: for each id, the ids of the tickets that come after it."""
    followers: dict[str, list[str]] = {}
    for ticket in by_id(tickets).values():
        for dependency in ticket.after:
            followers.setdefault(dependency, []).append(ticket.id)
    return {one: tuple(ids) for one, ids in followers.items()}


def waits_for(ticket: Ticket, tickets: Mapping[str, Ticket], *, done: str = "") -> tuple[str, ...]:
    """The ids of `After` that are not DONE yet; `done` counts as DONE already."""
    return tuple(
        one
        for one in ticket.after
        if one != done and (one not in tickets or tickets[one].status != TicketStatus.DONE)
    )


def ready(tickets: Iterable[Ticket]) -> list[Ticket]:
    """READY tickets whose `After` are all DONE, ordered by id."""
    known = by_id(tickets)
    return [
        ticket
        for ticket in known.values()
        if ticket.status == TicketStatus.READY and not waits_for(ticket, known)
    ]


def unblocks(tickets: Iterable[Ticket], ticket_id: str) -> tuple[str, ...]:
    """The tickets that wait for this one and for no other, ordered by id."""
    known = by_id(tickets)
    return tuple(
        ticket.id
        for ticket in known.values()
        if ticket.status not in (TicketStatus.DONE, TicketStatus.FAILED)
        and ticket_id in ticket.after
        and not waits_for(ticket, known, done=ticket_id)
    )


def freed_by(tickets: Iterable[Ticket], ticket_id: str) -> list[Ticket]:
    """The BLOCKED tickets that turn READY when this one is DONE, ordered by id."""
    known = by_id(tickets)
    return [
        known[one]
        for one in unblocks(known.values(), ticket_id)
        if known[one].status == TicketStatus.BLOCKED
    ]


def cycles(tickets: Iterable[Ticket]) -> list[tuple[str, ...]]:
    """Circles of `After`, each a closed path from its smallest id: T-0001, T-0002, T-0001.

    A ticket after itself is a circle of one. Every ticket that lies on a circle is on one of the
    paths; of a knot of circles not all are listed.
    """
    known = by_id(tickets)
    edges = {one: [a for a in ticket.after if a in known] for one, ticket in known.items()}
    paths: list[tuple[str, ...]] = []
    covered: set[str] = set()
    for one in _tangled(edges):
        path = _shortest_circle(one, edges) if one not in covered else None
        if path is not None:
            first = path.index(min(path, key=_order))
            paths.append((*path[first:], *path[:first], path[first]))
            covered.update(path)
    return paths


def tree(tickets: Sequence[Ticket]) -> str:
    """A text tree: under each ticket those that come after it; each is expanded once.

    Tickets that wait for nothing known stand at the left; those of a circle begin at its smallest
    id. The end of a line says what is missing.
    """
    known = by_id(tickets)
    followers = {
        one: [f for f in ids if f in known] for one, ids in inverse(known.values()).items()
    }
    roots = [one for one, ticket in known.items() if not any(a in known for a in ticket.after)]
    lines: list[str] = []
    shown: set[str] = set()
    for root in [*roots, *known]:
        if root in shown:
            continue
        stack = [(root, "", "")]
        while stack:
            one, lead, indent = stack.pop()
            again = one in shown
            lines.append(lead + _label(known[one], known) + (" (see above)" if again else ""))
            if again:
                continue
            shown.add(one)
            children = followers.get(one, [])
            for child in reversed(children):
                last = child == children[-1]
                branch, below = ("└── ", "    ") if last else ("├── ", "│   ")
                stack.append((child, indent + branch, indent + below))
    return "\n".join(lines)


def mermaid(tickets: Sequence[Ticket]) -> str:
    """A Mermaid flowchart: an arrow from each ticket to those that come after it."""
    known = by_id(tickets)
    lines = ["flowchart TD"]
    lines += [f'    {_node(t.id)}["{_escaped(f"{t.id}: {t.title}")}"]' for t in known.values()]
    missing = {a for t in known.values() for a in t.after if a not in known}
    lines += [f'    {_node(one)}["{one}: missing"]' for one in sorted(missing, key=_order)]
    lines += [f"    {_node(a)} --> {_node(t.id)}" for t in known.values() for a in t.after]
    for status, style in _CLASSES.items():
        nodes = [_node(ticket.id) for ticket in known.values() if ticket.status == status]
        if nodes:
            lines.append(f"    classDef {status.lower()} {style}")
            lines.append(f"    class {','.join(nodes)} {status.lower()}")
    return "\n".join(lines)


def _order(one: str) -> tuple[int, str]:
    """Ids in the order of their numbers; what is no id comes last."""
    return (ticket_number(one), "") if one.startswith("T-") else (10**9, one)


def _node(one: str) -> str:
    return one.replace("-", "")


def _escaped(text: str) -> str:
    """Text that Mermaid shows and does not obey: its entities begin with #, not with &."""
    return "".join(c if c.isalnum() or c in " .,:-_/@%+()" else f"#{ord(c)};" for c in text)


def _label(ticket: Ticket, known: Mapping[str, Ticket]) -> str:
    missing = [one for one in waits_for(ticket, known) if one not in known]
    note = f" (after {', '.join(missing)}: missing)" if missing else ""
    return f"{ticket.id} [{ticket.status or 'no status'}] {ticket.title}{note}"


def _tangled(edges: Mapping[str, Sequence[str]]) -> list[str]:
    """What is left when tickets that wait for nothing are taken away again and again."""
    waiting = {one: len(set(after)) for one, after in edges.items()}
    followers: dict[str, list[str]] = {}
    for one, after in edges.items():
        for dependency in set(after):
            followers.setdefault(dependency, []).append(one)
    free = deque(one for one, count in waiting.items() if count == 0)
    while free:
        for follower in followers.get(free.popleft(), ()):
            waiting[follower] -= 1
            if waiting[follower] == 0:
                free.append(follower)
    return [one for one, count in waiting.items() if count > 0]


def _shortest_circle(start: str, edges: Mapping[str, Sequence[str]]) -> list[str] | None:
    """A shortest way from `start` back to it, `start` given once, or None if there is none."""
    came_from: dict[str, str] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for other in edges[node]:
            if other == start:
                path = [node]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if other not in came_from:
                came_from[other] = node
                queue.append(other)
    return None
