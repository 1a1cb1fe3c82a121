"""Ranks: the error before a collective's, and the one that is behind."""

import pytest
from diagnose.cases import case, curve, found, hits

from orchestrator.diagnose.case import Curve
from orchestrator.diagnose.rules import ranks

WATCHDOG = (
    "[Rank {rank}] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=12, "
    "OpType=ALLREDUCE, NumelIn=1, NumelOut=1, Timeout(ms)=600000) ran for 600030 milliseconds"
)
ERROR = (
    'Traceback (most recent call last):\n  File "a.py", line 1, in f\nValueError: bad sample 4711\n'
    f"{WATCHDOG.format(rank=3)}"  # the line that another rank printed next
)
ECHO = "Traceback (most recent call last):\ntorch.distributed.DistBackendError: NCCL error"


def progress(*lasts, every=1, name="train/loss"):
    """A series that each rank logs at each step up to its last, a second a step."""
    rows = [
        (step, rank) for rank, last in enumerate(lasts) for step in range(every, last + 1, every)
    ]
    rows.sort()
    return Curve(
        name=name,
        steps=[step for step, _ in rows],
        values=[1.0] * len(rows),
        times=[float(step) for step, _ in rows],
        sources=[f"attempt-1/events-a-b-{rank}-9.jsonl" for _, rank in rows],
        lines=[step for step, _ in rows],
        total=len(rows),
    )


def test_a_timeout_names_the_operation_the_waiting_ranks_and_the_one_behind():
    """Who waits says so; who is behind is seen in the points."""
    lines = hits(*(WATCHDOG.format(rank=rank) for rank in (0, 1)))
    (one,) = ranks.nccl_timeout(case(curves=[progress(90, 90, 40)], hits={"nccl": lines}))
    assert one.title == (
        "ALLREDUCE timed out after 10 min 00 s: rank 2 was at step 40, rank 0 at 90"
    )
    assert one.arithmetic == "waited: rank 0, 1; 2 lines of it"
    assert [quote.line for quote in one.evidence] == [40, 90, 1, 2]


def test_an_earlier_error_of_another_kind_is_the_root():
    """Its line comes first in the evidence, and no retry helps."""
    told = {"nccl": hits(WATCHDOG.format(rank=0), first=50), "traceback": hits(ERROR, first=7)}
    (one,) = ranks.nccl_timeout(case(hits=told))
    assert one.title.endswith("after ValueError: bad sample 4711")
    assert (one.evidence[0].line, one.retry) == (7, False)


@pytest.mark.parametrize("trace", [hits(ECHO, first=7), hits(ERROR, first=60)])
def test_an_echo_or_a_later_error_is_no_root(trace):
    """What a collective raised, or what came after it, explains nothing."""
    told = {"nccl": hits(WATCHDOG.format(rank=0), first=50), "traceback": trace}
    (one,) = ranks.nccl_timeout(case(hits=told))
    assert one.title == "ALLREDUCE timed out after 10 min 00 s; no earlier error is known"
    assert one.retry is None


def test_lines_of_an_earlier_attempt_are_not_told_again():
    """The newest attempt's lines count."""
    told = {"nccl": hits(WATCHDOG.format(rank=0), attempt=1)}
    assert found(ranks.nccl_timeout(case(hits=told, attempt=2))) == []


def test_a_rank_that_stopped_is_named():
    """Steps and seconds behind the first."""
    (one,) = ranks.rank_behind(case(curves=[progress(90, 40)]))
    assert one.key == "rank-behind:rank 1"
    assert one.arithmetic == "90 − 40 = 50 steps > 2, its last point 50 s older"


@pytest.mark.parametrize(
    ("made", "keys"),
    [
        (case(curves=[progress(90, 88)]), []),
        (case(curves=[progress(90, 80)]), []),
        (case(curves=[progress(90, 80)], ended=True), ["rank-behind:rank 1"]),
        (case(curves=[progress(90)]), []),
        (case(curves=[progress(90, 40)], attempt=2), []),
        (case(curves=[progress(90, 40)], thresholds={"ranks": 60}), []),
    ],
    ids=["two steps", "read later", "ended", "one rank", "another attempt", "threshold"],
)
def test_ranks_that_are_together_or_may_be(made, keys):
    """A few steps are how files are read while it lives; at the end they are all there."""
    assert found(ranks.rank_behind(made)) == keys


def test_a_rank_that_logs_seldom_is_not_behind():
    """One rank logs each step, the other every fiftieth."""
    often, seldom = progress(99), progress(0, 50, every=50)
    both = curve("train/loss", [1.0] * 100, steps=[*often.steps, 50], times=[*often.times, 50.0])
    sources = (*often.sources, seldom.sources[0])
    mixed = Curve(
        name="train/loss", steps=both.steps, values=both.values, times=both.times,
        sources=sources, lines=both.lines, total=100,
    )  # fmt: skip
    assert found(ranks.rank_behind(case(curves=[mixed]))) == []
