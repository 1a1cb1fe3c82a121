"""Where the rules of losses and evaluations begin and where they end."""

import math
import random
from dataclasses import replace

import pytest
from diagnose.cases import case, curve, event, found, hits, phases
from diagnose.shapes import decay, evals
from diagnose.sick import flat, spike

from orchestrator.diagnose.findings import diagnose
from orchestrator.domain.finding import Severity
from orchestrator.domain.run import MetricSpec

STEADY = [5.0 - n / 100 for n in range(400)]
PRECISE = 2.345678901234567


def keys(*curves, **fields):
    return found(diagnose(case(curves=curves, **fields)))


def only(*curves, **fields):
    (finding,) = diagnose(case(curves=curves, **fields))
    return finding


@pytest.mark.parametrize(
    ("rate", "planned", "is_found"),
    [
        ([0.0, *[1e-4] * 399], None, False),  # a warm-up begins there
        ([*[1e-4] * 399, 0.0], None, False),  # a schedule ends there
        ([*[1e-4] * 200, 0.0, *[1e-4] * 199], 400, False),  # a cycle touches it
        ([*[1e-4] * 200, 0.0, 0.0, *[1e-4] * 198], 400, True),
        ([*[1e-4] * 390, *[0.0] * 10], 400, False),
        ([*[1e-4] * 390, *[0.0] * 10], 4000, True),
        ([*[0.0] * 15, *[1e-4] * 385], 400, False),
        ([*[0.0] * 60, *[1e-4] * 340], 400, True),
        ([1e-30] * 400, 400, False),
        ([math.nan, *[1e-4] * 399], 400, False),
    ],
)
def test_a_rate_of_zero_counts_between_warmup_and_end(rate, planned, is_found):
    """Exactly zero, twice in a row, where the plan has it otherwise."""
    raised = keys(curve("train/loss", STEADY), curve("train/lr", rate), planned=planned)
    assert raised == (["lr-zero:train/lr"] if is_found else [])


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("step {} lr=0.00e+00", True),
        ("lr: 0e+00 ({})", True),
        ("step {} lr=0.0000", False),  # 7.96e-6 prints so, too
        ("step {} lr=1.0e+00", False),
        ("step {} lr=10e-00", False),
    ],
)
def test_only_an_exponent_proves_that_a_printed_rate_is_zero(text, is_found):
    """Without one it may have been rounded."""
    told = {"lr_zero": hits(*[text.format(n) for n in range(4)])}
    assert keys(curve("train/loss", STEADY), hits=told) == (["lr-zero:lr"] if is_found else [])


def test_a_rate_that_is_logged_stands_above_one_that_is_printed():
    """The optimizer's own value is known, whatever the log shows."""
    told = {"lr_zero": hits(*["lr=0.00e+00"] * 5)}
    curves = [curve("train/loss", STEADY), curve("train/lr", [1e-4] * 400)]
    assert keys(*curves, hits=told) == []


@pytest.mark.parametrize(
    ("values", "severity"),
    [
        ([*STEADY[:-1], math.nan], Severity.ERROR),
        ([*STEADY[:10], -math.inf, *STEADY[11:]], Severity.WARN),
        ([math.nan] * 5, Severity.ERROR),
        ([math.nan], Severity.ERROR),
    ],
)
def test_what_is_not_finite_is_an_error_as_long_as_it_lasts(values, severity):
    """The last point decides."""
    finding = only(curve("train/loss", values))
    assert (finding.id, finding.severity, finding.retry) == ("non-finite", severity, False)


def test_the_first_that_is_not_finite_is_named_with_what_was_finite_then():
    """A term that goes first, the loss behind it, the validation still fine."""
    values = [*STEADY[:100], *[math.nan] * 300]
    term = [*STEADY[:97], *[math.nan] * 303]
    curves = [
        curve("train/loss", values),
        curve("train/loss/kd", term),
        curve("val/loss", [3.0, 2.9], steps=[50, 95]),
    ]
    finding = only(*curves)
    assert finding.subject == "train/loss/kd"
    assert "step 98" in finding.title
    assert "val/loss = 2.9 at step 95" in finding.arithmetic
    assert "train/loss = nan at step 101" in [quote.text for quote in finding.evidence]


def test_a_replayed_stretch_counts_once():
    """NaN that a roll-back took back is no finding any more."""
    values = [*STEADY[:100], math.nan, math.nan, *STEADY[90:200]]
    steps = [*range(1, 103), *range(91, 201)]
    assert keys(curve("train/loss", values, steps=steps)) == []


def test_a_few_skips_of_the_loss_scaler_are_normal():
    """Ten, or a hundredth of the steps."""
    for lines, steps, expected in ((10, 400, []), (11, 400, ["hidden-nan:scaler_skip"])):
        told = {"scaler_skip": hits(*["skipping step"] * lines)}
        assert keys(curve("train/loss", STEADY[:steps]), hits=told) == expected
    told = {"scaler_skip": hits(*["skipping step"] * 11)}
    assert keys(curve("train/loss", STEADY, every=10), hits=told) == []


def test_a_nan_that_is_logged_is_not_hidden():
    """The curve shows it: one finding, not two."""
    told = {"nan": hits("loss is nan")}
    assert keys(curve("train/loss", [*STEADY, math.nan]), hits=told) == ["non-finite:train/loss"]


def test_thresholds_of_the_spec_decide():
    """A spike of 60 deviations is none where 200 are allowed."""
    whole = spike(random.Random(0))
    lenient = replace(whole.record, findings=replace(whole.thresholds, spike=200.0))
    assert found(diagnose(whole)) == ["loss-spike:train/loss"]
    assert diagnose(replace(whole, record=lenient)) == ()


@pytest.mark.parametrize("change", [{"verdicts": ()}, {"ended": True}])
def test_flat_matters_only_while_criteria_are_open_and_the_run_goes_on(change):
    """A converged curve is no finding."""
    whole = flat(random.Random(0))
    assert found(diagnose(whole)) == ["plateau:train/loss"]
    assert diagnose(replace(whole, **change)) == ()


@pytest.mark.parametrize(
    ("values", "is_found"),
    [
        ([3.1, PRECISE, PRECISE], True),
        ([3.1, PRECISE, PRECISE + 1e-12], False),
        ([3.1, 2.34375, 2.34375], False),  # bfloat16 says that soon
        ([3.1, 2.35, 2.35, 2.35], False),  # two digits do, too
        ([101.4, 101.4, 101.4], True),
        ([101.4, 101.4], False),
        ([0.0, 0.0, 0.0], False),
    ],
)
def test_the_same_evaluation_twice_needs_digits(values, is_found):
    """How much a repetition says depends on how much the number says."""
    trained = curve("train/loss", [30 - n / 20 for n in range(400)])
    raised = keys(trained, curve("val/loss", values, every=100))
    assert ("frozen-evaluation:val/loss" in raised) == is_found


def test_an_evaluation_is_frozen_as_a_whole_or_not():
    """Another series of it that moves clears it; another evaluation's does not."""
    still = curve("val/loss", [PRECISE] * 3, every=100)
    trained = curve("train/loss", STEADY)
    moving = [0.1, 0.2, 0.3]
    assert keys(trained, still, curve("val/acc", moving, every=100)) == []
    raised = keys(trained, still, curve("test/acc", moving, every=100))
    assert raised == ["frozen-evaluation:val/loss"]


def test_the_same_step_evaluated_again_says_nothing():
    """Steps must advance between the two."""
    again = curve("val/loss", [3.1, PRECISE, PRECISE], steps=[100, 400, 400])
    assert keys(curve("train/loss", STEADY), again) == []


@pytest.mark.parametrize(
    ("share", "is_found"),
    [(0.9445477390180879, True), (85 / 172, False), (9921 / 10000, False)],
)
def test_a_share_of_many_examples_does_not_come_again(share, is_found):
    """Of 172 or 10,000 examples it does."""
    raised = keys(curve("train/loss", STEADY), curve("val/acc", [share] * 3, every=100))
    assert raised == (["frozen-evaluation:val/acc"] if is_found else [])


def test_a_gap_behind_much_learning_is_another_thing():
    """Training that has halved its loss may know its examples by heart."""
    late = [*[2.0] * 20, *[0.1] * 380]
    raised = keys(curve("train/loss", late), curve("val/loss", [2.1, 2.2], every=200))
    assert raised == []
    early = keys(curve("train/loss", [2.0] * 150), curve("val/loss", [9.1, 9.2], every=50))
    assert early == ["train-eval-gap:val/loss"]


@pytest.mark.parametrize(
    ("accuracy", "is_found"), [(0.9449, True), (0.9499, True), (0.9501, False)]
)
def test_an_accuracy_is_held_against_the_series_of_its_baseline(accuracy, is_found):
    """Half a point above the constant predictor is the least."""
    metrics = {"val/acc": MetricSpec(goal="max", chance="val/constant")}
    curves = [curve("val/acc", [accuracy], steps=[300]), curve("val/constant", [0.945])]
    raised = keys(curve("train/loss", STEADY), *curves, metrics=metrics)
    assert raised == (["collapse:val/acc"] if is_found else [])


def test_an_accuracy_within_the_warmup_is_not_judged():
    """A model that has not learned yet is at chance; at the end of a run it counts."""
    curves = [curve("val/acc", [0.5], steps=[10]), curve("val/majority", [0.6], steps=[10])]
    assert keys(*curves, planned=1000) == []
    assert "collapse:val/acc" in keys(*curves, planned=1000, ended=True)


def test_only_evaluations_that_training_went_on_after_count():
    """A long one at the end is no interval's; one process tells, not each rank."""
    times = [float(n) for n in range(100)]
    trained = curve("train/loss", STEADY[:100], times=times)
    assert keys(trained, events=phases(("eval", 99, 9999, 100))) == []
    slow = curve("train/loss", STEADY[:100], times=[n + 300 * (n // 50) for n in range(100)])
    spans = phases(("eval", 49, 349, 50))
    other = [replace(e, at=replace(e.at, source="attempt-1/events-host-1-2.jsonl")) for e in spans]
    finding = only(slow, events=[*spans, *other])
    assert finding.id == "evaluation-dominates"
    assert "5 min / (5 min + " in finding.arithmetic


@pytest.mark.parametrize("params", [{"votes": "pooled"}, {"aggregated_voting": False}, {}])
def test_votes_that_are_pooled_under_a_name_of_their_own_are_fine(params):
    """`pooled/pass@1` says what it is."""
    curves = [curve("eval/pass@1", [0.1, 0.2]), curve("eval/pooled/pass@1", [0.1, 0.3])]
    assert keys(*curves, params=params) == []


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("pass@1 with 40 votes: 40.3%", False),
        ("voting over 1000 augmentations of step 4000", False),
        ("pooling votes with those before", True),
        ("votes of 3 checkpoints are counted", True),
        ("votes from step_1000, step_2000", True),
        ("votes from step_1000, again step_1000", False),
    ],
)
def test_a_line_about_votes_must_say_that_they_are_pooled(line, is_found):
    """Votes of a single checkpoint are how many are scored."""
    told = {"votes": hits(line)}
    raised = keys(curve("train/loss", STEADY), hits=told)
    assert raised == (["pooled-votes"] if is_found else [])


def test_strange_curves_are_survived():
    """One point, all NaN, steps and clocks that go back, values beyond floats' squares."""
    rng = random.Random(3)
    odd = [math.nan, math.inf, -math.inf, 0.0, -1e308, 1e308, 5e-324]
    names = ["train/loss", "val/loss", "val/acc", "train/lr", "grad_norm", "val/recall/1", "x/y/z"]
    ended = event("phase", {"phase": None, "state": "end", "seconds": "long"})
    for size in (0, 1, 2, 3, 70, 130):
        curves = [
            curve(
                name,
                [rng.choice(odd) if rng.random() < 0.3 else rng.gauss(0, 1) for _ in range(size)],
                steps=[rng.randrange(-5, 50) for _ in range(size)],
                times=[rng.uniform(-9, 9) for _ in range(size)],
            )
            for name in names
        ]
        findings = diagnose(case(curves=curves, events=[ended], planned=0))
        assert all(each.evidence for each in findings)
        assert len({each.key for each in findings}) == len(findings)


def test_the_order_of_the_series_does_not_matter():
    """The same curves the other way round give the same findings."""
    rng = random.Random(5)
    loss = decay(rng)
    curves = [
        curve("train/loss", loss),
        curve("val/loss", [*evals(rng, loss)[:3], PRECISE, PRECISE], every=50),
    ]
    assert keys(*curves) == keys(*reversed(curves)) == ["frozen-evaluation:val/loss"]
