"""Ticks against their own notes: plain contradictions are found, unclear ones are left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.tickets.contradiction import contradiction, quantities


@pytest.mark.parametrize(
    "text",
    [
        "Training runs for ~52,000 steps (5% of full training) - Completed 80% (41,960 steps)",
        "Runs for 1000 steps - 960/1000 steps",
        "Trains for at least 45k steps - stopped at 44,000 steps",
        "pass@1 > 5% indicates learning (achieved 3.25%)",
        "pass@1 > 5% - pass@1=3.2% at 80%",
        "pass@1 ≥ 5% \u2014 only 4.9%",
        "loss < 0.5 - final 0.7",
        "loss stays below 0.5 - 0.7",
        "accuracy > 0.9 - accuracy 0.85",
        "Memory below 80 GB - peak 91.2 GB",
        "Done in under 3 hours - took 4 h",
        "Wandb online - skipped",
        "Pod deleted - NOT done",
        "accuracy > 0.9 ❌",
        "Evaluated on all 400 tasks - 396 tasks",
    ],
)
def test_contradictions(text):
    """A note that falls short of the one number of its claim contradicts the tick."""
    assert contradiction(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "Evaluation runs and reports pass@1 metric - pass@1=11.25% at 80%",
        "pass@1 > 5% indicates learning (achieved 11.25%)",
        "Training runs for ~52,000 steps - 51,905 steps",
        "Training runs for ~52,000 steps - 5 h of 8 h",
        "Trains for at least 45k steps - reached 50,000 steps",
        "Training pod launched with 8x H100, wandb online",
        "pass@1 > 5% - pass@2=3.2%",
        "accuracy > 0.9 - lr 0.001",
        "accuracy > 90% - 50% of the data",
        "accuracy > 90% - between 80% and 95%",
        "loss < 0.5 - ran 3 nights",
        "loss < 0.5 (currently > 0.3)",
        "Loss between 0.2 and 0.5 - 0.7",
        "Latency < 150 ms at batch 8 and < 20 ms at batch 1 - 90 ms",
        "Done in under 3 hours - took 2.5 h",
        "Checkpoints saved - failed once, then fixed",
        "Pod deleted - skipped at first, fixed later",
        "Memory below 80 GB - 91 GiB on the host before the fix, 60 GB now",
        "No OOM - 0 OOMs",
        "Fast inference (<150ms on CPU)",
        "Runs for 45k steps - loss 0.3 at 44,000 steps",
        "no note at all",
        "",
    ],
)
def test_no_guess(text):
    """Notes that agree, speak of something else or can be read in two ways are no finding."""
    assert contradiction(text) is None


def test_both_numbers_are_named():
    """The reason quotes what was claimed and what was noted."""
    why = contradiction("Training runs for ~52,000 steps - Completed 80% (41,960 steps)")
    assert "~52,000 steps" in why
    assert "41,960 steps" in why


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_counts_are_compared_as_numbers(claimed, reached):
    """A count with thousands separators falls short exactly when its number is smaller."""
    why = contradiction(f"Runs for {claimed:,} steps - {reached:,} steps")
    assert (why is not None) == (reached < claimed)


@given(st.text())
def test_any_text(text):
    """Any line has an answer, and no number is read where there is no digit."""
    assert contradiction(text) is None or any(c in text for c in " -\u2013\u2014(")
    assert any(c.isdigit() for c in text) or quantities(text) == []


def test_quantities():
    """Numbers are read with operator, scale and unit; places in time are left out."""
    found = quantities("~52,000 optimizer steps at step 300, 45k tokens, 5 % and 2.5h, pass@1")
    assert [(q.value, q.unit, q.near) for q in found] == [
        (52000.0, "step", True), (45000.0, "token", False), (5.0, "%", False), (2.5, "hour", False),
    ]  # fmt: skip
