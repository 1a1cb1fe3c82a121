"""Reviews in a ticket: a marked list under Evidence, written for people and read back."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestrator.clock import format_utc
from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.review import (
    Decision,
    Review,
    Seen,
    Standing,
    decision_of,
    seen_now,
    standings,
)
from orchestrator.domain.ticket import Checkbox
from orchestrator.tickets.document import Document, parse
from orchestrator.tickets.listed import TIME, ItemList, meant, one_line, plain, shown, time_of
from orchestrator.tickets.words import split_note

_MARKER = b"exp:begin review"
_WORDS = {
    Decision.ACCEPT: "accepted",
    Decision.REJECT: "rejected",
    Decision.WAIVE: "waived",
    Decision.NOTE: "noted",
}
_DECISIONS = {word: decision for decision, word in _WORDS.items()}
_NUMBER = r"-?(?:\d+(?:\.\d+)?(?:e[+-]\d+)?|inf)|nan"
_ITEM = re.compile(
    rf"""(?m)^- \*\*(?P<word>{"|".join(_DECISIONS)})\*\*: (?P<key>.*)
  - by (?P<by>.*), (?P<time>{TIME}) UTC(?:, on (?P<run>R-\d{{6,}}))?
  - saw: (?P<state>{"|".join(State)}|no verdict)(?:, (?P<value>{_NUMBER}))?"""
    r""" \(claim (?P<claim>[0-9a-f]{12}), evidence (?P<evidence>[0-9a-f]{12})\)
(?:  - why: (?P<reason>.+)
)?"""
)


def reviews_of(document: Document) -> tuple[Review, ...]:
    """Every review in a ticket, oldest first."""
    found, _ = _LIST.read(document)
    return found


def reviews_at(path: Path) -> tuple[Review, ...]:
    """The reviews in a ticket's file, none if it is gone; most have none, and are not parsed."""
    try:
        raw = path.read_bytes()
    except OSError:
        return ()
    return reviews_of(parse(raw, path.name)) if _MARKER in raw else ()


def unread_lines(document: Document) -> tuple[str, ...]:
    """Lines in the block of reviews that are none, because somebody edited them; they are kept."""
    _, rest = _LIST.read(document)
    return rest


def add_reviews(document: Document, reviews: Sequence[Review]) -> Document:
    """Append reviews to the ticket's list; what stands there stays as it is.

    Raises:
        InvalidFileError: the markers in the ticket do not balance.
    """
    return _LIST.add(document, [_item(review) for review in reviews])


def said_of_line(
    reviews: Iterable[Review], key: str, text: str, run: str | None, verdict: Verdict | None
) -> tuple[Standing, ...]:
    """What people say of the line `text` with this key, beside a run's verdict on it."""
    told = [review for review in reviews if review.key == plain_key(key)]
    return standings(told, line_seen(run, text, verdict)) if told else ()


def is_waived(reviews: Iterable[Review], box: Checkbox) -> bool:
    """Whether the newest decision on a line, as it reads now, is that it shall not gate."""
    decision = decision_of(said_of_line(reviews, box.key, box.text, None, None))
    return (
        decision is not None
        and decision.expired is None
        and decision.review.decision is Decision.WAIVE
    )


def line_seen(run: str | None, text: str, verdict: Verdict | None) -> Seen:
    """What a person sees of a line: its claim, notes aside, beside the verdict."""
    return seen_now(run, split_note(text)[0], verdict)


def plain_key(key: str) -> str:
    """A key as a list of reviews holds it: bytes that are no UTF-8 cannot be written there."""
    return plain(key)


def _item(review: Review) -> str:
    seen = review.seen
    on = f", on {seen.run}" if seen.run else ""
    value = "" if seen.value is None else f", {seen.value!r}"
    digests = f"claim {seen.claim}, evidence {seen.evidence}"
    lines = [
        f"- **{_WORDS[review.decision]}**: {shown(plain_key(review.key))}",
        f"  - by {shown(one_line(review.by))}, {format_utc(review.time)}{on}",
        f"  - saw: {seen.state or 'no verdict'}{value} ({digests})",
    ]
    reason = one_line(review.reason)
    lines += [f"  - why: {shown(reason)}"] if reason else []
    return "".join(f"{line}\n" for line in lines)


def _review(document: Document, match: re.Match[str]) -> Review:
    state, value = match["state"], match["value"]
    return Review(
        ticket=document.ticket.id,
        key=meant(match["key"]),
        decision=_DECISIONS[match["word"]],
        by=meant(match["by"]),
        time=time_of(match["time"]),
        reason=meant(match["reason"] or ""),
        seen=Seen(
            run=match["run"],
            state=None if state == "no verdict" else State(state),
            value=None if value is None else float(value),
            claim=match["claim"],
            evidence=match["evidence"],
        ),
    )


_LIST = ItemList(
    block="review",
    lead="What people said of the criteria, the newest last:",
    item=_ITEM,
    make=_review,
)
