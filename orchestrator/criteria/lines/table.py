"""A row of a table as a claim: which cell names the metric, which one holds the target."""

import re
from collections.abc import Sequence

from orchestrator.criteria.lines.pieces import pieces_of
from orchestrator.criteria.lines.syntax import NotReadError

_STRICT = re.compile(
    r"^(?:[<>≤≥]|at (?:least|most)\b|(?:below|above|under|over|up to)\b)", re.IGNORECASE
)
_TARGET = re.compile(
    r"^(?:[<>≤≥=~≈$+-]|\d|at (?:least|most)\b|(?:stays|below|above|under)\b)", re.IGNORECASE
)
_IDENTIFIER = re.compile(r"(?:[A-Z]{1,3}-?)?\d+[.):]?|[A-Z]\d*")
_BARE = re.compile(r"[-+~≈]?\s*[\d.,]+\s*[%kMB]?")
_RULE = re.compile(r"[\s:|-]+")
_WANTED = re.compile(
    r"target|goal|threshold|criteri|gate|pass if|required?|expected|kpi|minimum|bar$|acceptance|"
    r"must|objective|spec",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"metric|measure|criterion|check|what|item|test|name|kpi|gate|aspect", re.IGNORECASE
)


def row_claim(text: str, header: Sequence[str] = ()) -> str:
    """`| accuracy | ≥ 90% | 88% |` → `accuracy ≥ 90%`; other text is given back as it is.

    With a `header`, the column named target (goal, threshold, expected …) holds the bound. Without
    one, it is the only cell with an operator, else the only one that compares at all: a row with
    several targets (tiers, stages) is left as it is, to be asked about.
    """
    if not (text.startswith("|") and text.endswith("|") and text.count("|") > 2):
        return text
    cells = cells_of(text)
    place = _by_header(cells, header) if header else _target_of(cells)
    if place is None:
        return text
    if not _TARGET.match(cells[place]):
        return cells[place]  # the cell names its metric itself
    names = [cell for cell in cells[:place] if _is_name(cell)]
    if header and names:
        names = _names_by_header(cells[:place], header) or names
    if not names:
        return cells[place]
    *places, name = names
    return f"{' '.join(places)}: {name} {cells[place]}" if places else f"{name} {cells[place]}"


def is_rule(text: str) -> bool:
    """Whether a line of a table only separates its header from its rows."""
    return _RULE.fullmatch(text) is not None and "-" in text


def cells_of(text: str) -> tuple[str, ...]:
    """The cells of a row, without emphasis."""
    return tuple(
        re.sub(r"\*\*|__", "", cell).strip() for cell in text.strip().strip("|").split("|")
    )


def _by_header(cells: Sequence[str], header: Sequence[str]) -> int | None:
    wanted = [i for i, name in enumerate(header) if _WANTED.search(name) and i < len(cells)]
    wanted = [i for i in wanted if i > 0] or wanted
    return wanted[0] if len(wanted) == 1 else _target_of(cells)


def _names_by_header(cells: Sequence[str], header: Sequence[str]) -> list[str]:
    """The cells in the first column and in those that are headed metric, check, item …"""
    columns = enumerate(zip(cells, header, strict=False))
    return [
        cell for i, (cell, head) in columns if _is_name(cell) and (i == 0 or _NAMED.search(head))
    ]


def _is_name(cell: str) -> bool:
    return bool(cell) and not _IDENTIFIER.fullmatch(cell)


def _target_of(cells: Sequence[str]) -> int | None:
    """The one cell that holds the bound, or None where several could."""
    tests = [i for i, cell in enumerate(cells) if _is_test(cell)]
    strict = [i for i in tests if i > 0 and _STRICT.match(cells[i])]
    loose = [i for i in tests if i > 0 and _TARGET.match(cells[i]) and not _is_bare(cells[i])]
    found = strict or loose or tests
    return found[0] if len(found) == 1 else None


def _is_bare(cell: str) -> bool:
    return _BARE.fullmatch(cell) is not None and "~" not in cell


def _is_test(cell: str) -> bool:
    try:
        return any(piece.kind in {"test", "op"} for piece in pieces_of(cell))
    except NotReadError:
        return False
