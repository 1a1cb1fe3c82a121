"""The first line of a commit: what has changed, the most important first."""

from dataclasses import replace

import pytest
from watch.test_evidence import observation

from orchestrator.domain.criterion import (
    Clause,
    Criterion,
    Evidence,
    Kind,
    Reading,
    State,
    Subject,
    Verdict,
)
from orchestrator.domain.run import Outcome, TicketRef
from orchestrator.watch.subjects import (
    body,
    decided_keys,
    decision_words,
    subject_of_end,
    subject_of_milestone,
)

NONE = frozenset()


def criterion(text, clause=None, *, required=True, polarity="positive"):
    clauses = () if clause is None else (clause,)
    reading = Reading(kind=Kind.THRESHOLD, clauses=clauses, polarity=polarity)
    return Criterion(key=text, text=text, section="C", required=required, reading=reading)


def clause(metric="pass@1", op=">", value=0.05, unit="%", **more):
    more = {"subject": Subject.METRIC, **more}
    return Clause(metric=metric, op=op, value=value, unit=unit, **more)


def verdict(state=State.MET, value=0.1125, unit="%", step=20_722, *, final=True):
    evidence = Evidence(kind="point", text="e", step=step)
    return Verdict(state=state, final=final, why="w", value=value, unit=unit, evidence=evidence)


@pytest.mark.parametrize(
    ("claim", "judged", "expected"),
    [
        (criterion("x", clause()), verdict(), "pass@1 11.25% > 5% met at step 20,722"),
        (
            criterion("x", clause(aggregate="mean")),
            verdict(State.FAILED, 0.0),
            "mean pass@1 0% is not > 5%, failed at step 20,722",
        ),
        (
            criterion("x", clause("t", "between", 1.0, "s", value2=2.0)),
            verdict(value=1.5, unit="s", step=None),
            "t 1.5 s in 1 s to 2 s met",
        ),
        (criterion("t < 9 s", clause("t", "<", 9.0, "ms")), verdict(unit="s"), "t < 9 s, met at "),
        (criterion("each", clause(quantifier="each")), verdict(), "each, met at step 20,722"),
        (criterion("as before", clause(baseline="R-1")), verdict(), "as before, met at"),
        (criterion("steps", clause(subject=Subject.STEP)), verdict(), "steps, met at step 20,722"),
        (criterion("No NaN"), verdict(value=None), "No NaN, met at step 20,722"),
        (criterion("Two", clause()), verdict(value=None, step=None), "Two, met"),
        (
            criterion("Runs - 3 of 4 done <!-- exp: no nan -->"),
            verdict(value=None, step=None),
            "Runs, met",
        ),
        (criterion("y" * 99), verdict(value=None, step=None), f"{'y' * 59}…, met"),
        (criterion("x", clause("a\n\nb")), verdict(step=None), "a b 11.25% > 5% met"),
    ],
)
def test_a_decision_in_words(claim, judged, expected):
    """A plain bound is told with its value; anything else by its claim, on one line."""
    words = decision_words(claim, judged)
    assert words == expected or (expected.endswith(("at", "at ")) and words.startswith(expected))


FAILED = criterion("lead > 8%", clause("lead", ">", 0.08)), verdict(State.FAILED, 0.0, step=9)
MET = criterion("pass", clause()), verdict(step=7)
NAN = criterion("No NaN"), verdict(value=None, step=8)
NICE = criterion("nice", clause(), required=False), verdict(step=7)
ALARM = criterion("loss is flat", required=False, polarity="inverted"), verdict(value=None)
OPEN = criterion("open", clause()), verdict(State.PENDING, final=False)
SO_FAR = criterion("so far", clause()), verdict(final=False)
MANUAL = criterion("looked at"), verdict(State.MANUAL, value=None)


def seen(tmp_path, pairs, outcome=Outcome.COMPLETED):
    made = observation(tmp_path, pairs)
    record = replace(made.record, ticket=TicketRef(id="T-0017", path="t", title="t", blob="b"))
    return replace(made, record=record, state=replace(made.state, outcome=outcome))


@pytest.mark.parametrize(
    ("pairs", "told", "expected"),
    [
        ([NAN, MET, OPEN], NONE, "pass@1 11.25% > 5% met at step 7 and 1 more"),
        ([NAN, MET, NICE, ALARM, FAILED], NONE, "lead 0% is not > 8%, failed at step 9 and 4 more"),
        ([NAN, ALARM, MET], NONE, "alarm: loss is flat and 2 more"),
        ([NAN, MET], {"pass"}, "No NaN, met at step 8"),
        ([NAN, MANUAL], {"No NaN"}, "R-000042 completed, 1 of 2 criteria met"),
        ([], NONE, "R-000042 completed, 0 of 0 criteria met"),
    ],
)
def test_the_end_of_a_run(tmp_path, pairs, told, expected):
    """Failures come first, then alarms, then values; nothing is told twice."""
    assert subject_of_end(seen(tmp_path, pairs), frozenset(told)) == f"T-0017: {expected}"


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.LOST, Outcome.INCOMPLETE])
def test_a_run_in_trouble_is_the_news(tmp_path, outcome):
    """A crash matters more than what was met before it."""
    subject = subject_of_end(seen(tmp_path, [MET, FAILED], outcome), NONE)
    assert subject == f"T-0017: R-000042 {outcome}, 1 of 2 criteria met"


def test_a_run_that_goes_on(tmp_path):
    """Told is what no record can change any more, then how attempts ended."""
    one = seen(tmp_path, [SO_FAR, NAN, MET, NICE, ALARM, MANUAL])
    assert decided_keys(one) == {"No NaN", "pass"}
    ended = ("R-000042 attempt 1 failed (oom)",)
    assert subject_of_milestone(one, NONE, ended) == (
        "T-0017: pass@1 11.25% > 5% met at step 7 and 2 more"
    )
    told = frozenset({"No NaN", "pass"})
    assert subject_of_milestone(one, told, ended) == f"T-0017: {ended[0]}"
    assert body(one).splitlines()[:3] == [
        "R-000042 completed, 4 of 5 criteria met, 1 alarm true",
        "",
        "- met: so far (w)",
    ]
