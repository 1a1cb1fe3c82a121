"""A hang: silence against the pauses that a phase has shown before."""

import pytest
from diagnose.cases import case, curve, event, phases

from orchestrator.diagnose.rules.hanging import hang


def run(*, now, idle=None, times=range(10, 310, 10), events=(), **more):
    """A run that has logged a step every ten seconds since 0."""
    steady = curve("train/loss", [1.0] * len(times), times=times)
    begin = event("process", {"phase": "train", "state": "begin"}, time=0.0)
    silent = now - max(times) if idle is None else idle
    more = {"curves": [steady], "events": [begin, *events], "started": 0.0, **more}
    return case(now=float(now), idle=float(silent), **more)


@pytest.mark.parametrize(
    ("now", "more", "found"),
    [
        (300 + 119, {}, False),  # less than the floor
        (300 + 121, {}, True),  # five times ten seconds, and the floor
        (300 + 121, {"idle": 1.0}, True),  # what training prints is no progress
        (300 + 121, {"ended": True}, False),
        (300 + 121, {"thresholds": {"hang": 600.0}}, False),
        (300 + 121, {"started": None}, False),
        # a pause of 100 s before: five times that is the limit
        (1300, {"times": [*range(10, 310, 10), *range(400, 900, 10)]}, False),
        (1500, {"times": [*range(10, 310, 10), *range(400, 900, 10)]}, True),
    ],
)
def test_silence_beyond_what_was_seen_before(now, more, found):
    """Five times the longest pause of training, and the floor at the least."""
    assert bool(list(hang(run(now=now, **more)))) is found


def test_a_first_evaluation_may_take_its_time_and_print():
    """Where a phase has shown no pause yet, five floors count; a line of the log is progress."""
    inside = phases(("eval", 301.0, None, 30))
    assert not list(hang(run(now=301 + 599, events=inside)))
    (found,) = hang(run(now=301 + 601, events=inside))
    assert found.title.startswith("hangs in eval")
    assert not list(hang(run(now=301 + 601, events=inside, idle=5.0)))


def test_it_quotes_the_last_that_was_heard():
    """The newest point with its place, and what to type next."""
    (found,) = hang(run(now=1000))
    assert found.evidence[0].text == "train/loss = 1 at step 30"
    assert found.evidence[0].line == 30
    assert "5 times the longest pause of train" in found.arithmetic
    assert "exp run stop R-000001" in found.action


def test_before_any_record_nothing_is_said():
    """A program that is not tracked has no pace."""
    assert not list(hang(case(now=1e6, started=0.0, idle=1e6)))
