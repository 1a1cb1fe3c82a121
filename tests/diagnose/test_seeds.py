"""The documents that this project began with raise what FAILURES.md names, and nothing else."""

import pytest
from diagnose import seeds, seeds_sage
from diagnose.cases import case, curve, found

from orchestrator.diagnose.findings import diagnose
from orchestrator.domain.run import MetricSpec

EXPECTED = {
    # "URM's crash in its first evaluation lost 1 h 42 min on 8 GPUs"
    seeds.urm_first: {"crash-before-save:attempt 1"},
    # "the second attempt met its criterion at 40%"; "votes pooled across checkpoints"
    seeds.urm_second: {
        "crash-before-save:attempt 1",
        "answer-known",
        "pooled-votes:eval/pass@1",
    },
    # "Eval loss 101.40 three times: frozen"; "off by the accumulation factor, 16"; "EMA of 0.9999";
    # the rows "train/eval gap" and "loss-component imbalance" of the table hold before the fix, too
    seeds.distill_before: {
        "frozen-evaluation:eval/loss",
        "scheduler-accumulation",
        "ema-horizon",
        "train-eval-gap:eval/loss",
        "component-imbalance:eval/loss",
        "unnamed-residual:eval/loss",
    },
    # "lr=0.00e+00 is no display artefact"; "39.3 of 95.86 is in no named component";
    # "NaN or Inf, also hidden"; "train/eval gap: ratio > 3 from the first eval"
    seeds.distill_after: {
        "lr-zero:log/lr",
        "ema-horizon",
        "hidden-nan:clamp",
        "train-eval-gap:log/eval/loss",
        "component-imbalance:log/eval/loss",
        "unnamed-residual:log/eval/loss",
    },
    # "Validation of 42 minutes every 50 steps at 28 it/s (1.8 s) = 99.9% of wall time"
    seeds.hrm_before: {"evaluation-dominates"},
    # '"26-30 it/s" contradicts its own timeline (300 steps in 2 min = 2.5 it/s)'
    seeds.hrm_after: {"speed-counts-skipped"},
    # "Validation missed fitting by 0.22 GiB"; "the task loss is under 0.1% of the objective";
    # '"RTX 2060 SUPER, 15.57 GiB": hardware facts come from NVML, not from notes'
    seeds_sage.sage_first: {
        "cuda-oom-eval",
        "component-imbalance:train/loss",
        "contradiction:gpu",
    },
    # "a materialised fp32 attention score matrix is the cause", so that fragmentation, the
    # trigger, is no finding of its own
    seeds_sage.sage_second: {
        "cuda-oom-train",
        "component-imbalance:train/loss",
        "contradiction:gpu",
    },
    # "An OOM at Oct 10 02:06 was noticed at Oct 12 19:10: 65 hours"
    seeds_sage.sage_third: {
        "noticed-late:attempt 1",
        "component-imbalance:train/loss",
        "contradiction:gpu",
    },
    # '"94.45% accuracy" is below the constant predictor'
    seeds_sage.sage_evaluated: {"collapse:val/pixel_accuracy"},
}

# Each number of FAILURES.md's first section, as the arithmetic of a finding says it.
NUMBERS = [
    (seeds_sage.sage_third, "noticed-late:attempt 1", "65 hours"),
    (seeds_sage.sage_evaluated, "collapse:val/pixel_accuracy", "94.45%"),
    (seeds_sage.sage_evaluated, "collapse:val/pixel_accuracy", "146,289/154,800 = 94.50%"),
    (seeds_sage.sage_first, "cuda-oom-eval", "tried 6.36 > 6.14 free"),
    (seeds_sage.sage_first, "cuda-oom-eval", "0.22 GiB short"),
    (seeds_sage.sage_first, "cuda-oom-eval", "6.36 GiB = 8 × 8 heads × 5164² × 4 B"),
    (seeds_sage.sage_second, "cuda-oom-train", "3.18 GiB = 4 × 8 heads × 5164² × 4 B"),
    (
        seeds_sage.sage_second,
        "cuda-oom-train",
        "tried 3.18 ≤ 1.53 free + 3.14 reserved but unallocated = 4.67 GiB",
    ),
    (seeds_sage.sage_first, "component-imbalance:train/loss", "= 0.07%"),
    (seeds.distill_before, "ema-horizon", "6,931 steps"),
    (seeds.distill_before, "ema-horizon", "4,676"),
    (seeds.distill_before, "scheduler-accumulation", "74,823 scheduler steps ÷ 4,676"),
    (seeds.distill_before, "scheduler-accumulation", "= 16.0, accumulation 16"),
    (seeds.hrm_after, "speed-counts-skipped", "300 steps in 2 min 00 s = 2.5 it/s"),
    (seeds.hrm_after, "speed-counts-skipped", "26 ÷"),
    (seeds.hrm_before, "evaluation-dominates", "42 min / (42 min + 1.79 s) = 99.9%"),
    (seeds.distill_after, "lr-zero:log/lr", "7.96e-6 would print as 7.96e-06"),
    (seeds.distill_before, "frozen-evaluation:eval/loss", "3 values, difference 0"),
    (seeds.distill_after, "unnamed-residual:log/eval/loss", "95.86 - 14.85 kd"),
    (seeds.distill_after, "unnamed-residual:log/eval/loss", "= 39.3, 41%"),
    (seeds.distill_after, "component-imbalance:log/eval/loss", "15.5% where 70%"),
    (seeds.distill_after, "component-imbalance:log/eval/loss", "43.0% where 10%"),
    (seeds.urm_first, "crash-before-save:attempt 1", "1 h 42 min: 8 GPUs"),
    (seeds.urm_second, "answer-known", "8 GPUs × 3.35 h = 26.77 GPU-hours"),
    (seeds_sage.sage_first, "contradiction:gpu", "RTX 2060 SUPER"),
]


@pytest.mark.parametrize(
    ("document", "keys"), EXPECTED.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_a_document_raises_exactly_what_is_named(document, keys):
    """No more and no less than FAILURES.md says of it."""
    assert found(diagnose(document())) == sorted(keys)


@pytest.mark.parametrize(
    ("document", "key", "text"), NUMBERS, ids=lambda x: getattr(x, "__name__", x)
)
def test_the_arithmetic_says_the_number(document, key, text):
    """The sum behind a finding holds the numbers that people would check."""
    (one,) = [each for each in diagnose(document()) if each.key == key]
    assert text in one.arithmetic
    assert "\n" not in one.title + one.arithmetic


@pytest.mark.parametrize(
    ("title", "document", "key"),
    [
        (
            "eval/loss is 101.4 to the last digit",
            seeds.distill_before,
            "frozen-evaluation:eval/loss",
        ),
        ("26-30 it/s is told", seeds.hrm_after, "speed-counts-skipped"),
        ("1 h 42 min of training lost", seeds.urm_first, "crash-before-save:attempt 1"),
    ],
)
def test_a_title_says_it_on_a_phone(title, document, key):
    """What happened stands in the first line."""
    (one,) = [each for each in diagnose(document()) if each.key == key]
    assert one.title.startswith(title)


@pytest.mark.parametrize("document", EXPECTED, ids=lambda each: each.__name__)
def test_every_finding_quotes_what_stands_there(document):
    """Some evidence of each is a point, a line or a setting of the case as it stands there."""
    given = document()
    texts = {q.text for q in given.reported} | {
        str(v) for e in given.events for v in e.data.values()
    }
    texts |= {curve.quote(n).text for curve in given.curves.values() for n in range(len(curve))}
    texts |= {hit.text for hits in given.hits.values() for hit in hits.shown}
    for finding in diagnose(given):
        quotes = [q for q in finding.evidence if q.source != "run.json"]
        known = [q for q in quotes if any(q.text in text or text in q.text for text in texts)]
        assert known or finding.evidence[0].source == "run.json", finding


@pytest.mark.parametrize(
    ("chance", "shown"),
    [
        (0.543, "54.30%"),  # "padding counts as colour 0 (54.3% of real cells …"
        (0.943, "94.30%"),  # "… 94.3% with padding)"
    ],
)
def test_background_is_the_baseline_of_cells(chance, shown):
    """The share of the background, with padding or without, is what a constant answer reaches."""
    spec = MetricSpec(key="val/cell_accuracy", chance=chance)
    one = case(
        metrics={"cells": spec},
        curves=[curve("val/cell_accuracy", [chance - 0.001], steps=[194])],
        ended=True,
    )
    (finding,) = diagnose(one)
    assert finding.key == "collapse:val/cell_accuracy"
    assert shown in finding.arithmetic
