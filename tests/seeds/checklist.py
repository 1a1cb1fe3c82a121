"""Whether a page says what a document said: facts as lines of plain text."""

import re
from dataclasses import dataclass
from html import unescape


@dataclass(frozen=True)
class Fact:
    """What stands in the original, and what a line of our page must match."""

    told: str
    ours: str


def facts(*pairs):
    """Facts from `(what the original says, pattern of a line of ours)`."""
    return tuple(Fact(told, ours) for told, ours in pairs)


def plain(page):
    """Markdown as it reads: without escapes, emphasis, code spans, and the tags of quotes."""
    text = re.sub(r"</?(?:sub|details|summary)>", "", page)
    text = re.sub(r"\\(?=[^a-zA-Z0-9\s])", "", text)
    return unescape(text.replace("`", "").replace("**", ""))


def missing(page, known):
    """The facts that no line of the page says."""
    text = plain(page)
    return [fact for fact in known if re.search(fact.ours, text, re.MULTILINE) is None]
