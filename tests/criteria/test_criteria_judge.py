"""Default readings, evidence, margins and finality of verdicts."""

import math

import pytest

from orchestrator.criteria import Judge, decided
from orchestrator.domain.criterion import State
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.run import MetricSpec, Outcome

FRACTION = {"pass@1": MetricSpec(key="eval/pass@1", unit="fraction")}
PERCENT = {"pass@1": MetricSpec(key="eval/pass@1", scale=100)}


def _state(verdict):
    return verdict.state, verdict.final


def test_threshold_reads_the_latest_value(judged, point):
    """`X > v` is met by the latest value, with the deciding point and a margin in its unit."""
    points = [point("eval/pass@1", 20_722, 0.9, 3), point("eval/pass@1", 41_444, 0.1125, 4)]
    verdict = judged("pass@1 > 5%", points, metrics=FRACTION)
    assert _state(verdict) == (State.MET, False)
    assert (verdict.value, verdict.unit) == (0.1125, "%")
    assert verdict.margin == pytest.approx(0.0625)
    assert (verdict.evidence.line, verdict.evidence.step) == (4, 41_444)
    assert "met so far: 11.25% > 5% at step 41,444 (latest), margin +6.25 pp" in verdict.why


def test_threshold_is_final_only_at_the_end(judged, point):
    """An unmet threshold is pending while the run goes on and failed once it has ended."""
    points = [point("eval/loss", 10, 3.0)]
    assert _state(judged("`Eval loss` < 2", points)) == (State.PENDING, False)
    assert _state(judged("`Eval loss` < 2", points, ended=True)) == (State.FAILED, True)


def test_newest_segment_speaks(judged, point):
    """After a roll-back the replayed step counts, not the higher step that it replaced."""
    points = [point("loss", 90, 1.0, 1), point("loss", 50, 9.0, 2, segment=1)]
    assert judged("loss < 2", points, ended=True).state is State.FAILED


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_value_that_is_not_finite_fails_a_threshold(judged, point, value):
    """NaN and infinity do not meet an upper bound and have no margin."""
    verdict = judged("loss < 2", [point("loss", 1, value)], ended=True)
    assert (verdict.state, verdict.margin) == (State.FAILED, None)


def test_no_point_is_no_data(judged):
    """Without a point a run that goes on is pending and an ended one has no data."""
    for line in ("loss < 2", "no nan", "loss < 2 all", "pass@1 on evaluation exists"):
        assert judged(line).state is State.PENDING
        assert _state(judged(line, ended=True)) == (State.NO_DATA, True)


def test_best_stays_passed(judged, point):
    """`best` is decided for good by one point that passes, whatever comes after."""
    points = [point("eval/acc", 1, 0.9), point("eval/acc", 2, 0.1)]
    assert _state(judged("eval/acc > 0.5 best", points)) == (State.MET, True)
    assert _state(judged("eval/acc > 0.5", points)) == (State.PENDING, False)


def test_goal_says_what_best_means(judged, point):
    """The declared goal outranks the operator; a range without any goal is a question."""
    points = [point("q", 1, 1.0), point("q", 2, 5.0)]
    goal = {"q": MetricSpec(goal="min")}
    assert judged("q > 2 best", points, metrics=goal, ended=True).state is State.FAILED
    assert judged("q in 2..9 best", points, ended=True).state is State.MANUAL


def test_stays_fails_at_once_and_for_ever(judged, point):
    """One bad point fails `stays`; without one it is met only at the end, by its worst point."""
    good = [point("loss", 1, 1.0), point("loss", 2, 1.9), point("loss", 3, 1.2)]
    assert _state(judged("loss < 2 all", good)) == (State.PENDING, False)
    met = judged("loss < 2 all", good, ended=True)
    assert (met.state, met.evidence.step) == (State.MET, 2)
    assert met.margin == pytest.approx(0.1)
    bad = [*good, point("loss", 4, 2.5), point("loss", 5, 1.0), point("loss", 6, 9.0)]
    failed = judged("loss < 2 all", bad)
    assert (*_state(failed), failed.evidence.step) == (State.FAILED, True, 4)


def test_no_nan_looks_at_every_series(judged, point):
    """One NaN anywhere fails `no NaN` for good; `in losses` looks at losses only."""
    points = [point("train/loss", 1, 1.0), point("grad/norm", 2, math.nan, 2)]
    failed = judged("no nan", points)
    assert (*_state(failed), failed.evidence.line) == (State.FAILED, True, 2)
    assert judged("no nan in `*loss*`", points, ended=True).state is State.MET


def test_infinity_is_not_nan(judged, point):
    """`no NaN` says nothing of infinities; `no NaN or Inf` does."""
    points = [point("loss", 1, math.inf)]
    assert judged("no nan", points, ended=True).state is State.MET
    assert judged("no nan and no inf", points, ended=True).state is State.FAILED


def test_anchor_bounds_the_test_in_time(judged, point):
    """`by step N` is met by the first point up to N that satisfies it, never by a later one."""
    line = "acc > 0.5 by step 100"
    late = [point("acc", 50, 0.1), point("acc", 150, 0.9)]
    assert _state(judged(line, late)) == (State.FAILED, True)
    assert _state(judged(line, late, ended=True)) == (State.FAILED, True)
    met = judged(line, [*late, point("acc", 100, 0.6), point("acc", 60, 0.7)])
    assert (*_state(met), met.evidence.step) == (State.MET, True, 60)
    assert judged(line, [point("acc", 50, 0.1)]).state is State.PENDING
    assert judged(line, [point("acc", 50, 0.1)], max_step=101).state is State.FAILED
    assert judged(line, [point("acc", 150, 0.9)], ended=True).state is State.NO_DATA


def test_range_measures_to_the_nearer_bound(judged, point):
    """The margin of a range is the distance to the nearer end, negative outside."""
    inside = judged("acc in 0.4..0.8", [point("acc", 1, 0.7)], ended=True)
    outside = judged("acc in 0.4..0.8", [point("acc", 1, 0.9)], ended=True)
    assert (inside.state, outside.state) == (State.MET, State.FAILED)
    assert inside.margin == pytest.approx(0.1)
    assert outside.margin == pytest.approx(-0.1)


def test_declared_percent_is_converted_exactly(judged, point):
    """A series logged in percent is compared in decimal: 29 is not more than 29%."""
    points = [point("eval/pass@1", 1, 29.0)]
    assert judged("pass@1 > 29%", points, metrics=PERCENT, ended=True).state is State.FAILED
    met = judged("pass@1 >= 29%", points, metrics=PERCENT, ended=True)
    assert (met.state, met.value, met.margin) == (State.MET, 0.29, 0.0)


def test_undeclared_percent_is_asked_about(judged, point):
    """A percentage against a series of unknown scale is judged only if all values are in 0…1."""
    fractions = [point("acc", 1, 0.2), point("acc", 2, 0.7)]
    assumed = judged("acc > 50%", fractions, ended=True)
    assert assumed.state is State.MET
    assert "read as a fraction" in assumed.why
    asked = judged("acc > 50%", [*fractions, point("acc", 3, 70.0)])
    assert asked.state is State.MANUAL
    assert "declare scale = 100" in asked.why


def test_assumed_fraction_is_not_final_early(judged, point):
    """Percent values below one look like fractions: nothing is final before the end."""
    verdict = judged("eval/pass@1 > 5% best", [point("eval/pass@1", 10_361, 0.88)])
    assert _state(verdict) == (State.MET, False)


def test_bare_bound_against_a_percent_series_is_asked_about(judged, point):
    """`pass@1 > 0.05` against a series logged in percent has two meanings."""
    points = [point("eval/pass@1", 1, 3.0)]
    assert judged("pass@1 > 0.05", points, metrics=PERCENT).state is State.MANUAL
    assert judged("pass@1 > 2", points, metrics=PERCENT).state is State.MET


def test_unit_must_be_known(judged, point):
    """A bound in GB is compared only with a series known to be in GB."""
    line, points = "disk_free > 5 GB", [point("disk_free", 1, 7.0)]
    assert judged(line, points).state is State.MANUAL
    for unit, state in (("GB", State.MET), ("MB", State.MANUAL)):
        metrics = {"disk_free": MetricSpec(unit=unit)}
        assert judged(line, points, metrics=metrics).state is state
    named = [point("disk_free_gb", 1, 7.0)]
    assert judged("disk_free_gb > 5 GB", named).state is State.MET


def test_unbound_metric_is_pending_then_no_data_with_suggestions(judged, point):
    """A metric that no series matches never decides; near names are shown."""
    points = [point("eval/pixel_acc", 1, 0.9)]
    known = {"series": ("eval/pixel_acc", "lr")}
    assert judged("`grid accuracy` > 5%", points, **known).state is State.PENDING
    verdict = judged("`grid accuracy` > 5%", points, ended=True, **known)
    assert _state(verdict) == (State.NO_DATA, True)
    assert "near: eval/pixel_acc" in verdict.why


def test_rival_series_are_a_question(judged, point):
    """Where two series match, the machine does not choose."""
    points = [point("train/loss", 1, 1.0), point("eval/loss", 1, 9.0)]
    verdict = judged("loss < 2", points, ended=True)
    assert verdict.state is State.MANUAL
    assert "eval/loss, train/loss" in verdict.why or "train/loss, eval/loss" in verdict.why


@pytest.mark.parametrize(
    ("reached", "running", "ended"),
    [
        (None, (State.PENDING, False), State.NO_DATA),
        (30_000, (State.PENDING, False), State.FAILED),
        (49_400, (State.MET, False), State.MET),
        (54_600, (State.MET, False), State.MET),
        (54_601, (State.FAILED, True), State.FAILED),
    ],
)
def test_about_so_many_steps_is_within_five_percent(judged, reached, running, ended):
    """`~52,000 steps` is met from 49,400 to 54,600; only overshoot is final before the end."""
    line = "step ~= 52000"
    assert _state(judged(line, max_step=reached)) == running
    assert _state(judged(line, max_step=reached, ended=True)) == (ended, True)


def test_reached_steps_stay_reached(judged):
    """A lower bound on steps is met for good; an upper bound is failed for good."""
    assert _state(judged("step >= 1500", max_step=1500)) == (State.MET, True)
    assert _state(judged("step <= 1500", max_step=1501)) == (State.FAILED, True)


def test_metric_is_reported_by_one_finite_point(judged, point):
    """NaN reports nothing; one finite point of an exact or declared key is enough for good."""
    line = "pass@1 on evaluation exists"
    nothing = [point("eval/pass@1", 1, math.nan)]
    assert judged(line, nothing, metrics=FRACTION, ended=True).state is State.FAILED
    points = [*nothing, point("eval/pass@1", 2, 0.1)]
    assert _state(judged(line, points, metrics=FRACTION)) == (State.MET, True)


def test_training_metric_is_no_evaluation(judged, point):
    """`evaluation reports loss` is not met by a training series."""
    points = [point("train/loss", 1, 0.5)]
    assert judged("loss on evaluation exists", points, ended=True).state is State.NO_DATA


LOG = ("attempt-1/out.log", 1, "step 1\nstep 2\n")


def test_no_oom_needs_a_log(judged):
    """Without a log there is no data; with one the evidence counts lines and logs."""
    assert judged("no oom", ended=True).state is State.NO_DATA
    verdict = judged("no oom", ended=True, logs=[LOG, ("attempt-2/out.log", 1, "a\n")])
    assert (verdict.state, verdict.why) == (State.MET, "0 hits in 3 lines, 2 logs")
    assert judged("no oom", logs=[LOG]).state is State.PENDING


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("no oom", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"),
        ("no oom", "MemoryError"),
        ("no crash", "Segmentation fault (core dumped)"),
        ("no error", "Traceback (most recent call last):"),
        ("no error", "ValueError: shapes do not match"),
        ("no error", "2025-12-21 [ERROR] evaluator died"),
    ],
)
def test_hazard_in_a_log_fails_at_once(judged, line, text):
    """A matching log line fails the criterion for good and is shown with its place."""
    verdict = judged(line, logs=[LOG, ("attempt-1/out.log", 3, f"{text}\n")])
    assert _state(verdict) == (State.FAILED, True)
    assert (verdict.evidence.source, verdict.evidence.line) == ("attempt-1/out.log", 3)


@pytest.mark.parametrize(
    "text",
    ["0 errors found", "mean squared error: 0.3", "error_rate=0.1", "no out-of-order memory"],
)
def test_harmless_log_lines_are_no_hits(judged, text):
    """Words that resemble hazards do not fail a run."""
    logs = [("attempt-1/out.log", 1, f"{text}\n")]
    for line in ("no oom", "no crash", "no error"):
        assert judged(line, logs=logs, ended=True).state is State.MET


def test_exit_tells_of_crash_and_memory(judged, event, exit_record):
    """The cause of the exit counts beside the log: kernel's killer, signals, failed outcome."""
    killed = {"exit": exit_record(oom_kill=1), "outcome": Outcome.FAILED}
    assert judged("no oom", logs=[LOG], ended=True, **killed).state is State.FAILED
    crash = event("process", {"phase": "train", "state": "end", "code": None, "signal": 11})
    assert _state(judged("no crash", [crash], logs=[LOG])) == (State.FAILED, True)
    requeue = event("process", {"phase": "train", "state": "end", "code": 75, "signal": None})
    assert judged("no crash", [requeue], logs=[LOG], ended=True).state is State.MET
    failed = {"exit": exit_record(1), "outcome": Outcome.FAILED}
    assert judged("no crash", logs=[LOG], ended=True, **failed).state is State.FAILED


def test_unknown_end_is_no_data(judged, exit_record):
    """A run whose exit nobody saw has not proved that it did not crash or leave anything."""
    lost = {"exit": exit_record(None), "outcome": Outcome.LOST}
    assert judged("no crash", logs=[LOG], ended=True, **lost).state is State.NO_DATA
    assert judged("resources released", ended=True, **lost).state is State.NO_DATA


def _checkpoint(step, *, valid=True):
    return Checkpoint(
        step=step,
        path=f"checkpoints/step_{step}",
        bytes=1,
        files=1,
        time=float(step),
        valid=valid,
        attempt=1,
    )


def test_checkpoints_need_valid_manifests(judged):
    """Broken checkpoints do not count; the newest valid one is the evidence."""
    saved = (_checkpoint(1), _checkpoint(20), _checkpoint(300, valid=False))
    verdict = judged("checkpoints exist", ended=True, checkpoints=saved)
    assert (verdict.state, verdict.evidence.text) == (State.MET, "checkpoints/step_20")
    assert judged("checkpoints >= 3", ended=True, checkpoints=saved).margin == -1
    broken = judged("checkpoints exist", ended=True, checkpoints=saved[2:])
    assert broken.state is State.FAILED


def test_file_is_looked_for_through_the_facts(judged):
    """A file criterion is met by what find_files finds, and by nothing else."""
    known = {"find_files": lambda pattern: ("out/a.svg", "out/b.svg") if "svg" in pattern else ()}
    assert _state(judged("file `out/*.svg` exists", **known)) == (State.MET, False)
    assert _state(judged("file `x.pt` exists", ended=True, **known)) == (State.FAILED, True)


def test_resources_are_judged_from_the_exit_record(judged, exit_record):
    """Survivors fail it; leftovers that were ended are told of."""
    line = "resources released"
    assert judged(line).state is State.PENDING
    met = judged(line, ended=True, exit=exit_record(leftovers=2))
    assert (met.state, met.why) == (State.MET, "0 processes left, 2 leftovers ended")
    assert judged(line, ended=True, exit=exit_record(survivors=1)).state is State.FAILED


def test_evaluation_completes_with_its_process(judged, event):
    """The end of the evaluation process with code 0 counts, a failed one does not."""
    failed = event("process", {"phase": "eval", "state": "end", "code": 1})
    good = event("process", {"phase": "eval", "state": "end", "code": 0}, 2)
    assert judged("event eval exists", [failed], ended=True).state is State.FAILED
    assert _state(judged("event eval exists", [failed, good])) == (State.MET, True)
    training = event("phase", {"phase": "train", "state": "end"})
    assert judged("event train exists", [training]).state is State.PENDING


def test_conjunction_is_decided_by_its_worst_clause(judged, point):
    """One failed clause fails a line at once; all must be met for it to be met."""
    line = "a < 1 and b < 1 all"
    bad = [point("a", 1, 0.5), point("b", 1, 2.0, 2)]
    failed = judged(line, bad)
    assert (*_state(failed), failed.evidence.line) == (State.FAILED, True, 2)
    good = [point("a", 1, 0.5), point("b", 1, 0.2)]
    assert _state(judged(line, good)) == (State.PENDING, False)
    assert _state(judged(line, good, ended=True)) == (State.MET, True)
    assert judged(line, good[:1], ended=True).state is State.NO_DATA


def test_line_for_a_person_is_manual(judged):
    """A line that the machine does not read waits for a person, with the reason."""
    verdict = judged(None, ended=True)
    assert verdict.state is State.MANUAL
    assert "a person decides" in verdict.why


def test_wants_only_what_can_matter(criterion):
    """Points of other series need not be given to the judge."""
    judge = Judge([criterion("pass@1 > 5%"), criterion("no oom")], FRACTION)
    assert judge.wants("eval/pass@1")
    assert not judge.wants("train/loss")
    assert Judge([criterion("no nan")], {}).wants("anything")
    assert not Judge([criterion(None)], {}).wants("anything")


def test_decided_when_no_required_line_can_change(criterion, facts, point):
    """Manual and optional lines do not hold a run; without a machine line nothing is decided."""
    required, manual = criterion("eval/acc > 0.5 best"), criterion(None)
    optional = criterion("eval/acc > 0.9", required=False)
    criteria = [required, manual, optional]
    judge = Judge(criteria, {})
    assert not decided(criteria, judge.verdicts(facts()))
    judge.observe_point(point("eval/acc", 1, 0.6))
    assert decided(criteria, judge.verdicts(facts()))
    alone = Judge([manual], {})
    assert not decided([manual], alone.verdicts(facts(ended=True)))


def test_waits_as_long_as_a_series_may_still_get_a_rival(judged, point):
    """A binding by words alone is not final early, for another series may match later."""
    points = [point("eval/acc", 1, 0.9)]
    assert _state(judged("accuracy > 0.5 best", points)) == (State.MET, False)
    assert _state(judged("accuracy > 0.5 best", points, ended=True)) == (State.MET, True)
