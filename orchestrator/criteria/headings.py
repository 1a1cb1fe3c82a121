"""What a heading says of the criteria below it: tier, alarm, and the time they are for."""

import re
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.criteria.asking import Question
from orchestrator.criteria.moments import anchor_of
from orchestrator.criteria.pieces import pieces_of
from orchestrator.criteria.syntax import NotReadError

_ALARMS = re.compile(
    r"warning|red flags?|\bstop (?:if|when|conditions?)|\balarms?\b|failure (?:signs|modes|criteria|"
    r"indicators|conditions)|bad signs|abort|should not|must not|kill (?:criteria|switch)|"
    r"anti-?goals|no-?go\b(?!.*\bgo\b)|danger|🚩|🔴|❌|signs of (?:trouble|failure)|problems? to watch",
    re.IGNORECASE,
)
_TIERS = (
    (re.compile(r"stretch|ambitious|moonshot|ideal\b|excellent", re.IGNORECASE), "stretch"),
    (re.compile(r"nice[- ]to[- ]have|\boptional\b|\bbonus\b|should[- ]have|could[- ]have|"
                r"\bgood\b|desired|desirable", re.IGNORECASE), "nice"),
)  # fmt: skip
_AFTERWARDS = re.compile(
    r"(\d+)\s*(epochs?|steps?|iterations?|episodes?)\s*(?:sonras|later|nach)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """`tier` is must, nice or stretch; `anchor` the canonical text of a time, if it names one."""

    tier: str = "must"
    inverted: bool = False
    anchor: str | None = None

    @property
    def polarity(self) -> str:
        """`inverted` below a heading such as Warning signs."""
        return "inverted" if self.inverted else "positive"


@lru_cache(maxsize=1024)
def read_heading(text: str | None) -> Heading:
    """Read a heading; one that says nothing of its criteria is a plain must."""
    if not text:
        return Heading()
    tier = next((tier for pattern, tier in _TIERS if pattern.search(text)), "must")
    return Heading(tier=tier, inverted=_ALARMS.search(text) is not None, anchor=_anchor(text))


def _anchor(text: str) -> str | None:
    """The one time that a heading names: `Epoch 25`, `After 3 epochs`, `Steps 0-500`."""
    if found := _AFTERWARDS.search(text):
        return f"at {found[2].casefold().rstrip('s')} {int(found[1])}"
    try:
        moments = [piece for piece in pieces_of(text[:300]) if piece.moment is not None]
        if len(moments) == 1 and moments[0].moment is not None and moments[0].kind != "every":
            return anchor_of(moments[0].kind, moments[0].moment)
    except (Question, NotReadError):
        return None
    return None
