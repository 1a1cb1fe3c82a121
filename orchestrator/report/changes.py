"""What a report compares with, and what is another since then."""

from dataclasses import dataclass

from orchestrator.domain.finding import KnownFinding


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """What counts as before: the run before this one of the ticket, or what `--since` names.

    `label` is how people read it, as in `R-000003` or `2026-11-20`. `time` is its end, in seconds
    since the epoch; `commit` is where its code stood, if git knows.
    """

    label: str
    time: float
    run: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file that differs, with git's letter for how (A, M, D, R) and its changed lines."""

    path: str
    how: str
    added: int | None = None
    deleted: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChange:
    """A parameter that differs, written out as in the spec; None where it was not set."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Everything that is another since `since`; without one nothing is.

    `findings` are those that held when the run before ended; `failed` says that it ended badly.
    """

    since: Since | None = None
    files: tuple[FileChange, ...] = ()
    settings: tuple[SettingChange, ...] = ()
    findings: tuple[KnownFinding, ...] = ()
    failed: bool = False
