"""The documents of `shared/seeds` as cases: what they tell, as records would have told it.

Those of SAGE are in seeds_sage.py.

Comments quote the sentence that a line comes from. Times are UTC.
"""

from dataclasses import replace
from datetime import UTC, datetime

from diagnose.cases import case, curve, event, hits, record

from orchestrator.diagnose.case import Hit, Hits
from orchestrator.domain.attempt import Failure
from orchestrator.domain.criterion import (
    Criterion,
    Decidable,
    Evidence,
    Kind,
    Reading,
    State,
    Verdict,
)
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.finding import Quote
from orchestrator.domain.retry import Cause
from orchestrator.domain.run import ExitRecord, Outcome

GIB = 2**30


def at(text):
    """Seconds since 1970 of `2025-10-10 02:06`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def notes(*lines):
    """Lines that people wrote."""
    return [Quote(source="tickets/T-0017.md", line=n, text=text) for n, text in enumerate(lines, 1)]


def said(attempt, *texts):
    """Lines of the log of an attempt."""
    source = f"attempt-{attempt}/out.log"
    found = [Hit(attempt=attempt, source=source, line=n, text=t) for n, t in enumerate(texts, 1)]
    return Hits(total=len(found), first=tuple(found))


def failed(cause, evidence, *, step=None):
    return Failure(
        cause=cause, evidence=evidence, fingerprint=evidence, retry=False, why="", step=step
    )


def ended(started, end):
    return ExitRecord(code=1, signal=None, started=started, ended=end, recorded_by="shim")


# --- T-0017.md ------------------------------------------------------------------------------

URM_BEGAN = at("2025-12-21 19:49")  # "Started training at 2025-12-21 19:49 UTC"
URM_EVAL = URM_BEGAN + 6130  # "10361/51905 [1:42:10<6:41:48,  1.72it/s]"
URM_AGAIN = at("2025-12-21 21:55")  # "Attempt 2: Started at 2025-12-21 21:55 UTC"
# "RuntimeError: Inplace update to inference tensor outside InferenceMode is not allowed."
URM_ERROR = "RuntimeError: Inplace update to inference tensor outside InferenceMode is not allowed."
# "step_10361 | 20% | 0.88% | 1.63%" and so on
URM_STEPS = (10361, 20722, 31083, 41444)
URM_PASS_1 = (0.0088, 0.0550, 0.0862, 0.1125)
URM_PASS_2 = (0.0163, 0.0750, 0.1388, 0.1750)
URM_PARAMS = {
    "epochs": 10000,  # "5% of 200,000 epochs = 10,000 epochs"
    "eval_every": 10361,  # the table: evaluations and checkpoints at 10361, 20722, 31083, 41444
    "checkpoint_every": 10361,
    "aggregated_voting": True,  # "Votes pooled across checkpoints": URM's evaluator, its default
}


def urm_record():
    reading = Reading(kind=Kind.THRESHOLD, decidable=Decidable.YES, predicate="`pass@1` > 0.05")
    return record(
        planned=51905,  # "Total steps: 51,905"
        params=URM_PARAMS,
        resources={"gpus": 8},  # "8x H100"
        criteria=(
            # "Goal: If pass@1 > 5% on evaluation, the approach is validated."
            Criterion(key="1", text="pass@1 > 5%", section="", reading=reading, required=True),
        ),
    )


def urm_first_events():
    """The evaluation that crashed; its checkpoint would have come after it."""
    return [
        event("start", {}, time=URM_BEGAN),
        event("gpu", {"ordinal": 0, "name": "NVIDIA H100 80GB HBM3"}, time=URM_BEGAN),
        event("phase", {"phase": "eval", "state": "begin"}, step=10361, time=URM_EVAL, line=2),
        event(
            "phase",
            {"phase": "eval", "state": "end", "seconds": 60.0, "error": URM_ERROR},
            step=10361,
            time=URM_EVAL + 60,
            line=3,
        ),
    ]


def urm_first():
    """The first attempt: crashed in its first evaluation."""
    pace = curve(
        "train/steps_per_second", [1.72, 1.72], steps=[1, 10361], times=[URM_BEGAN, URM_EVAL]
    )
    return case(
        record=urm_record(),
        curves=[pace],
        events=urm_first_events(),
        hits={"traceback": said(1, URM_ERROR)},
        failures={1: failed(Cause.PROGRAM, URM_ERROR, step=10361)},
        reported=notes("- Speed: ~1.72 it/s", "- ETA: ~8 hours"),
        started=URM_BEGAN,
        ended=True,
        outcome=Outcome.FAILED,
        exit=ended(URM_BEGAN, URM_EVAL + 60),
        now=URM_EVAL + 60,
        elapsed=6190.0,
    )


def urm_second():
    """The second attempt, by 80%: it had met its criterion at 40%."""
    steps = list(URM_STEPS)
    times = [URM_AGAIN + step / 1.72 for step in steps]
    own = {"steps": steps, "times": times, "source": "attempt-2/events-host-0-2.jsonl"}
    last = times[-1]  # "80% | 11.25%"; it was ended a few minutes later, at 41,960
    pace = curve(
        "train/steps_per_second",
        [1.72] * 4,
        steps=[1, 10361, 1, 41444],
        times=[URM_BEGAN, URM_EVAL, URM_AGAIN + 1, last],
    )
    pace = replace(pace, sources=[*pace.sources[:2], *[own["source"]] * 2])
    # "step_20722 | 40% | 5.50% | 7.50%": the criterion is final from there on
    decided = Evidence(
        kind="point",
        text="eval/pass@1 = 0.055",
        source="attempt-2/events-host-0-2.jsonl",
        line=2,
        step=20722,
        time=times[1],
    )
    return case(
        record=urm_record(),
        curves=[
            pace,
            curve("eval/pass@1", URM_PASS_1, **own),
            curve("eval/pass@2", URM_PASS_2, **own),
        ],
        events=[*urm_first_events(), event("start", {}, time=URM_AGAIN, attempt=2)],
        failures={1: failed(Cause.PROGRAM, URM_ERROR, step=10361)},
        checkpoints=[
            # "step_10361.pt, step_20722.pt, step_31083.pt, step_41444.pt (360MB each)"
            Checkpoint(
                step=step,
                path=f"step_{step}.pt",
                bytes=360_000_000,
                files=1,
                time=time,
                valid=True,
                attempt=2,
            )
            for step, time in zip(steps, times, strict=True)
        ],
        verdicts=[
            Verdict(state=State.MET, final=True, why="0.055 at step 20,722", evidence=decided)
        ],
        reported=notes(
            "- [x] Training runs for ~52,000 steps (5% of full training) - Completed 80%"
            " (41,960 steps)",
            "- [x] Evaluation runs and reports pass@1 metric - pass@1=11.25% at 80%",
            "- Speed: ~1.72 it/s",
            "- ETA: ~8.3 hours (expected completion ~06:15 UTC Dec 22)",
        ),
        attempt=2,
        started=URM_AGAIN,
        now=last,
        elapsed=last - URM_AGAIN,
    )


# --- distillation-analysis.md -----------------------------------------------------------------

DISTILL_PARAMS = {
    "gradient_accumulation": 16,  # "[Scheduler] Gradient accumulation: 16"
    "lr": 3e-5,  # "Expected LR: 3e-5 × (124 / 467)"
    "warmup_steps": 467,  # "[Scheduler] Warmup steps: 467 (10.0%)"
    # "kd_loss: 70% of total, feature_loss: 10%, attention_loss: 10%" ("from config alphas")
    "alphas": {"kd": 0.7, "feature": 0.1, "attention": 0.1},
    "temperature": 2.0,
    "kd_top_k": 256,
    "ema_decay": 0.9999,  # the repository's configuration; FAILURES.md: "An EMA of 0.9999 …"
}
DISTILL_BATCHES = 74823  # "[Scheduler] Total batches: 74,823"


def distill_before():
    """Before the fix: a scheduler sized in micro-batches, an evaluation that stands still."""
    evals = {"steps": [1000, 2000, 3000]}
    told = {
        "scheduler_steps": DISTILL_BATCHES,  # "No more 16x mismatch"
        "optimizer_steps": 4676,  # "[Scheduler] Optimizer steps: 4,676"
    }
    return case(
        planned=DISTILL_BATCHES,
        params=DISTILL_PARAMS,
        events=[event("config", told)],
        curves=[
            # "Step 999: loss=21.5475 (flat)", 21.6245, 21.6569
            curve("train/loss", [21.5475, 21.6245, 21.6569], steps=[999, 1999, 2999]),
            # "All evals: loss=101.40, kd=21.14, feature=40.79, attention=0.49"
            curve("eval/loss", [101.40] * 3, **evals),
            curve("eval/kd", [21.14] * 3, **evals),
            curve("eval/feature", [40.79] * 3, **evals),
            curve("eval/attention", [0.49] * 3, **evals),
        ],
    )


def distill_after():
    """After the fix, as the document was written."""
    told = {"scheduler_steps": 4676, "optimizer_steps": 4676}  # "Scheduler Correctly Configured"
    steps = [1118, 1999, 2065]
    # "2.4-2.5 it/s", "Time elapsed: ~15 minutes"
    pace = {"steps": steps, "times": [step / 2.4 for step in steps]}
    return case(
        planned=DISTILL_BATCHES,
        params=DISTILL_PARAMS,
        events=[event("config", told)],
        curves=[
            # "Step 1118: loss=15.7221", "Step 1999: loss=15.6401", "Step 2065: loss=15.5268"
            curve("log/loss", [15.7221, 15.6401, 15.5268], **pace),
            curve("log/lr", [0.0, 0.0, 0.0], **pace),  # "lr=0.00e+00 (at steps 1118, 1999, 2065)"
            # "Eval at step 2000: loss=95.86, kd=14.85, feature=41.22, attention=0.47"
            curve("log/eval/loss", [95.86], steps=[2000]),
            curve("log/eval/kd", [14.85], steps=[2000]),
            curve("log/eval/feature", [41.22], steps=[2000]),
            curve("log/eval/attention", [0.47], steps=[2000]),
        ],
        hits={
            "lr_zero": hits(*(f"{step}/24941 loss=15.6 lr=0.00e+00" for step in steps)),
            # "Step 1118: [Warning] lm_loss produced non-finite value (nan); clamping to zero."
            "clamp": hits("[Warning] lm_loss produced non-finite value (nan); clamping to zero."),
        },
        reported=notes(
            "- **Steps completed:** 2,065 / 24,941 (8.3% of epoch 1)",
            "- **Speed:** 2.4-2.5 it/s",
        ),
    )


# --- hrm-training-log.md ----------------------------------------------------------------------

HRM_PARAMS = {
    "batch_size": 20,  # "Stable: batch_size=20 with gradient_accumulation_steps=2"
    "gradient_accumulation_steps": 2,
    "num_workers": 2,  # "Stable: num_workers=2, pin_memory=True"
    "hidden_size": 256,  # "Hidden size: 256, Heads: 8"
    "num_heads": 8,
}
HRM_GPU = {"ordinal": 0, "name": "NVIDIA GeForce RTX 4090 Laptop GPU", "memory_total": 16 * GIB}


def hrm_before():
    """Validating every 50 steps on 408K samples took ~42 minutes each time, at 28 it/s."""
    train, validate = 50 / 28, 42 * 60.0
    round_ = train + validate
    events = [event("gpu", HRM_GPU)]
    for n in range(1, 5):
        end, line = n * round_, len(events) + 1
        begin = event(
            "phase",
            {"phase": "eval", "state": "begin"},
            step=50 * n,
            time=end - validate,
            line=line,
        )
        data = {"phase": "eval", "state": "end", "seconds": validate}
        events += [begin, event("phase", data, step=50 * n, time=end, line=line + 1)]
    loss = curve(
        "train/loss",
        [0.8, 0.78, 0.77, 0.75, 0.74],  # "Training loss: ~0.5-0.8 range"
        steps=[50, 100, 150, 200, 250],
        times=[n * round_ + train for n in range(5)],
    )
    return case(params={**HRM_PARAMS, "eval_frequency": 50}, curves=[loss], events=events)


def hrm_after():
    """eval_frequency 1000: the timeline's last rows, beside the speed that is told."""
    times = [at("2025-09-01 08:24"), at("2025-09-01 08:26"), at("2025-09-01 08:45")]
    return case(
        params={**HRM_PARAMS, "eval_frequency": 1000},  # "from 50 to 1000 steps"
        # "08:24 1200 Resumed optimized", "08:26 1500 Checkpoint", "08:45 2000 Validation running"
        curves=[curve("train/loss", [0.8, 0.6, 0.5], steps=[1200, 1500, 2000], times=times)],
        events=[event("gpu", HRM_GPU, time=times[0])],
        reported=notes(
            "- **Training Speed**: ~26-30 it/s after optimization",
            "- **GPU**: RTX 4090 Laptop (99% utilization, 12GB/16GB VRAM)",
            "- **Latest Step**: 2000 (currently running validation)",
        ),
    )
