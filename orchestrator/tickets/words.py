"""How the words of a ticket are read: states, ids, notes and which boxes are criteria."""

import re
from collections import Counter

from orchestrator.domain.ticket import Checkbox, TicketPhase, TicketStatus
from orchestrator.ids import ticket_id

DASH = "—"
EMPTY = frozenset({"", "-", "\u2013", DASH, "none", "n/a", "null", "~", "[]"})

# Backlog.md's own words; they are read as ours and left in the file as they are.
_BACKLOG = {
    "to do": TicketStatus.READY,
    "in progress": TicketStatus.ONGOING,
}
_STATUSES = {word.value.casefold(): word for word in TicketStatus} | _BACKLOG
_PHASES = {word.value.casefold(): word for word in TicketPhase}
_ID = re.compile(r"(?<![\w-])T-(\d{1,9})(?!\w)", re.IGNORECASE | re.ASCII)

# Boxes under these headings are somebody's to-do list, not conditions of the ticket.
_NOT_CRITERIA = frozenset(
    {"context", "approach", "implementation notes", "obstacles", "evidence", "outcome", "notes"}
)

_RESULT_WORDS = (
    "achieved|actual|actually|got|reached|result|results|currently|current|now|was|were|is|"
    "measured|observed|final|finished|done|completed|confirmed|verified|see|run|R-\\d+"
)
_RESULT_PARENTHESIS = re.compile(rf"\((?:{_RESULT_WORDS})\b[^()]*\)", re.IGNORECASE)
_MARKS = " \u2705\u274c\u2611\u2714\u2713\u26a0\ufe0f\U0001f389\U0001f7e1\U0001f7e2"
# Not behind a space, so that a long run of spaces is tried once and not at each of its places.
_PREDICATE = re.compile(r"(?<!\s)\s*<!--\s*exp:(?!begin\b|end\b).{0,1100}?-->", re.DOTALL)
_DASHES = re.compile(r"\s+[-\u2013\u2014]\s+")
_CODE = re.compile(r"`[^`]*`")
_OPERATOR = re.compile(r"[<>≤≥]")


def known_status(text: str) -> TicketStatus | None:
    """The status a text names, whatever its case; Backlog.md's words count; else None."""
    return _STATUSES.get(text.strip().casefold())


def known_phase(text: str) -> TicketPhase | None:
    """The phase a text names, whatever its case; else None."""
    return _PHASES.get(text.strip().casefold())


def is_empty(text: str) -> bool:
    """Whether a field holds nothing: a dash, `none` or no character at all."""
    return text.strip().casefold() in EMPTY


def ids_in(text: str) -> tuple[str, ...]:
    """Ticket ids in a text, in its order, each once: `[T-7](T-0007.md), t-12` → T-0007, T-0012."""
    return tuple(dict.fromkeys(ticket_id(int(number)) for number in _ID.findall(text)))


def is_criterion(box: Checkbox) -> bool:
    """Whether a box states a condition of the ticket, as those under Approach or Outcome do not."""
    return box.section.casefold() not in _NOT_CRITERIA


def split_note(text: str) -> tuple[str, str]:
    """Split a line into the claim and the result notes that people append to it.

    `- pass@1=11.25% at 80%` and `(achieved 11.25%)` at the end are notes. A parenthesis without
    a word of result stays in the claim: `(<150ms on CPU)` may be the test itself. An explicit
    predicate (`<!-- exp: ... -->`) belongs to the claim.
    """
    predicates = _PREDICATE.findall(text) if "<!--" in text else []
    claim = _squeezed(_PREDICATE.sub("", text) if predicates else text)
    notes = []
    if cut := _note_dash(claim):
        notes.append(claim[cut.end() :])
        claim = claim[: cut.start()]
    while (start := _trailing_note(claim)) > 0:
        notes.insert(0, claim[start:].strip().removeprefix("(").removesuffix(")"))
        claim = claim[:start].rstrip()
    return "".join([claim, *(" " + found.strip() for found in predicates)]), " ".join(notes).strip()


def key_base(text: str) -> str:
    """The part of a box's text that its key is made of: no note and no explicit predicate."""
    if text[-1:].isalnum() and "<!--" not in text and not _has_dash(text):
        return _squeezed(text)  # most lines: nothing that could be a note
    claim, _ = split_note(text)
    return _PREDICATE.sub("", claim) if "<!--" in claim else claim


def line_key(text: str) -> str:
    """What [criteria] of a spec knows a line by: its claim, whatever its case and spaces."""
    return " ".join(key_base(text).split()).casefold()


def has_predicate(text: str) -> bool:
    """Whether a line carries an explicit predicate, `<!-- exp: … -->`."""
    return _PREDICATE.search(text) is not None


def without_predicate(text: str) -> str:
    """A line without its explicit predicates, where these are shown beside it."""
    return _PREDICATE.sub("", text) if "<!--" in text else text


def box_keys(texts: list[str]) -> list[str]:
    """A key for each box: stable over edits of the box and of its result notes.

    Two boxes whose claims look alike keep their whole text as key, so that a swap of the lines
    cannot swap their keys; only boxes with equal texts are told apart by their occurrence.
    """
    bases = [key_base(text) for text in texts]
    if len(set(bases)) == len(bases):
        return bases
    alike = Counter(bases)
    keys: list[str] = []
    seen: dict[str, int] = {}
    taken: set[str] = set()
    for base, text in zip(bases, texts, strict=True):
        key = base if alike[base] == 1 else _squeezed(text)
        occurrence = seen.get(key, 0) + 1
        unique = key if occurrence == 1 else f"{key} #{occurrence}"
        while unique in taken:
            occurrence += 1
            unique = f"{key} #{occurrence}"
        seen[key] = occurrence
        taken.add(unique)
        keys.append(unique)
    return keys


def _squeezed(text: str) -> str:
    """Text with single spaces between its words; most texts are so already."""
    return " ".join(text.split()) if "  " in text or not text.isprintable() else text.strip()


def _has_dash(text: str) -> bool:
    return " - " in text or " \u2013 " in text or " \u2014 " in text


def _trailing_note(text: str) -> int:
    """Where a mark or a parenthesis of result at the end of a text begins, or 0."""
    if text.endswith(")"):
        start = text.rfind("(")
        return start if start > 0 and _RESULT_PARENTHESIS.fullmatch(text, start) else 0
    kept = len(text.rstrip(_MARKS))
    return kept if kept < len(text) else 0


def _note_dash(text: str) -> re.Match[str] | None:
    """The dash that starts a note: outside code and parentheses, and not before the test itself."""
    if not _has_dash(text):
        return None
    shown = _CODE.sub(lambda code: "x" * len(code[0]), text)
    for match in _DASHES.finditer(shown):
        before = shown[: match.start()]
        if not before or before.count("(") > before.count(")"):
            continue
        if _OPERATOR.search(shown[match.end() :]) and not _OPERATOR.search(before):
            continue
        return match
    return None
