"""Criteria in rows, where the pending ones are heading, and what a person has to decide."""

from collections.abc import Sequence
from typing import Any

from orchestrator.domain import figures
from orchestrator.domain.criterion import Evidence, Projection, State
from orchestrator.domain.run import Outcome
from orchestrator.report import words
from orchestrator.report.facts import CriterionFacts, ReportFacts, RunInfo
from orchestrator.report.markdown import code, inline, literal
from orchestrator.report.view.setup import spent

Row = dict[str, Any]

_DECIDED = {"DONE", "FAILED"}
_BROKEN = {Outcome.FAILED, Outcome.LOST, Outcome.INCOMPLETE}
_NAMED = 5


def criteria(facts: ReportFacts) -> list[Row]:
    """Every criterion: what is required first, then what is nice to have, alarms, rules."""
    return [_criterion(each) for each in sorted(facts.criteria, key=_rank)]


def _rank(each: CriterionFacts) -> int:
    if not each.criterion.reading.is_goal:
        return 2 if words.is_alarm(each) else 3
    return 0 if each.criterion.required else 1


def _criterion(facts: CriterionFacts) -> Row:
    criterion, verdict = facts.criterion, facts.verdict
    decided = verdict.state in {State.MET, State.FAILED}
    return {
        "number": name_of(facts),
        "state": words.state_of(facts),
        "final": verdict.final or not decided,
        "text": criterion.text,
        "required": criterion.required,
        "goal": criterion.reading.is_goal,
        "warnings": verdict.companions,
        "edited": facts.edited,
        "reviews": facts.reviews,
        "evidence": literal(verdict.why or (verdict.evidence.text if verdict.evidence else "")),
        "source": _source(verdict.evidence),
        "margin": figures.margin(verdict),
    }


def name_of(each: CriterionFacts) -> str:
    """`C3`, as `exp ticket review` calls it."""
    return figures.NONE if each.number is None else f"C{each.number}"


def _source(evidence: Evidence | None) -> str | None:
    if evidence is None or evidence.source is None:
        return None
    return evidence.source if evidence.line is None else f"{evidence.source}:{evidence.line}"


def projections(facts: ReportFacts) -> list[Row]:
    """When pending criteria would be met at the present trend, by which method."""
    return [
        _projection(facts, each, each.verdict.projection)
        for each in facts.criteria
        if each.verdict.projection is not None and each.verdict.state is State.PENDING
    ]


def _projection(facts: ReportFacts, each: CriterionFacts, seen: Projection) -> Row:
    return {
        "text": each.criterion.text,
        "expected": "not at this trend" if seen.step is None else f"step {seen.step:,}",
        "interval": _interval(seen),
        "planned": _against_plan(seen, facts.progress.planned),
        "method": seen.method,
    }


def _interval(seen: Projection) -> str:
    if seen.low is None and seen.high is None:
        return figures.NONE
    low = figures.UNKNOWN if seen.low is None else f"{seen.low:,}"
    return f"{low} or later" if seen.high is None else f"{low} to {seen.high:,}"


def _against_plan(seen: Projection, planned: int | None) -> str:
    if planned is None:
        return figures.UNKNOWN
    if seen.step is None:
        return "no"
    if seen.high is not None and seen.high <= planned:
        return "yes"
    return "likely" if seen.step <= planned else "no"


def missed(facts: ReportFacts) -> list[CriterionFacts]:
    """Required criteria that have failed."""
    return [
        each
        for each in facts.criteria
        if each.criterion.required
        and each.criterion.reading.is_goal
        and each.verdict.state is State.FAILED
    ]


def decision(facts: ReportFacts, *, live: bool) -> Row | None:
    """What a person has to decide, with the options; None as long as nothing has gone wrong."""
    run, failed = facts.run, missed(facts)
    broken = run is not None and not live and run.outcome in _BROKEN
    if run is None or facts.ticket.status in _DECIDED or not (failed or broken):
        return None
    options = _while_it_lives(facts, run) if live else _at_its_end(facts, run)
    return {
        "why": [*_what_broke(facts, run, broken=broken), *_what_failed(failed)],
        "spent": spent(facts),
        "can_change": _can_change(facts, live=live),
        "options": [*options, *_by_a_person(facts, failed, live=live)],
    }


def _what_broke(facts: ReportFacts, run: RunInfo, *, broken: bool) -> list[str]:
    if not broken:
        return []
    cause = next((a.cause for a in reversed(facts.attempts) if a.cause), None)
    why = f": {literal(run.why)}" if run.why else ""
    evidence = f" ({code(cause)})" if cause else ""
    return [f"{code(run.id)} {words.state_of_run(run).lower()}{why}{evidence}"]


def _what_failed(failed: Sequence[CriterionFacts]) -> list[str]:
    told = []
    for each in failed[:_NAMED]:
        margin = figures.margin(each.verdict)
        short = "" if margin == figures.NONE else f", {margin} from its bound"
        final = "" if each.verdict.final else ", so far"
        told.append(f"{_called(each)} failed{final}: “{inline(each.criterion.text)}”{short}")
    if len(failed) > _NAMED:
        told.append(f"{len(failed) - _NAMED:,} more required criteria failed")
    return told


def _called(each: CriterionFacts) -> str:
    return "a required criterion" if each.number is None else name_of(each)


def _can_change(facts: ReportFacts, *, live: bool) -> str:
    """Which required criteria could still turn out otherwise."""
    required = [
        each
        for each in facts.criteria
        if each.criterion.required and each.criterion.reading.is_goal
    ]
    if not live and _saved(facts) is not None:
        # The end made every verdict final, and tells nothing of what further steps would do.
        return "If it is resumed, its criteria are judged again with what it logs then."
    movable = [each for each in required if not each.verdict.final]
    if not movable:
        return "No required criterion can change any more in this run."
    named = ", ".join(name_of(each) for each in movable if each.number is not None)
    return (
        f"{len(movable)} of {len(required)} required criteria can still change as it goes on"
        f"{f': {named}' if named else ''}."
    )


def _option(what: str, command: str, consequence: str) -> Row:
    return {"what": what, "command": command, "consequence": consequence}


def _while_it_lives(facts: ReportFacts, run: RunInfo) -> list[Row]:
    left = words.duration_range(facts.progress.eta)
    rest = (
        "Nobody knows how long the rest takes"
        if facts.progress.eta is None
        else (f"The rest takes {left}")
    )
    return [
        _option("Let it go on", f"exp run logs -f {run.id}", f"{rest}, {_waiting(facts)}."),
        _option(
            "Stop it, change, start again",
            f"exp run stop {run.id}",
            "It saves a checkpoint first; the new run starts from step 0.",
        ),
    ]


def _at_its_end(facts: ReportFacts, run: RunInfo) -> list[Row]:
    ticket = facts.ticket.id
    options = []
    if (saved := _saved(facts)) is not None:
        options.append(
            _option("Resume", f"exp run resume {run.id}", _resumed(facts, saved)),
        )
    again = f"A new run from step 0; the last one took {spent(facts)}."
    if any(each.finding.retry is False for each in facts.findings if each.closed is None):
        again += " The same again would end no better: change something first (Findings)."
    options.append(
        _option("Change and start again", f"exp ticket start {ticket}", again),
    )
    return options


def _saved(facts: ReportFacts) -> int | None:
    """The step from which a run that has ended short can go on."""
    if facts.run is None or facts.run.outcome is Outcome.COMPLETED:
        return None
    return max((c.step for c in facts.checkpoints if c.valid), default=None)


def _resumed(facts: ReportFacts, saved: int) -> str:
    lost = None if facts.progress.step is None else facts.progress.step - saved
    told = f"Goes on from the checkpoint of step {saved:,}"
    if lost:
        told += f"; {lost:,} steps are done again" if lost > 0 else ""
    return f"{told}."


def _by_a_person(facts: ReportFacts, failed: Sequence[CriterionFacts], *, live: bool) -> list[Row]:
    ticket = facts.ticket.id
    review = f"exp ticket review {ticket} --non-interactive"
    options = []
    if failed:
        waived = " ".join(f"--waive C{each.number}" for each in failed if each.number is not None)
        command = f'{review} {waived} --reason "…"' if waived else f"exp ticket review {ticket}"
        options.append(
            _option(
                "Waive by review",
                command,
                "The ticket can be DONE without it; the verdict stays as it is, "
                f"your name and reason beside it; {_freed(facts)}.",
            )
        )
    if not live:
        options.append(
            _option(
                "Accept as FAILED",
                f'{review} --decide failed --reason "…"',
                f"The ticket ends with what it has shown; {_waiting(facts)}.",
            )
        )
    return options


def _dependents(facts: ReportFacts) -> str:
    names = [code(other.id) for other in facts.ticket.dependents if other.status != "DONE"]
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _waiting(facts: ReportFacts) -> str:
    names = _dependents(facts)
    return (
        f"{names} stay{'' if ',' in names else 's'} blocked" if names else "no ticket waits for it"
    )


def _freed(facts: ReportFacts) -> str:
    names = _dependents(facts)
    return f"once DONE it frees {names}" if names else "no ticket waits for it"
