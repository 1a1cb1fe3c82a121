"""Logs in pieces and points by the thousand: the same hits, and no more memory."""

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.criteria import Judge
from orchestrator.criteria.judging.folds import Recent
from orchestrator.criteria.judging.monitors import LOG_PATTERNS, LogMonitor

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


def test_memory_does_not_grow_with_points(criterion, point, facts):
    """Of points that come in order nothing is asked again and few are kept."""
    predicates = ["loss < 2", "loss < 2 p95", "loss < 3 all", "mean(loss, last 100 points) < 2"]
    judge = Judge([criterion(p) for p in predicates], {}, history=_never)
    for step in range(50_000):
        judge.observe_point(point("loss", step, step % 7, step + 1))
    assert judge.verdicts(facts())[0].evidence.step == 49_999
    lane = judge._board.lanes["loss"]["0"]
    kept = [fold for fold in lane._folds.values() if isinstance(fold, Recent)]
    assert {len(fold.points) for fold in kept} == {50, 100}
    assert not judge._waiting


def _never(metric):
    raise AssertionError(f"{metric} was asked for again")
