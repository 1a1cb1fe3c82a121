"""What people say, quoted with who and when; nothing of it is drafted here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One note of a person; `kind` is note, cause, lesson, decision, risk, confidence or next."""

    kind: str
    by: str
    time: float
    text: str
    run: str | None = None
