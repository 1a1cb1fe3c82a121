"""What a heading says of the criteria below it: tier, alarm, and the time they are for."""

import re
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.criteria.lines.asking import Question
from orchestrator.criteria.lines.moments import anchor_of
from orchestrator.criteria.lines.pieces import pieces_of
from orchestrator.criteria.lines.syntax import NotReadError

_FEW = 50  # steps, rounds … of a heading below which it counts parts of a procedure
_LONGEST = 300  # characters of a heading in which a time is looked for

_ALARMS = re.compile(
    r"warning|red flags?|\bstop (?:if|when|conditions?)|\balarms?\b|"
    r"failure (?:signs|modes|criteria|indicators|conditions)|bad signs|signs of|"
    r"abort (?:if|when|criteria|conditions)(?! not)|stopping criteria|when to stop|risks?\b|"
    r"falsif|known problems|"
    r"rollback|rejected if|watch out|"
    r"kill (?:criteria|switch)|anti-?goals|(?<!go/)(?<!go / )no-?go\b|danger|🚩|🔴|❌|"
    r"problems? to watch",
    re.IGNORECASE,
)
_STRETCH = re.compile(r"stretch|ambitious|moonshot|ideal\b|excellent", re.IGNORECASE)
_MUST = re.compile(r"\bmust\b|(?<!not )required|mandatory", re.IGNORECASE)
_NEGATED = re.compile(r"\b(?:no|zero|without|not|never)\b", re.IGNORECASE)
_NICE = re.compile(
    r"nice[- ]to[- ]have|\boptional\b|\bbonus\b|should[- ]have|could[- ]have|\bgood results|"
    r"good to have|desired|desirable",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r"out of scope|non-?goals?|won'?t have|known issues|(?:previous|baseline|old) results",
    re.IGNORECASE,
)
_AFTERWARDS = re.compile(
    r"(\d+)\s*(epochs?|steps?|iterations?|episodes?)\s*(?:sonras|later|nach)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """`tier` is must, nice or stretch; `anchor` the canonical text of a time, if it names one.

    `aside` says that what stands below is no goal: out of scope, known issues, earlier results.
    """

    tier: str = "must"
    inverted: bool = False
    anchor: str | None = None
    aside: bool = False

    @property
    def polarity(self) -> str:
        """`inverted` below a heading such as Warning signs."""
        return "inverted" if self.inverted else "positive"


@lru_cache(maxsize=1024)
def read_heading(text: str | None) -> Heading:
    """Read a heading; one that says nothing of its criteria is a plain must."""
    if not text:
        return Heading()
    alarm = _ALARMS.search(text)
    inverted = alarm is not None and not _NEGATED.search(text[: alarm.start()])
    aside = _ASIDE.search(text) is not None
    return Heading(tier=_tier(text), inverted=inverted, anchor=_anchor(text), aside=aside)


def _tier(text: str) -> str:
    if _MUST.search(text):
        return "must"
    if _STRETCH.search(text):
        return "stretch"
    return "nice" if _NICE.search(text) else "must"


def _anchor(text: str) -> str | None:
    """The one time that a heading names: `Epoch 25`, `After 3 epochs`, `Steps 0-500`."""
    if found := _AFTERWARDS.search(text):
        return f"at {found[2].casefold().rstrip('s')} {int(found[1])}"
    try:
        moments = [piece.moment for piece in pieces_of(text[:_LONGEST]) if piece.moment is not None]
        if len(moments) != 1 or moments[0].kind == "every":
            return None
        numbered = moments[0].unit not in {"epoch", "episode"} and moments[0].high < _FEW
        # "Step 3: Evaluate" counts steps of a procedure.
        return None if numbered else anchor_of(moments[0])
    except (Question, NotReadError):
        return None
    return None
