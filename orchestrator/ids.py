"""Identifiers: how they look, and that they can name nothing outside the workspace."""

import re

from orchestrator.errors import UsageError

TICKET_ID = re.compile(r"T-(\d{4,})")
RUN_ID = re.compile(r"R-(\d{6,})")


def ticket_id(number: int) -> str:
    """Format a ticket number: 17 → `T-0017`."""
    return f"T-{number:04d}"


def run_id(number: int) -> str:
    """Format a run number: 42 → `R-000042`."""
    return f"R-{number:06d}"


def ticket_number(text: str) -> int:
    """Read what people type for a ticket: `T-0017`, `t-17`, `17`.

    Raises:
        UsageError: the text cannot be a ticket id.
    """
    return _number(text, "T", "T-0017")


def run_number(text: str) -> int:
    """Read what people type for a run: `R-000042`, `r-42`, `42`.

    Raises:
        UsageError: the text cannot be a run id.
    """
    return _number(text, "R", "R-000042")


def _number(text: str, letter: str, example: str) -> int:
    match = re.fullmatch(rf"(?:{letter}-)?(\d{{1,9}})", text.strip(), re.IGNORECASE | re.ASCII)
    if match is None:
        noun = "ticket" if letter == "T" else "run"
        raise UsageError(f"{text!r} is no {noun} id", hint=f"write it like {example}")
    return int(match[1])
