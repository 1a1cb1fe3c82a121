"""Evidence in the ticket: one line for each criterion with all that a reader needs to check it."""

import pytest

from orchestrator.domain.criterion import Criterion, Evidence, Kind, Reading, State, Verdict
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.run import (
    AttemptState,
    GitState,
    Outcome,
    RunRecord,
    RunState,
    RunStatus,
)
from orchestrator.tickets import parse
from orchestrator.watch.evidence import evidence_lines, tally
from orchestrator.watch.observer import Observation
from orchestrator.watch.spending import Spent
from orchestrator.workspace import RunFolder

POINT = Evidence(
    kind="point",
    text="train/loss = 0.1 at step 10",
    source="attempt-1/events-a-0-1.jsonl",
    line=11,
    step=10,
)


def criterion(text, key=None, polarity="positive"):
    reading = Reading(kind=Kind.THRESHOLD, polarity=polarity)
    goal = polarity == "positive"
    return Criterion(key=key or text, text=text, section="C", required=goal, reading=reading)


def verdict(state=State.MET, **more):
    return Verdict(state=state, final=True, why="0.1 < 0.5 at step 10", evidence=POINT, **more)


def observation(tmp_path, pairs, **git):
    """A run that has ended with these criteria and verdicts."""
    state = GitState(**{"commit": "0123456789abcdef", "branch": "main", "patch": False, **git})
    record = RunRecord(
        id="R-000042", created=0.0, host="h", cwd="/", commands=(), git=state,
        criteria=tuple(pair[0] for pair in pairs),
    )  # fmt: skip
    ended = RunState(
        status=RunStatus.ENDED, outcome=Outcome.COMPLETED, attempt=AttemptState(number=1), why="w"
    )
    facts = RunFacts(
        run=record.id, ended=True, outcome=Outcome.COMPLETED, exit=None, attempts=1,
        planned_steps=None,
    )  # fmt: skip
    return Observation(
        folder=RunFolder(tmp_path / record.id), record=record, state=ended, end=ended, facts=facts,
        verdicts=tuple(pair[1] for pair in pairs), elapsed=1.0, idle=0.0, changed=True,
        quiet=0.0, alerts=(), used=Spent(),
    )  # fmt: skip


def lines(tmp_path, boxes, pairs, ours=frozenset(), **git):
    ticket = parse(f"## C\n{boxes}\n".encode(), "tickets/T-0001.md").ticket
    return evidence_lines(ticket, observation(tmp_path, pairs, **git), ours).splitlines()[2:]


def test_a_line_has_run_metric_value_step_commit_and_verdict(tmp_path):
    """One line says what was claimed, what came out, where, and of which code."""
    claim = criterion("Good <!-- exp: train/loss < 0.5 -->", "Good")
    box = "- [x] Good <!-- exp: train/loss < 0.5 -->"
    (whole,) = lines(tmp_path, box, [(claim, verdict())])
    assert whole == (
        "- Good: met. 0.1 < 0.5 at step 10 (R-000042, train/loss = 0.1 at step 10, "
        "commit 0123456789, `attempt-1/events-a-0-1.jsonl:11`)"
    )
    (patched,) = lines(tmp_path, box, [(claim, verdict())], patch=True)
    assert "commit 0123456789 with local changes" in patched
    (without,) = lines(tmp_path, box, [(claim, verdict())], commit=None)
    assert "commit" not in without


def test_companions_stand_behind_the_verdict(tmp_path):
    """A check that did not hold warns beside what was met."""
    warned = verdict(companions=("eval/acc has given 0.5\ntwenty times",))
    (line,) = lines(tmp_path, "- [x] a", [(criterion("a"), warned)])
    assert line.endswith("; **warning: eval/acc has given 0.5 twenty times**")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (State.MET, "**alarm: true**"),
        (State.FAILED, "alarm: not true"),
        (State.PENDING, "alarm: not so far"),
        (State.NO_DATA, "alarm: no data"),
    ],
)
def test_an_alarm_is_told_as_one(tmp_path, state, said):
    """The condition of an alarm is bad news when it holds; its box is nobody's business."""
    pair = (criterion("loss > 3", polarity="inverted"), verdict(state))
    (line,) = lines(tmp_path, "- [ ] loss > 3", [pair])
    assert line.startswith(f"- loss > 3: {said}. ")
    assert "left open" not in line


def test_what_a_person_did_since_is_said(tmp_path):
    """Edited thresholds with their numbers, edited predicates, ticks against the evidence."""
    pairs = [
        (criterion("acc > 5%"), verdict()),
        (criterion("Good <!-- exp: a > 1 -->", "Good"), verdict()),
        (criterion("c"), verdict(State.FAILED)),
        (criterion("d"), verdict()),
        (criterion("gone and forgotten"), verdict()),
    ]
    boxes = "- [ ] acc > 4%\n- [x] Good <!-- exp: a > 0.5 -->\n- [x] c\n- [ ] d - because"
    said = lines(tmp_path, boxes, pairs)
    told = lines(tmp_path, boxes, pairs, ours=frozenset({"c"}))
    assert "Ticked by an earlier run, against this evidence" in told[2]
    assert "Edited since the start (5% → 4%): the box was left alone" in said[0]
    assert "Edited since the start (1 → 0.5)" in said[1]
    assert "Ticked by a person, against this evidence" in said[2]
    assert "Opened again by a person: left open" in said[3]
    assert "Edited since the start: the box was left alone" in said[4]


def test_alarms_are_not_counted_as_criteria(tmp_path):
    """`2 of 2 met` must not hide, or come from, an alarm."""
    alarm = criterion("loss > 3", polarity="inverted")
    goals = [(criterion("a"), verdict()), (criterion("b"), verdict(State.FAILED))]
    seen = observation(tmp_path, [*goals, (alarm, verdict())])
    assert tally(seen) == "1 of 2 criteria met, 1 alarm true"
    assert tally(observation(tmp_path, goals)) == "1 of 2 criteria met"
