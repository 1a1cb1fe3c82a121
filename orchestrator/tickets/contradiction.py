"""Ticked lines whose own note says otherwise. Refuses rather than guesses: silence is no verdict.

`[x] Training runs for ~52,000 steps - Completed 80% (41,960 steps)` claims 52,000 steps and notes
41,960. A line is judged only if exactly one quantity of the claim and exactly one of the note can
be compared.
"""

import re
from dataclasses import dataclass

from orchestrator.tickets.words import split_note

_OPERATORS = {
    ">": ">", "above": ">", "over": ">", "more than": ">", "exceeds": ">", "beats": ">",
    ">=": ">=", "≥": ">=", "at least": ">=", "reaches": ">=", "no less than": ">=",
    "<": "<", "below": "<", "under": "<", "less than": "<", "fewer than": "<",
    "<=": "<=", "≤": "<=", "at most": "<=", "no more than": "<=", "up to": "<=",
    "~": "~", "≈": "~", "about": "~", "approximately": "~",
}  # fmt: skip
# Units of things that are counted: a bare number of them is a claim of at least so many.
_COUNTED = (
    "step iteration epoch sample example task image token checkpoint seed episode puzzle file "
    "test run grid game"
)
_UNITS = {word: word for word in _COUNTED.split()} | {
    "iter": "iteration", "it/s": "it/s", "%": "%", "percent": "%",
    "hour": "hour", "h": "hour", "hr": "hour", "minute": "minute", "min": "minute",
    "second": "second", "sec": "second", "s": "second", "ms": "ms", "day": "day",
    "gb": "gb", "gib": "gib", "mb": "mb", "mib": "mib", "tok/s": "tok/s",
}  # fmt: skip
_NO_UNITS = frozenset({"is", "was", "has", "as", "this", "vs", "plus", "across", "less"})
_SCALES = {"k": 1e3, "m": 1e6, "b": 1e9}
_WORDS = "|".join(sorted(map(re.escape, _OPERATORS), key=len, reverse=True))
_QUANTITY = re.compile(
    rf"(?:(?P<op>(?<![\w<>]){'(?:' + _WORDS + ')'})\s*)?(?P<near>[~≈]\s*)?"
    r"(?<![\w@./,-])(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?P<scale>(?-i:[kKMB])(?![A-Za-z]))?(?P<whole>\s*/\s*[\d,]+)?"
    r"\s*(?:(?:optimi[sz]er|training|gradient|eval(?:uation)?|total)\s+)?"
    r"(?P<unit>%|[A-Za-z]+(?:/s)?)?(?![\w@])",
    re.IGNORECASE,
)
# Numbers behind these words say where or when, not how much.
_PLACE = re.compile(
    r"(?:\b(?:at|by|after|until|before|from|since|in|of|on|step|epoch|attempt|seed|version|v|run)"
    r"|#)\s*[~≈]?\s*$",
    re.IGNORECASE,
)
_ENDED = re.compile(
    r"\b(?:stopped|ended|crashed|died|killed|cut)\s+(?:at|after)\s*$", re.IGNORECASE
)
_LEAD = re.compile(r"[\w@/.-]*(?=[\s=:(,]*$)")
_OF = re.compile(r"\s+of\b", re.IGNORECASE)
_RESULT = re.compile(
    "achieved|actual|actually|completed|currently|final|finally|finished|got|is|measured|now|"
    "observed|only|peak|peaked|reached|result|stopped|took|was"
)
_NAMED = re.compile(r"([A-Za-z][\w@/.-]*)\s*[=:]\s*[~≈]?\d")
_DENIED = re.compile(
    r"^(?:\u274c|(?:not (?:met|done|reached|achieved|passed|completed|finished)|skipped|missed)\b)",
    re.IGNORECASE,
)
_TURNED = re.compile(r"\b(?:fixed|then|but|later|retry|retried|now|again|except)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number with its unit, and the operator before it; `near` says that it is approximate.

    `lead` is the word before it, `of` whether it is a share `of` something.
    """

    text: str
    op: str | None
    value: float
    unit: str | None
    near: bool
    lead: str
    of: bool


def contradiction(text: str) -> str | None:
    """Why the note of a ticked line contradicts its claim, or None if it does not or is unclear."""
    claim, note = split_note(text)
    if not note:
        return None
    if _DENIED.search(note) and not _TURNED.search(note):
        return f"its own note says {note!r}"
    wanted = _claimed(claim)
    if wanted is None or _speaks_of_another(claim, note):
        return None
    found = [q for q in quantities(note) if q.unit == wanted.unit]
    if len(found) != 1 or not _is_result(found[0], claim) or _holds(wanted, found[0].value):
        return None
    return f"it claims {wanted.text} and its own note says {found[0].text}"


def quantities(text: str) -> list[Quantity]:
    """The numbers of a text that say how much; those that say where or when are left out."""
    found = []
    for match in _QUANTITY.finditer(text):
        op = _OPERATORS.get((match["op"] or "").casefold())
        before = text[: match.start()]
        if op is None and _PLACE.search(before) and not _ENDED.search(before):
            continue
        found.append(
            Quantity(
                text=match[0].strip(),
                op=op,
                value=float(match["number"].replace(",", "")) * _scale(match["scale"]),
                unit=_unit(match["unit"]),
                near=op == "~" or match["near"] is not None,
                lead=_LEAD.search(before)[0].casefold(),  # type: ignore[index]
                of=_OF.match(text, match.end()) is not None,
            )
        )
    return found


def _claimed(claim: str) -> Quantity | None:
    """The one quantity of a claim that sets a bound; what stands in parentheses explains it."""
    outside = re.sub(r"\([^()]*\)", " ", claim)
    all_of_it = quantities(outside) or quantities(claim)
    bounds = [q for q in all_of_it if q.op is not None or q.unit in _COUNTED.split()]
    return bounds[0] if len(bounds) == 1 and len(all_of_it) == 1 else None


def _is_result(noted: Quantity, claim: str) -> bool:
    """Whether a number of the note is what came out; a bare one may be a learning rate."""
    if noted.op in {"<", "<=", ">", ">="} or noted.of:
        return False
    named = noted.unit not in {None, "%"}
    return named or _RESULT.fullmatch(noted.lead) is not None or noted.lead in claim.casefold()


def _speaks_of_another(claim: str, note: str) -> bool:
    """Whether the note's numbers carry a name that the claim does not: pass@2=3% under pass@1."""
    return any(name.casefold() not in claim.casefold() for name in _NAMED.findall(note))


def _holds(wanted: Quantity, value: float) -> bool:
    if wanted.op in {None, "~"}:
        return value >= wanted.value * (0.95 if wanted.near else 1.0)
    return {
        ">": value > wanted.value,
        ">=": value >= wanted.value,
        "<": value < wanted.value,
        "<=": value <= wanted.value,
    }[wanted.op or ""]


def _scale(letter: str | None) -> float:
    return _SCALES[letter.casefold()] if letter else 1.0


def _unit(word: str | None) -> str | None:
    """The unit that a word names: a known one, or things counted in the plural; else None."""
    if word is None:
        return None
    plain = word.casefold()
    if plain in _UNITS or plain.removesuffix("s") in _UNITS:
        return _UNITS.get(plain) or _UNITS[plain.removesuffix("s")]
    return plain.removesuffix("s") if plain.endswith("s") and plain not in _NO_UNITS else None
