"""Commits while a run goes on: what was decided and which attempts ended, a batch at a time.

milestones.json holds what the commits have told. What is about to be told is noted there first: a
watcher that was killed in a commit finds out from git whether that was made.
"""

import logging
from dataclasses import dataclass, replace

from orchestrator import tickets
from orchestrator.clock import Clock
from orchestrator.codec import encode, read_record_if_present
from orchestrator.config import load_config
from orchestrator.domain.milestone import Batch, Milestones
from orchestrator.errors import DamagedIndexError, InvalidFileError
from orchestrator.executors import executor_for
from orchestrator.fsio import write_atomic
from orchestrator.watch.committing import repository_for_commits
from orchestrator.watch.lifecycle import attempt_state, run_state
from orchestrator.watch.observer import Observation
from orchestrator.watch.reporting import write_report
from orchestrator.watch.subjects import body, decided_keys, subject_of_milestone
from orchestrator.workspace import RunFolder, Workspace

log = logging.getLogger(__name__)
_HOOK_LIMIT = 60.0  # seconds; other runs wait meanwhile, and the end's commit is still to come
_SHORTEST = 60.0  # seconds between a commit that failed and the next try
_LONGEST = 86_400.0


def told_so_far(folder: RunFolder) -> Milestones:
    """What the commits of a run have told; a file that cannot be read tells of none."""
    try:
        return read_record_if_present(Milestones, folder.milestones_file) or Milestones()
    except InvalidFileError as error:
        log.warning("milestones: %s", error)
        return Milestones()


def note_end(seen: Observation, *, now: float) -> None:
    """Note that the commit of a run's end has told all: the run may be resumed."""
    before = told_so_far(seen.folder)
    batch = Batch(
        time=now, criteria=tuple(sorted(decided_keys(seen))), attempts=seen.state.attempt.number
    )
    _write(seen.folder, before.after(batch, None))


def trailers_of(seen: Observation) -> dict[str, str]:
    """The trailers by which the commits of a run are found."""
    ticket = {"Ticket": seen.record.ticket.id} if seen.record.ticket else {}
    return ticket | {"Run": seen.folder.id}


@dataclass(slots=True)
class _Held:
    """A run's milestones in memory; `due` is when the next commit may be made (monotonic)."""

    told: Milestones
    number: int = 0
    news: bool = False
    due: float | None = None
    failures: int = 0


class MilestoneCommits:
    """Makes the commits of live runs; a look at a run of which nothing was decided costs nothing.

    What stands in the way is logged and tried again, at growing distances.
    """

    def __init__(self, workspace: Workspace, clock: Clock) -> None:
        self._workspace = workspace
        self._clock = clock
        self._held: dict[str, _Held] = {}

    def forget(self, run: str) -> None:
        """Hold nothing of a run that is not looked at any more."""
        self._held.pop(run, None)

    def look(self, seen: Observation) -> None:
        """Commit what is new of a live run, if that is wanted and its time has come.

        Raises:
            DamagedIndexError: the index has to be made again.
        """
        if seen.record.ticket is None or seen.record.commit_policy != "milestones":
            return
        held = self._held.get(seen.folder.id)
        if held is None:
            held = self._held[seen.folder.id] = _Held(told=told_so_far(seen.folder))
        number = seen.state.attempt.number
        if seen.changed or number != held.number:
            held.number = number
            held.news = self._batch(seen).is_news_to(held.told)
        if not held.news:
            return
        try:
            self._publish_when_due(seen, held)
        except DamagedIndexError:
            raise
        except Exception as error:  # whatever one run meets, the others are watched
            held.failures += 1
            held.told = told_so_far(seen.folder)  # what was tried may stand in git all the same
            pause = min(_LONGEST, max(_SHORTEST, self._every()) * 2.0**held.failures)
            held.due = self._clock.monotonic() + pause
            log.warning("%s: no milestone committed: %s", seen.folder.id, error, exc_info=True)

    def _batch(self, seen: Observation) -> Batch:
        return Batch(
            time=self._clock.wall(),
            criteria=tuple(sorted(decided_keys(seen))),
            attempts=seen.state.attempt.number - 1,
        )

    def _every(self) -> float:
        try:
            return load_config(self._workspace.root).git.every
        except InvalidFileError:
            return _SHORTEST  # what is wrong with it is said by whoever commits

    def _publish_when_due(self, seen: Observation, held: _Held) -> None:
        now = self._clock.monotonic()
        if held.due is None:
            held.due = now + self._wait(seen, held.told)
        if now < held.due:
            return
        held.told = self._publish(seen, held.told)
        held.news = self._batch(seen).is_news_to(held.told)
        held.due, held.failures = None, 0

    def _wait(self, seen: Observation, told: Milestones) -> float:
        """Seconds until a commit may be made: not early in a run, nor soon after another one."""
        waits = [self._every() - seen.used.wall]
        if told.time is not None:
            since = self._clock.wall() - told.time  # negative if the clock was set back
            waits.append(self._every() - max(0.0, since))
        return max(0.0, *waits)

    def _publish(self, seen: Observation, told: Milestones) -> Milestones:
        """Bring ticket and report up to date, commit them, and note what that told."""
        repository = repository_for_commits(self._workspace)
        if repository is not None:
            repository = replace(repository, hook_limit=_HOOK_LIMIT)
        ticket = tickets.find(self._workspace.tickets, trailers_of(seen)["Ticket"]).ticket
        if told.trying is not None and repository is not None:
            made = repository.find_commit((), trailers_of(seen), since=told.trying.time)
            if made is not None and made != told.commit:
                return _write(seen.folder, told.after(told.trying, made))
        batch = self._batch(seen)
        subject = subject_of_milestone(
            seen, frozenset(told.criteria), _endings(seen, told.attempts)
        )
        pages = write_report(self._workspace, ticket.id, now=batch.time)
        made = None
        if repository is not None:
            _write(seen.folder, replace(told, trying=batch))
            files = [self._workspace.root / path for path in (ticket.path, *pages)]
            made = repository.commit(files, subject, body(seen), trailers_of(seen))
        return _write(seen.folder, told.after(batch, made))


def _endings(seen: Observation, told: int) -> tuple[str, ...]:
    """How the attempts ended that no commit has told of, the newest first."""
    words = []
    for attempt in seen.folder.attempts():
        if told < attempt.number < seen.state.attempt.number:
            past = attempt_state(attempt, executor_for(seen.record.executor))
            outcome = run_state(seen.record, past, max_step=seen.facts.max_step).outcome
            cause = f" ({past.failure.cause})" if past.failure else ""
            words.append(f"{seen.folder.id} attempt {attempt.number} {outcome}{cause}")
    return tuple(reversed(words))


def _write(folder: RunFolder, told: Milestones) -> Milestones:
    write_atomic(folder.milestones_file, encode(told))
    return told
