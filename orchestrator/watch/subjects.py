"""What a commit of a run says in its first line: what has changed, the most important first."""

from collections.abc import Iterator
from dataclasses import replace

from orchestrator import tickets
from orchestrator.criteria.judging.bound import Bound
from orchestrator.criteria.values import shown
from orchestrator.domain.criterion import Clause, Criterion, State, Subject, Verdict
from orchestrator.domain.run import Outcome
from orchestrator.watch.evidence import one_line, tally, verdict_words
from orchestrator.watch.observer import Observation

_TROUBLES = {Outcome.FAILED, Outcome.LOST, Outcome.INCOMPLETE}
_DECIDED = {State.MET, State.FAILED}
_LONGEST = 60  # characters of a claim
_PLAIN = {None, "latest", "final", "best", "first"}  # aggregates that a name does without


def decided_keys(seen: Observation) -> frozenset[str]:
    """Required criteria of which no further record can change the verdict."""
    return frozenset(
        criterion.key
        for criterion, verdict in _judged(seen)
        if criterion.required and verdict.final and verdict.state in _DECIDED
    )


def subject_of_end(seen: Observation, told: frozenset[str]) -> str:
    """The first line of the commit of a run's end; `told` are criteria that earlier ones named."""
    whole = f"{seen.folder.id} {seen.state.outcome}, {tally(seen)}"
    if seen.state.outcome in _TROUBLES:
        return _subject(seen, [whole])
    return _subject(seen, [words for _, words in sorted(_news(seen, told))] or [whole])


def subject_of_milestone(seen: Observation, told: frozenset[str], ended: tuple[str, ...]) -> str:
    """The first line of a commit while a run goes on; `ended` says how attempts ended."""
    words = [words for _, words in sorted(_news(seen, told, only=decided_keys(seen)))]
    return _subject(seen, [*words, *ended])


def body(seen: Observation) -> str:
    """How the run stands, and a line for each criterion."""
    state = seen.state.outcome or seen.state.status
    lines = [f"{seen.folder.id} {state}, {tally(seen)}", ""]
    lines += [
        f"- {verdict_words(criterion, verdict)}: {one_line(criterion.text)} ({verdict.why})"
        for criterion, verdict in _judged(seen)
    ]
    return "\n".join(lines)


def _subject(seen: Observation, words: list[str]) -> str:
    ticket = f"{seen.record.ticket.id}: " if seen.record.ticket else ""
    more = f" and {len(words) - 1} more" if len(words) > 1 else ""
    return f"{ticket}{words[0]}{more}"


def _judged(seen: Observation) -> Iterator[tuple[Criterion, Verdict]]:
    yield from zip(seen.record.criteria, seen.verdicts, strict=True)


def _news(
    seen: Observation, told: frozenset[str], only: frozenset[str] | None = None
) -> Iterator[tuple[tuple[int, int], str]]:
    """What was decided of goals, and the alarms that are true, each with its place in the order."""
    for number, (criterion, verdict) in enumerate(_judged(seen)):
        if criterion.key in told or (only is not None and criterion.key not in only):
            continue
        reading = criterion.reading
        if reading.is_goal and verdict.state in _DECIDED:
            yield (_rank(criterion, verdict), number), decision_words(criterion, verdict)
        elif reading.is_alarm and verdict.state is State.MET:
            yield (1, number), f"alarm: {_claim(criterion)}"


def _rank(criterion: Criterion, verdict: Verdict) -> int:
    """Failures first; a value that met its bound tells more than that a file is there."""
    if not criterion.required:
        return 4
    if verdict.state is State.FAILED:
        return 0
    return 2 if _measured(criterion, verdict) else 3


def decision_words(criterion: Criterion, verdict: Verdict) -> str:
    """`pass@1 11.25% > 5% met at step 20,722`; else the claim and its verdict."""
    met = verdict.state is State.MET
    step = verdict.evidence.step if verdict.evidence else None
    at = "" if step is None else f" at step {step:,}"
    measured = _measured(criterion, verdict)
    if measured is None:
        return f"{_claim(criterion)}, {verdict.state}{at}"
    clause, value = measured
    bound = Bound(op=clause.op, value=value, other=clause.value2)
    relation = bound.relation(verdict.unit, met=met)
    name = clause.metric if clause.aggregate in _PLAIN else f"{clause.aggregate} {clause.metric}"
    words = f"{name} {shown(verdict.value or 0.0, verdict.unit)} {relation}"
    return one_line(f"{words} met{at}" if met else f"{words}, failed{at}")


def _measured(criterion: Criterion, verdict: Verdict) -> tuple[Clause, float] | None:
    """The one clause of a plain bound on a metric, where the verdict has its value."""
    if len(criterion.reading.clauses) != 1 or verdict.value is None:
        return None
    clause = criterion.reading.clauses[0]
    plain = replace(
        clause, aggregate=None, anchor=None, qualifier=None, op="", value=None, value2=None
    )
    bare = Clause(subject=Subject.METRIC, metric=clause.metric, op="", unit=clause.unit)
    if plain != bare or clause.value is None or clause.unit not in {None, verdict.unit}:
        return None
    return clause, clause.value


def _claim(criterion: Criterion) -> str:
    claim = one_line(tickets.split_note(tickets.without_predicate(criterion.text))[0])
    return claim if len(claim) <= _LONGEST else f"{claim[: _LONGEST - 1].rstrip()}…"
