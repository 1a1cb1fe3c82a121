"""An attempt that ended: why it is not complete is written down, and the next one asked for.

failure.json is written first and decides; request.json of the next attempt follows from it. Killed
in between, the next watcher reads the decision and asks for the same attempt.
"""

import logging
from dataclasses import replace

from orchestrator.clock import Clock
from orchestrator.codec import encode
from orchestrator.diagnose.causes import Diagnosis, name_cause
from orchestrator.domain.run import BY_US, Outcome
from orchestrator.errors import ConflictError
from orchestrator.fsio import write_once
from orchestrator.store import Reader
from orchestrator.watch.attempts import request_attempt
from orchestrator.watch.censor import Censor
from orchestrator.watch.endings import evidence_of
from orchestrator.watch.forensics import preserve
from orchestrator.watch.observer import Observation
from orchestrator.watch.retrying import decide, next_request

log = logging.getLogger(__name__)


def settle(seen: Observation, reader: Reader, clock: Clock) -> bool:
    """Say why the newest attempt failed, once, and ask for the next one if there is to be one.

    Returns whether the run goes on. It does not if it is complete or published, or if it was not
    launched by `exp`.

    Raises:
        EnvironmentFailure: the run folder cannot be written; ask again.
    """
    folder, end = seen.folder, seen.end
    if end is None or end.outcome is Outcome.COMPLETED or seen.record.recorded_by != BY_US:
        return False
    found = None if folder.published_file.exists() else evidence_of(seen, end.attempt, reader)
    if found is None:
        return False
    failure = end.attempt.failure
    if failure is None:
        censor = Censor.of(seen.record, end.attempt.request)
        failure = decide(found.story, _without_secrets(name_cause(found.ending), censor))
        write_once(folder.attempt(end.attempt.number).failure_file, encode(failure))
        log.info("%s: %s: %s", folder.id, failure.cause, failure.evidence)
    preserve(folder, seen.record, end.attempt, failure)
    if not failure.retry:
        return False
    request = next_request(found.story, failure, found.left, now=clock.wall())
    try:
        request_attempt(folder, seen.record, request)
    except ConflictError:
        log.info("%s: somebody else has asked for the next attempt", folder.id)
    else:
        log.info("%s goes on: %s", folder.id, failure.why)
    return True


def _without_secrets(found: Diagnosis, censor: Censor) -> Diagnosis:
    """What a log says is quoted in tickets and reports, and git keeps those for ever."""
    evidence, fingerprint = censor.text(found.evidence), censor.text(found.fingerprint)
    return replace(found, evidence=evidence, fingerprint=fingerprint)
