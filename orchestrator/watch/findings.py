"""findings.json of a run: what was found, since when, and when it no longer held.

One writer, the watcher. It follows from the run's files: lost, it is made again, only the times at
which findings were opened and closed are then those of the new look.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace

from orchestrator.codec import read_record_if_present
from orchestrator.domain.finding import Finding, KnownFinding, Severity
from orchestrator.errors import InvalidFileError
from orchestrator.fsio import to_json, write_atomic
from orchestrator.redact import redacted
from orchestrator.workspace import RunFolder

log = logging.getLogger(__name__)
LOUD = frozenset({Severity.WARN, Severity.ERROR})  # what a person should hear of
_CLOSED = 200  # of a run that are kept: one that comes and goes must not fill the disk


def ledger_of(folder: RunFolder) -> tuple[KnownFinding, ...] | None:
    """What is written down of a run; None if nobody has looked, or nobody can read it.

    Who only shows a run must not fail over a torn file: the watcher sets it aside.
    """
    try:
        return read_record_if_present(tuple[KnownFinding, ...], folder.findings_file)
    except (InvalidFileError, OSError):
        return None


def known_findings(folder: RunFolder) -> tuple[KnownFinding, ...]:
    """What is known to be or to have been wrong with a run, as far as somebody has looked."""
    return ledger_of(folder) or ()


def open_findings(folder: RunFolder) -> tuple[Finding, ...]:
    """What holds of a run, the worst first."""
    return tuple(known.finding for known in known_findings(folder) if known.closed is None)


class Ledger:
    """The findings of one run, for the one who writes them.

    A file that is torn or foreign is set aside, and a new one begun.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._file = folder.findings_file
        try:
            found = read_record_if_present(tuple[KnownFinding, ...], self._file)
        except (InvalidFileError, OSError) as error:
            log.warning("%s; it is set aside, and made again", error)
            self._file.replace(self._file.with_name(f"{self._file.name}.damaged"))
            found = None
        self.known: tuple[KnownFinding, ...] = found or ()

    def update(
        self, found: Iterable[Finding], *, now: float, secrets: Sequence[str] = ()
    ) -> tuple[KnownFinding, ...]:
        """Write down what was found at the moment `now`; findings that are missing are closed.

        An empty file says that somebody has looked.
        Secrets, these and what looks like one, are taken out first: findings are quoted in tickets
        and reports.

        Raises:
            EnvironmentFailure: it cannot be written; ask again.
        """
        known = merged(self.known, [redacted(each, values=secrets) for each in found], now=now)
        if known != self.known or not self._file.exists():
            write_atomic(self._file, to_json([asdict(each) for each in known]))
            self.known = known
        return self.known


def merged(
    known: Sequence[KnownFinding], found: Sequence[Finding], *, now: float
) -> tuple[KnownFinding, ...]:
    """What is known after a look: open ones in the order of `found`, closed ones behind them.

    One that had been closed is opened anew beside its past.
    """
    before = {each.finding.key: each for each in known if each.closed is None}
    opened = []
    for finding in found:
        each = before.pop(finding.key, KnownFinding(finding=finding, opened=now, seen=now))
        opened.append(replace(each, finding=finding, seen=max(now, each.seen)))
    gone = [replace(each, closed=max(now, each.seen)) for each in before.values()]
    closed = [*(each for each in known if each.closed is not None), *gone]
    return (*opened, *closed[-_CLOSED:])
