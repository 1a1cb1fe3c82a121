"""Secrets out of all that is kept: by their names, and by their values wherever they stand."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self, TypeVar
from urllib.parse import quote

from orchestrator.domain.attempt import AttemptRequest
from orchestrator.domain.run import RunRecord
from orchestrator.executors.environment import kept_variables
from orchestrator.redact import is_secret_name, redact, redacted

T = TypeVar("T")

_SHORTEST = 5  # characters; a shorter value stands in too many words
_WORDS = {"false", "none", "null", "true", "default", "disabled", "enabled", "unset"}
_COUNT = re.compile(r"(?i).*tokens?=[\d.,]+")


@dataclass(frozen=True, slots=True)
class Censor:
    """Values that must not be written down, the longest first."""

    values: tuple[str, ...] = ()

    @classmethod
    def of(cls, record: RunRecord, request: AttemptRequest | None) -> Self:
        """The secrets of a run: of the spec's variables, and of this process's environment.

        What the spec takes from the environment (`$NAME`) is a secret, unless run.json may keep it.
        """
        wanted = record.env | (request.env if request is not None else {})
        found = {text for name, text in os.environ.items() if _is_secret(name, text)}
        for name, text in wanted.items():
            there = os.environ.get(text[1:], "") if text.startswith("$") else text
            if _is_secret(name, there) or (text != there and not kept_variables({text[1:]: there})):
                found.add(there)
        forms = {form for text in found for value in _lines(text) for form in _forms(value)}
        return cls(tuple(sorted(forms, key=lambda form: (-len(form), form))))

    def text(self, text: str) -> str:
        """The text without the values, and without what looks like a secret."""
        return redact(text, values=self.values)

    def data(self, value: T) -> T:
        """The same tree of data, every text and every key without secrets."""
        return redacted(value, values=self.values)


def _is_secret(name: str, text: str) -> bool:
    """By its name; the folder that a shell is in (`PWD`) and a count of tokens are none."""
    return is_secret_name(name) and name != "PWD" and not _COUNT.fullmatch(f"{name}={text}")


def _lines(text: str) -> Iterator[str]:
    """A value, and the lines of one that has several: a log may be cut within it."""
    for value in (text, *text.splitlines()):
        stripped = value.strip()
        if len(stripped) >= _SHORTEST and stripped.lower() not in _WORDS:
            yield stripped


def _forms(value: str) -> Iterator[str]:
    """How a value stands in a log, in JSON, in Python's own words and in an address."""
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield quote(value, safe="")
