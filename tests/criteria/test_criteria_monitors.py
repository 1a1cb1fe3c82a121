"""Verdicts are a function of the set of records: order, pieces and replays change nothing."""

import itertools
import math
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.criteria import Judge
from orchestrator.criteria.monitors import LOG_PATTERNS, LogMonitor
from orchestrator.domain.point import Point, Position
from orchestrator.domain.run import MetricSpec

LINES = [
    "pass@1 > 5%",
    "`Eval loss` < 2",
    "eval/loss < 2 all",
    "eval/loss < 0.5 best",
    "loss < 1 final",
    "eval/loss in 0.5..1.5 all",
    "eval/loss < 1 by step 5",
    "entropy ~= 1 within 50%",
    "no nan in `*loss*` and no inf in `*loss*`",
    "no nan and eval/loss < 2",
    "pass@1 on evaluation exists",
    "no oom",
    "no error and no crash",
    "event eval exists",
]

_VALUES = st.sampled_from([0.0, -0.5, 0.3, 0.9, 1.0, 1.5, 2.0, 7.0, math.nan, math.inf, -math.inf])
_PLACES = st.builds(
    Position,
    attempt=st.integers(1, 2),
    segment=st.integers(0, 1),
    step=st.integers(0, 9),
    time=st.sampled_from([1.0, 2.0]),
    source=st.sampled_from(["attempt-1/a.jsonl", "attempt-2/b.jsonl"]),
    line=st.integers(1, 99),
)
_POINTS = st.builds(
    Point,
    metric=st.sampled_from(["eval/loss", "train/loss", "eval/pass@1", "entropy", "lr"]),
    value=_VALUES,
    at=_PLACES,
)
_SETS = st.lists(_POINTS, max_size=30, unique_by=lambda point: (point.metric, point.at))
METRICS = {"pass@1": MetricSpec(key="eval/pass@1", scale=100)}


def _same(one, other):
    """Equality of verdicts in which NaN equals NaN."""
    return repr(one) == repr(other)


@settings(deadline=None)
@given(points=_SETS, seed=st.randoms(use_true_random=False), ended=st.booleans())
def test_verdicts_ignore_order_and_repetition_of_points(points, seed, ended, criterion, facts):
    """Shuffled, repeated and filtered points give equal verdicts with equal evidence."""
    criteria = [criterion(line) for line in LINES]
    plain, mixed = Judge(criteria, METRICS), Judge(criteria, METRICS)
    for point in points:
        plain.observe_point(point)
    shuffled = [*points, *seed.sample(points, len(points) // 2)]
    seed.shuffle(shuffled)
    for point in shuffled:
        if mixed.wants(point.metric):
            mixed.observe_point(point)
    known = facts(ended=ended, max_step=9)
    assert _same(plain.verdicts(known), mixed.verdicts(known))


@settings(deadline=None)
@given(points=_SETS, cut=st.integers(0, 30))
def test_final_verdicts_never_change(points, cut, criterion, facts):
    """What is final after some records is the same after all of them and after the end."""
    criteria = [criterion(line) for line in LINES]
    judge = Judge(criteria, METRICS)
    for point in points[:cut]:
        judge.observe_point(point)
    early = judge.verdicts(facts(max_step=9))
    for point in points[cut:]:
        judge.observe_point(point)
    for known in (facts(max_step=9), facts(ended=True, max_step=9)):
        for before, after in zip(early, judge.verdicts(known), strict=True):
            if before.final:
                assert (after.state, after.final) == (before.state, True), before.why


@given(points=_SETS)
def test_an_ended_run_has_only_final_verdicts(points, criterion, facts):
    """After the end every verdict is final and none is pending."""
    judge = Judge([criterion(line) for line in LINES], METRICS)
    for point in points:
        judge.observe_point(point)
    verdicts = judge.verdicts(facts(ended=True))
    assert {verdict.final for verdict in verdicts} == {True}
    assert "pending" not in {verdict.state.value for verdict in verdicts}


_LOG_LINES = st.lists(
    st.sampled_from(["step 1 loss 0.3", "", "RuntimeError: CUDA out of memory", "fine", "ERROR x"]),
    max_size=25,
)


@given(lines=_LOG_LINES, seed=st.integers())
def test_log_evidence_ignores_pieces_and_replays(lines, seed):
    """A log in shuffled, overlapping pieces counts its lines once and keeps the same hits."""
    chance = random.Random(seed)
    whole, pieces = (LogMonitor(LOG_PATTERNS["oom"]) for _ in range(2))
    whole.observe("attempt-1/out.log", 1, "".join(line + "\n" for line in lines))
    cuts = sorted({0, len(lines), *(chance.randint(0, len(lines)) for _ in range(4))})
    spans = list(itertools.pairwise(cuts))
    spans += [(max(0, low - 1), high) for low, high in spans]
    chance.shuffle(spans)
    pieces.observe("attempt-1/out.log", 1, "")
    for low, high in spans:
        text = "".join(line + "\n" for line in lines[low:high])
        pieces.observe("attempt-1/out.log", low + 1, text)
    assert (pieces.lines, pieces.hits) == (whole.lines, whole.hits)
    assert whole.lines == len(lines)


def test_kept_hits_are_bounded_and_the_first():
    """Of a log full of errors only the first places are kept, whichever half comes first."""
    text = "CUDA out of memory\n" * 5000
    forward, backward = (LogMonitor(LOG_PATTERNS["oom"]) for _ in range(2))
    forward.observe("out.log", 1, text)
    forward.observe("out.log", 5001, text)
    backward.observe("out.log", 5001, text)
    backward.observe("out.log", 1, text)
    assert forward.hits == backward.hits
    assert (forward.hits[0].line, len(forward.hits)) == (1, 20)
    assert forward.seen == {"out.log": [(1, 10001)]}


def test_hit_text_is_short_and_without_control_characters():
    """Evidence from a log carries no escape sequence and no endless line."""
    monitor = LogMonitor(LOG_PATTERNS["oom"])
    monitor.observe("out.log", 7, "x" * 10_000 + "\x1b[31mCUDA out of memory\x1b[0m" + "y" * 10_000)
    (hit,) = monitor.hits
    assert hit.line == 7
    assert "CUDA out of memory" in hit.text
    assert len(hit.text) <= 200
    assert hit.text.isprintable()


def test_memory_does_not_grow_with_points(criterion, point):
    """Ten thousand points of one series leave one small monitor behind."""
    judge = Judge([criterion("`Eval loss` < 2")], {})
    for step in range(10_000):
        judge.observe_point(point("eval/loss", step, step % 7))
    ((monitor,),) = judge._monitors.values()
    kept = {monitor.latest, monitor.lowest, monitor.highest, monitor.first_good, monitor.first_bad}
    assert monitor.latest.at.step == 9_999
    assert len(kept) <= 5
