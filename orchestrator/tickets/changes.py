"""Criteria that are no longer what the run was started with, each beside what it became."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from orchestrator.domain.criterion import Criterion
from orchestrator.domain.ticket import Checkbox, Ticket
from orchestrator.tickets.words import split_note

_NUMBERS = re.compile(r"\d[\d,.]*(?:\s?%)?")
_ALIKE = 0.6
_NEAR = 10  # new lines of the same place in the ticket that are compared with a lost one


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A criterion whose claim was edited or removed; `now` is the line that replaced it.

    `was` and `became` are the claims, without notes. `became` is None if no line looks like it.
    """

    criterion: Criterion
    now: Checkbox | None
    was: str
    became: str | None

    @property
    def numbers(self) -> str | None:
        """`5% → 4%` if nothing but numbers changed, else None."""
        if self.became is None or _masked(self.was) != _masked(self.became):
            return None
        pairs = zip(_NUMBERS.findall(self.was), _NUMBERS.findall(self.became), strict=True)
        return ", ".join(f"{old} → {new}" for old, new in pairs if old != new)


def changes_since(ticket: Ticket, frozen: Sequence[Criterion]) -> list[Change]:
    """The criteria of `frozen` whose claims, notes aside, stand in the ticket no more."""
    now = {split_note(box.text)[0]: box for box in ticket.checkboxes}
    boxes = [criterion for criterion in frozen if criterion.tickable]
    then = {split_note(criterion.text)[0]: criterion for criterion in boxes}
    added = _Added({claim: box for claim, box in now.items() if claim not in then})
    found = []
    for position, (claim, criterion) in enumerate(then.items()):
        if claim not in now:
            became = added.take(claim, criterion.section, position / len(then))
            box = now[became] if became is not None else None
            found.append(Change(criterion=criterion, now=box, was=claim, became=became))
    return found


class _Added:
    """New lines, looked up by their words without numbers, else by likeness among near ones."""

    def __init__(self, lines: dict[str, Checkbox]) -> None:
        self._lines = lines
        self._masked: dict[str, list[str]] = defaultdict(list)
        self._sections: dict[str, list[str]] = defaultdict(list)
        for claim, box in lines.items():
            self._masked[_masked(claim)].append(claim)
            self._sections[box.section].append(claim)

    def take(self, claim: str, section: str, place: float) -> str | None:
        """The new line that most likely replaced a claim; it can replace no other one."""
        alike = self._masked.get(_masked(claim))
        if alike:
            found: str | None = next((c for c in alike if self._at_home(c, section)), alike[0])
        else:
            found = self._likest(claim, section, place)
        if found is not None:
            self._masked[_masked(found)].remove(found)
            self._sections[self._lines[found].section].remove(found)
        return found

    def _likest(self, claim: str, section: str, place: float) -> str | None:
        best, likeness = None, _ALIKE
        for text in self._near(section, place):
            same = SequenceMatcher(None, claim, text).ratio()
            same += 0.1 * self._at_home(text, section)
            if same > likeness:
                best, likeness = text, same
        return best

    def _at_home(self, claim: str, section: str) -> bool:
        return self._lines[claim].section == section

    def _near(self, section: str, place: float) -> Iterator[str]:
        """A few lines of each section: comparing all with all takes minutes in a long ticket."""
        for name, claims in self._sections.items():
            middle = round(place * len(claims)) if name == section else 0
            start = max(0, min(middle - _NEAR // 2, len(claims) - _NEAR))
            yield from claims[start : start + _NEAR]


def _masked(claim: str) -> str:
    return _NUMBERS.sub("#", claim)
