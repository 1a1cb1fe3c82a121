"""Verdicts are a function of the set of records: order, pieces, replays change nothing."""

import itertools
import math
import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.criteria import Judge
from orchestrator.domain.point import Event, Point, Position
from orchestrator.domain.run import MetricSpec

PREDICATES = [
    "pass@1 > 5%",
    "`Eval loss` < 2",
    "eval/loss < 2 all",
    "eval/loss < 0.5 best",
    "loss < 1 final",
    "eval/loss in 0.5..1.5 all",
    "eval/loss < 1 by step 5",
    "eval/loss < 1 all by step 5",
    "eval/loss < 1 at step 4",
    "eval/loss < 1 after step 3",
    "max(eval/loss, steps 2..6) < 2",
    "entropy ~= 1 within 50%",
    "entropy != 0 all",
    "eval/loss < 1 mean",
    "eval/loss < 1 median",
    "eval/loss <= 2 p95",
    "eval/loss in 0..1 p50",
    "mean(eval/loss, last 3 points) < 1",
    "p50(eval/loss, last 4 steps) < 1",
    "min(eval/loss, last 2 s) < 1",
    "eval/loss < 1 all last 3 points",
    "eval/loss < 1 for 2 consecutive",
    "eval/loss < 1 for 2 consecutive last 4 points",
    "eval/loss > 0 first",
    "eval/loss >= 4 count",
    "eval/loss < 1 by 2 s",
    "mean(eval/loss, after 1 s) < 1",
    "eval/loss < 1 at 2 s",
    "eval/loss decreasing",
    "eval/loss increasing over last 4 steps",
    "eval/loss < train/loss",
    "eval/loss / train/loss < 1.2",
    "mean(eval/loss) - min(train/loss) < 1",
    "p95(eval/loss) < 2 * p50(train/loss)",
    "eval/loss > R-000001:eval/loss",
    "each */loss < 2",
    "any */loss < 0.5 best",
    "share(*/loss < 1 all) >= 50%",
    "eval/loss < 1 on rank 1",
    "eval/loss < 1 mean on all ranks",
    "eval/loss < 1 on all ranks",
    "max(eval/loss, last 3 points) < 1 on all ranks",
    "eval/loss decreasing on all ranks",
    "eval/loss < 1 for 2 consecutive on all ranks",
    "no nan in `*loss*` and no inf in `*loss*`",
    "no nan",
    "not eval/loss < 1 or entropy > 3",
    "pass@1 on evaluation exists",
    "gap < 1.5",
    "event done exists",
    "step >= 5",
]
METRICS = {
    "pass@1": MetricSpec(key="eval/pass@1", scale=100),
    "gap": MetricSpec(expr="eval/loss / train/loss"),
    "entropy": MetricSpec(chance="eval/loss"),
}
SETTING = {"baselines": {"R-000001:eval/loss": 0.7}}

_VALUES = st.sampled_from([0.0, -0.5, 0.3, 0.9, 1.0, 1.5, 2.0, 7.0, math.nan, math.inf, -math.inf])
_SERIES = ["eval/loss", "train/loss", "eval/pass@1", "entropy", "lr"]


@st.composite
def _written(draw):
    """What one run writes: attempts and segments that begin anywhere, each with rising steps."""
    points = []
    for metric, rank in draw(
        st.lists(st.tuples(st.sampled_from(_SERIES), st.sampled_from([0, 0, 1])), max_size=5)
    ):
        places = draw(
            st.lists(st.tuples(st.integers(1, 2), st.integers(0, 2)), max_size=3, unique=True)
        )
        for attempt, segment in places:
            steps = draw(st.lists(st.integers(0, 9), max_size=8, unique=True))
            for line, step in enumerate(sorted(steps), start=1 + 10 * segment):
                at = Position(
                    attempt=attempt,
                    segment=segment,
                    step=step,
                    time=100.0 + 10 * attempt + segment + draw(st.sampled_from([0.0, 1.0, 2.0])),
                    source=f"attempt-{attempt}/events-a-b-{rank}-7.jsonl",
                    line=line,
                )
                points.append(Point(metric=metric, value=draw(_VALUES), at=at))
    return list({(point.metric, point.at): point for point in points}.values())


def _differing(predicates, *verdicts):
    """Where two judges disagree; NaN equals NaN."""
    return [
        (predicate, one, other)
        for predicate, one, other in zip(predicates, *verdicts, strict=True)
        if repr(one) != repr(other)
    ]


def _in_order(points):
    return sorted(points, key=lambda point: (point.at, point.metric))


def _event(time):
    at = Position(attempt=1, segment=0, step=0, time=time, source="attempt-1/events.jsonl", line=1)
    return Event(name="done", at=at)


def _at(time, step):
    source = "attempt-1/events-a-b-0-7.jsonl"
    return Position(attempt=1, segment=0, step=step, time=time, source=source, line=step + 1)


# `mean(eval/loss, after 1 s) < 1` alone is about no `lr`, but that is the first record.
_OTHERS_FIRST = [
    Point(metric="lr", value=0.3, at=_at(110.0, 0)),
    Point(metric="eval/loss", value=7.0, at=_at(111.0, 1)),
    Point(metric="eval/loss", value=0.3, at=_at(112.0, 2)),
    Point(metric="eval/loss", value=1.5, at=_at(113.0, 3)),
]
_ALONE = next(
    seed
    for seed in itertools.count()
    if (chance := random.Random(seed)).sample(PREDICATES, chance.choice([1, 3, len(PREDICATES)]))
    == ["mean(eval/loss, after 1 s) < 1"]
)


@settings(max_examples=300)
@example(points=_OTHERS_FIRST, chance=random.Random(_ALONE), ended=True, remembers=True)
@given(
    points=_written(),
    chance=st.randoms(use_true_random=False),
    ended=st.booleans(),
    remembers=st.booleans(),
)
def test_order_pieces_and_replays_change_nothing(
    points, chance, ended, remembers, criterion, facts
):
    """Shuffled, split, repeated and filtered records give equal verdicts with equal evidence.

    Which predicates are judged together decides what a lane may take in late.
    """
    chosen = chance.sample(PREDICATES, chance.choice([1, 3, len(PREDICATES)]))
    criteria = [criterion(predicate) for predicate in chosen]
    known = facts(ended=ended, max_step=9)

    indexed = [*points, *points[:2]] if chance.random() < 0.5 else _in_order(points)

    def history(metric):
        return (point for point in indexed if point.metric == metric)

    plain = Judge(criteria, METRICS, **SETTING)
    mixed = Judge(criteria, METRICS, history=None if remembers else history, **SETTING)
    for point in _in_order(points):
        plain.observe_point(point)
    plain.observe_event(_event(111.5))
    shuffled = [*points, *chance.sample(points, len(points) // 2)]
    chance.shuffle(shuffled)
    cuts = sorted(chance.randint(0, len(shuffled)) for _ in range(3))
    for low, high in itertools.pairwise([0, *cuts, len(shuffled)]):
        for point in shuffled[low:high]:
            if mixed.wants(point.metric):
                mixed.observe_point(point)
        mixed.verdicts(known)
        mixed.observe_event(_event(111.5))
    assert not _differing(chosen, plain.verdicts(known), mixed.verdicts(known))


@settings(max_examples=200)
@given(points=_written(), cut=st.integers(0, 40))
def test_final_verdicts_hold_while_the_run_goes_forward(points, cut, criterion, facts):
    """What is final after some records is so after all, unless the run goes back in its steps."""
    forward, reached = [], {}
    for point in _in_order(points):
        if point.at.step > reached.get(point.metric, -1):
            reached[point.metric] = point.at.step
            forward.append(point)
    criteria = [criterion(predicate) for predicate in PREDICATES]
    judge = Judge(criteria, METRICS, **SETTING)
    judge.observe_event(_event(100.0))
    for point in forward[:cut]:
        judge.observe_point(point)
    early = judge.verdicts(facts(max_step=9))
    for point in forward[cut:]:
        judge.observe_point(point)
    for known in (facts(max_step=9), facts(ended=True, max_step=9)):
        for predicate, before, after in zip(PREDICATES, early, judge.verdicts(known), strict=True):
            if before.final:
                assert (after.state, after.final) == (before.state, True), (predicate, before.why)


@given(points=_written())
def test_an_ended_run_has_only_final_verdicts(points, criterion, facts):
    """After the end every verdict is final and none is pending."""
    judge = Judge([criterion(predicate) for predicate in PREDICATES], METRICS, **SETTING)
    for point in points:
        judge.observe_point(point)
    for predicate, verdict in zip(PREDICATES, judge.verdicts(facts(ended=True)), strict=True):
        assert verdict.final, predicate
        assert verdict.state.value != "pending", predicate
