"""Reviews in a ticket: a marked list under Evidence, written for people and read back."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
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
from orchestrator.tickets.words import split_note

BLOCK = "review"
_MARKER = b"exp:begin review"

_LEAD = "What people said of the criteria, the newest last:"
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
  - by (?P<by>.*), (?P<time>\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d) UTC(?:, on (?P<run>R-\d{{6,}}))?
  - saw: (?P<state>{"|".join(State)}|no verdict)(?:, (?P<value>{_NUMBER}))?"""
    r""" \(claim (?P<claim>[0-9a-f]{12}), evidence (?P<evidence>[0-9a-f]{12})\)
(?:  - why: (?P<reason>.+)
)?"""
)
_ENDS = re.compile(r"\r\n|\r")
_COMMENT = re.compile(r"<!--|&(?:amp;)*lt;!--")


def reviews_of(document: Document) -> tuple[Review, ...]:
    """Every review in a ticket, oldest first."""
    found, _ = _read(document)
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
    _, rest = _read(document)
    return rest


def add_reviews(document: Document, reviews: Sequence[Review]) -> Document:
    """Append reviews to the ticket's list; what stands there stays as it is.

    Raises:
        InvalidFileError: the markers in the ticket do not balance.
    """
    if not reviews:
        return document
    before = document.block(BLOCK)
    lead = f"{_LEAD}\n\n" if before is None else f"{before}\n"
    return document.set_block("Evidence", BLOCK, lead + "".join(map(_item, reviews)))


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
    return key.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def one_line(text: str) -> str:
    """Text on one line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _item(review: Review) -> str:
    seen = review.seen
    on = f", on {seen.run}" if seen.run else ""
    value = "" if seen.value is None else f", {seen.value!r}"
    digests = f"claim {seen.claim}, evidence {seen.evidence}"
    lines = [
        f"- **{_WORDS[review.decision]}**: {_shown(plain_key(review.key))}",
        f"  - by {_shown(one_line(review.by))}, {format_utc(review.time)}{on}",
        f"  - saw: {seen.state or 'no verdict'}{value} ({digests})",
    ]
    reason = one_line(review.reason)
    lines += [f"  - why: {_shown(reason)}"] if reason else []
    return "".join(f"{line}\n" for line in lines)


def _read(document: Document) -> tuple[tuple[Review, ...], tuple[str, ...]]:
    text = document.block(BLOCK)
    if text is None:
        return (), ()
    text = _ENDS.sub("\n", text) + "\n"
    found, rest, done = [], [], 0
    for match in _ITEM.finditer(text):
        try:
            found.append(_review(document, match))
        except ValueError:  # a day that no calendar has
            continue
        rest.append(text[done : match.start()])
        done = match.end()
    return tuple(found), tuple(_words([*rest, text[done:]]))


def _words(parts: Iterable[str]) -> Iterator[str]:
    for part in parts:
        yield from (line for line in part.split("\n") if line.strip() and line != _LEAD)


def _review(document: Document, match: re.Match[str]) -> Review:
    when = datetime.strptime(match["time"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    state, value = match["state"], match["value"]
    return Review(
        ticket=document.ticket.id,
        key=_meant(match["key"]),
        decision=_DECISIONS[match["word"]],
        by=_meant(match["by"]),
        time=when.timestamp(),
        reason=_meant(match["reason"] or ""),
        seen=Seen(
            run=match["run"],
            state=None if state == "no verdict" else State(state),
            value=None if value is None else float(value),
            claim=match["claim"],
            evidence=match["evidence"],
        ),
    )


def _shown(text: str) -> str:
    """Text in which no comment begins, so that none of it is hidden; `_meant` takes it back."""
    return _COMMENT.sub(lambda found: _escaped(found[0]), text)


def _escaped(found: str) -> str:
    return "&lt;!--" if found == "<!--" else f"&amp;{found[1:]}"


def _meant(text: str) -> str:
    return _COMMENT.sub(lambda found: _unescaped(found[0]), text)


def _unescaped(found: str) -> str:
    return "<!--" if found in {"&lt;!--", "<!--"} else f"&{found[5:]}"
