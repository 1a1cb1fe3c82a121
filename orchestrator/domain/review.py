"""What people say of criteria: their word beside the machine's verdict, never instead of it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from hashlib import sha256
from json import dumps

from orchestrator.domain.criterion import State, Verdict

_DIGITS = 12  # hexadecimal: what was seen is told apart, nothing is signed
_STATES = {
    State.MANUAL: "for a person to judge",
    State.NO_DATA: "there are no data",
    State.FAILED: "failed",
}


class Decision(StrEnum):
    """A person's word on a criterion; a note decides nothing."""

    ACCEPT = "accept"
    REJECT = "reject"
    WAIVE = "waive"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a review stands on: the run, its verdict, and digests of the claim and the evidence.

    `run` is None where no run is known, as in a clone without `.exp`; `state` where the machine
    has not judged the claim as it stands.
    """

    run: str | None
    state: State | None
    value: float | None
    claim: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What `by` (`Ada <ada@example.org>`) said of the criterion `key` at `time`, and why."""

    ticket: str
    key: str
    decision: Decision
    by: str
    time: float
    reason: str
    seen: Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A review today; `expired` says what has changed since, None if nothing has."""

    review: Review
    expired: str | None


class Gate(StrEnum):
    """Whether a required criterion lets its ticket be DONE, by the machine's and people's word."""

    PASSED = "passed"
    WAIVED = "waived"
    OPEN = "open"  # a person has to say something
    UNMET = "unmet"
    REJECTED = "rejected"


def seen_now(run: str | None, claim: str, verdict: Verdict | None) -> Seen:
    """What somebody sees who looks at a criterion now; `claim` is its line without notes."""
    if verdict is None:
        return Seen(run=run, state=None, value=None, claim=_digest(claim), evidence=_digest(None))
    value = None if verdict.value is None else float(verdict.value)  # 1 and 1.0 are one value
    found = None if verdict.evidence is None else asdict(verdict.evidence)
    return Seen(
        run=run,
        state=verdict.state,
        value=value,
        claim=_digest(claim),
        evidence=_digest([verdict.state, value, found]),
    )


def _digest(data: object) -> str:
    return sha256(dumps(data, ensure_ascii=True).encode()).hexdigest()[:_DIGITS]


def standings(reviews: Iterable[Review], now: Seen) -> tuple[Standing, ...]:
    """What holds of the reviews of one criterion: its notes, and of the decisions the newest."""
    told = list(reviews)
    decided = [review for review in told if review.decision is not Decision.NOTE]
    return tuple(
        Standing(review=review, expired=expiry(review.seen, now))
        for review in told
        if review.decision is Decision.NOTE or review is decided[-1]
    )


def expiry(seen: Seen, now: Seen) -> str | None:
    """What has changed since a review; what is not known now cannot expire it."""
    if seen.claim != now.claim:
        return "the line was edited"
    if now.run is None:
        return None
    if seen.run != now.run:
        return f"{now.run} tells of the ticket now, not {seen.run}"
    if now.state is None:
        return None
    if seen.state is not now.state:
        return f"the verdict is {now.state} now, not {seen.state or 'missing'}"
    return None if seen.evidence == now.evidence else "the evidence is another now"


def decision_of(said: Iterable[Standing]) -> Standing | None:
    """The decision among what is said of a criterion."""
    return next((one for one in said if one.review.decision is not Decision.NOTE), None)


def undone(said: Iterable[Standing]) -> str | None:
    """What speaks against a ticket that is DONE: its review has expired, or says no."""
    decision = decision_of(said)
    if decision is None:
        return None
    if decision.expired:
        return f"review expired: {decision.expired}"
    rejected = decision.review.decision is Decision.REJECT
    return "rejected, but the ticket is DONE" if rejected else None


def gate(state: State | None, decision: Standing | None, *, checked: bool, tickable: bool) -> Gate:
    """Where a required criterion stands.

    A person's word counts where the machine has none. It cannot turn what failed into a success:
    that can only be waived. A rejection holds the ticket up even when it has expired, until
    somebody looks again.
    """
    word = decision.review.decision if decision else None
    fresh = decision is not None and decision.expired is None
    if word is Decision.WAIVE and fresh:
        return Gate.WAIVED
    if word is Decision.REJECT:
        return Gate.REJECTED if fresh else Gate.OPEN
    if state in {State.FAILED, State.PENDING}:
        return Gate.UNMET
    if word is Decision.ACCEPT and fresh:
        return Gate.PASSED
    if state is State.NO_DATA:
        return Gate.UNMET
    if state is None or (word is Decision.ACCEPT and state is State.MANUAL):
        return Gate.OPEN  # a tick that rests on a review expires with it
    passed = checked or (state is State.MET and not tickable)
    return Gate.PASSED if passed else Gate.OPEN


def waits(
    verdict: Verdict | None, said: Iterable[Standing], *, polarity: str, checked: bool
) -> str | None:
    """Why a criterion waits for a person once its run has ended, or None."""
    decision, state = decision_of(said), verdict.state if verdict else None
    if decision is not None:
        return f"review expired: {decision.expired}" if decision.expired else None
    if polarity != "positive":
        return "the alarm is true" if (polarity, state) == ("inverted", State.MET) else None
    if state is None:
        return "no run has judged it as it stands"
    if state is State.FAILED and checked:
        return "ticked, although it failed"
    if state is State.MET:
        warned = "met, with a warning" if verdict and verdict.companions else None
        return warned if checked else warned or "met, and opened again by a person"
    return None if state is State.MANUAL and checked else _STATES.get(state)
