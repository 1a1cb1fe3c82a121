"""The reading side of the index: what every command asks. Standard library only, so it is quick."""

from collections.abc import Collection

from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.point import Event
from orchestrator.domain.run import RunStatus
from orchestrator.store import queries, replay
from orchestrator.store.points import Points
from orchestrator.store.rows import AttemptRow, CachedTicket, RunRow, SourceRow, Tally, VerdictRow


class Reader(Points):
    """Reads the index beside its writer; without a database there is simply nothing in it.

    It may be kept: a database that is created, or put in the place of a damaged one, is noticed.
    Every method raises InvalidFileError for a damaged or foreign file, EnvironmentFailure for one
    of a newer version or that cannot be read, each with the command that helps.
    """

    @property
    def stamp(self) -> tuple[object, ...] | None:
        """Equal from one look to the next while nobody writes to the index; None without one."""
        version = self._ask(queries.version)
        return None if version is None else (self._file, version)

    def runs(
        self,
        *,
        ticket: str | None = None,
        status: RunStatus | None = None,
        limit: int | None = None,
        live: bool = False,
    ) -> list[RunRow]:
        """Runs, newest first; with `live` those that had not ended when they were last seen."""
        return self._ask(queries.runs, ticket, status, limit, live) or []

    def run(self, run: str) -> RunRow | None:
        """One run, or None if the index does not know it (yet)."""
        found = self._ask(queries.run, run)
        return found[0] if found else None

    def attempts(self, run: str) -> list[AttemptRow]:
        """Attempts of a run, oldest first."""
        return self._ask(queries.attempts, run) or []

    def events(self, run: str, name: str | None = None) -> list[Event]:
        """Events of a run by attempt and time."""
        found = self._ask(replay.events, run) or []
        return [event for event in found if name is None or event.name == name]

    def verdicts(self, run: str) -> list[VerdictRow]:
        """The verdict on each criterion of a run, in the ticket's order."""
        return self._ask(queries.verdicts, run) or []

    def tallies(self, runs: Collection[str]) -> dict[str, Tally]:
        """How many goals of these runs are met, of how many; those never judged are absent."""
        return self._ask(queries.tallies, runs) or {}

    def checkpoints(self, run: str) -> list[Checkpoint]:
        """Checkpoints of a run by attempt and step."""
        return self._ask(queries.checkpoints, run) or []

    def tickets(self) -> list[CachedTicket]:
        """Tickets as last parsed, by path."""
        return self._ask(queries.tickets) or []

    def sources(self, run: str) -> list[SourceRow]:
        """Event files of a run, with how far they were read and what could not be."""
        return self._ask(queries.sources, run) or []
