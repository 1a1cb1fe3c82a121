"""What is said against what was measured, and time that nobody saw go."""

import pytest
from diagnose.cases import case, curve, event, found, hits, record

from orchestrator.diagnose.rules import claims, lost_time
from orchestrator.domain.attempt import Failure
from orchestrator.domain.finding import Quote
from orchestrator.domain.retry import Cause
from orchestrator.domain.run import ExitRecord, Outcome

LOSS = curve("train/loss", [1.0] * 40, every=10, times=[4.0 * n for n in range(40)])  # 2.5 it/s
A100 = event("gpu", {"ordinal": 0, "name": "NVIDIA A100-SXM4-80GB", "memory_total": 80 << 30})


def noted(text, *, curves=(LOSS,), events=(A100,), **fields):
    quotes = [Quote(source="tickets/T-0001.md", text=text, line=3)]
    return case(curves=curves, events=events, reported=quotes, **fields)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("Speed: 26-30 it/s", ["speed-counts-skipped"]),
        ("Speed: 26\u201330 steps/s", ["speed-counts-skipped"]),
        ("Speed: 2.4-2.5 it/s", []),
        ("Speed: 3.5 it/s", []),
        ("Speed should be 30 it/s", []),
        ("Evaluation at 30 it/s", []),
        ("- [ ] Training speed > 30 it/s", []),
    ],
)
def test_a_speed_is_held_against_logged_steps(text, keys):
    """Targets and evaluations are no claims; 1.5 times is the limit."""
    assert found(claims.speed_counts_skipped(noted(text))) == keys


def test_micro_batches_are_iterations_too():
    """10 it/s of 4 micro-batches are 2.5 steps a second."""
    params = {"accumulate": 4}
    assert found(claims.speed_counts_skipped(noted("Speed: 10 it/s", params=params))) == []
    told = claims.speed_counts_skipped(noted("Speed: 20 it/s", params=params))
    assert (
        next(told).arithmetic == "100 steps in 40 s = 2.5 it/s; 20 ÷ (2.5 × 4 micro-batches) = 2.0"
    )


def test_a_bar_of_training_is_a_claim_and_another_bar_is_none():
    """The total of the bar is the planned step, or it is about something else."""
    bars = ["300/400 [00:10<00:03, 30.00it/s]", "300/512 [00:10<00:03, 30.00it/s]"]
    for bar, keys in zip(bars, (["speed-counts-skipped"], []), strict=True):
        one = case(curves=[LOSS], planned=400, hits={"speed": hits(bar)})
        assert found(claims.speed_counts_skipped(one)) == keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("- **GPU**: RTX 2060 SUPER (15.57 GiB)", ["contradiction:gpu"]),
        ("GPU: 1x A100 80GB", []),
        ("GPU: H100 SXM", ["contradiction:gpu"]),
        ("Hardware: 8 CPU cores, 64 GB", []),
        ("The paper used 8 H100 GPUs", []),
        ("Deploy best model to Jetson", []),
        ("Completed 80% (350 steps)", []),
        ("Completed 80% (41,960 steps)", ["contradiction:steps"]),
        ("We want 41,960 steps, completed or not", []),
        ("pass@1=11.25% at 80%", []),
        ("pass@1=21.25% at 80%", ["contradiction:eval/pass@1"]),
        ("pass@1 > 21%", []),
        ("pass@1 = 0.9% at 20%", []),
        ("mAP=99.0%", []),
    ],
)
def test_notes_are_held_against_records(text, keys):
    """Hardware, steps and scores; silent where a line may mean something else."""
    scores = curve("eval/pass@1", [0.0088, 0.055, 0.1125], every=100)
    assert found(claims.contradiction(noted(text, curves=[LOSS, scores]))) == keys


def test_a_score_that_was_once_not_finite_bounds_nothing():
    """NaN is neither above nor below what is told."""
    scores = curve("eval/acc", [0.5, float("nan"), 0.6])
    assert found(claims.contradiction(noted("acc = 99%", curves=[scores]))) == []


@pytest.mark.parametrize(
    ("told", "measured", "same"),
    [
        ("RTX 4090 Laptop", "NVIDIA GeForce RTX 4090 Laptop GPU", True),
        ("RTX 4090", "NVIDIA GeForce RTX 4090 Laptop GPU", False),
        ("RTX 4060 Ti", "NVIDIA GeForce RTX 4060 Ti", True),
        ("RTX 4060Ti", "NVIDIA GeForce RTX 4060 Ti", True),
        ("RTX 2060", "NVIDIA GeForce RTX 2060 SUPER", False),
        ("H100", "NVIDIA H100 80GB HBM3", True),
        ("A100", "NVIDIA A100-SXM4-80GB", True),
        ("V100", "Tesla V100-SXM2-32GB", True),
        ("GH200", "NVIDIA GH200 480GB", True),
        ("H100", "NVIDIA H200", False),
    ],
)
def test_models_of_gpus_are_told_apart(told, measured, same):
    """By number and by SUPER, Ti and Laptop."""
    one = noted(f"GPU: {told}", events=[event("gpu", {"name": measured})])
    assert found(claims.contradiction(one)) == ([] if same else ["contradiction:gpu"])


def test_utilization_is_held_against_the_mean_of_its_samples():
    """100% where 30% was measured."""
    for share, keys in ((0.3, ["contradiction:gpu-utilization"]), (0.95, [])):
        busy = curve("system/gpu.0.utilization", [share] * 20)
        one = noted("GPU: 100% utilization, 13.2GB VRAM in use", curves=[LOSS, busy])
        assert found(claims.contradiction(one)) == keys


def waits(share, *, step="train/step_seconds"):
    return case(
        curves=[
            curve("train/data_seconds", [share] * 20),
            curve(step, [1.0] * 20),
            curve("eval/data_seconds", [0.9] * 30),
        ],
        params={"num_workers": 2},
    )


def test_waiting_for_data_is_told_from_a_fifth_of_the_step_on():
    """From seconds beside those of a step, from a share, from the count of a rehearsal."""
    (finding,) = lost_time.input_bound(waits(0.3))
    assert finding.arithmetic.endswith("= 30.0%, limit 20%")
    assert finding.action.startswith("raise num_workers above 2")
    assert found(lost_time.input_bound(waits(0.1))) == []
    assert found(lost_time.input_bound(waits(0.3, step="train/other"))) == []
    share = case(curves=[curve("perf/data_share", [0.25] * 20)])
    assert found(lost_time.input_bound(share)) == ["input-bound"]
    asked = event("rehearsal", {"state": "asked"}, time=0.0)
    for seconds, keys in ((6.0, ["input-bound"]), (1.0, [])):
        counts = event("rehearsal", {"state": "counts", "data_seconds": seconds}, time=20.0)
        assert found(lost_time.input_bound(case(events=[asked, counts]))) == keys


def crashed(*, saved_every=100, error="RuntimeError: no", phase="eval"):
    data = {"phase": phase, "state": "end", "seconds": 2.0, "error": error}
    return case(
        record=record(params={"checkpoint_every": saved_every}, resources={"gpus": 2}),
        curves=[LOSS],
        events=[event("phase", data, time=160.0, line=9)],
        ended=True,
        started=0.0,
        outcome=Outcome.FAILED,
        exit=ExitRecord(code=1, signal=None, started=0, ended=160, recorded_by="shim"),
    )


def test_a_crash_in_evaluation_loses_what_was_not_saved():
    """Less than an interval is what a save every so often costs, and no finding."""
    (finding,) = lost_time.crash_before_save(crashed())
    assert finding.arithmetic.startswith(
        "400 − 0 = 400 steps ≥ 100 of checkpoint_every; 2 min 38 s"
    )
    assert finding.evidence[0].text == "eval: RuntimeError: no"
    assert found(lost_time.crash_before_save(crashed(saved_every=500))) == []
    assert found(lost_time.crash_before_save(crashed(error=None))) == []
    assert found(lost_time.crash_before_save(crashed(phase="train"))) == []


@pytest.mark.parametrize(
    ("hours", "retry", "count"), [(65, False, 1), (65, True, 0), (0.5, False, 0)]
)
def test_a_failure_that_nobody_saw_is_told_with_its_hours(hours, retry, count):
    """Not the pause that the tool itself made before it tried again."""
    failure = Failure(cause=Cause.CUDA_OOM, evidence="x", fingerprint="x", retry=retry, why="")
    first = event("finish", {}, time=1000.0)
    second = event("start", {}, time=1000.0 + hours * 3600, attempt=2)
    one = case(events=[first, second], failures={1: failure}, attempt=2)
    told = list(lost_time.noticed_late(one))
    assert len(told) == count
    assert all("65 hours" in each.arithmetic for each in told)
