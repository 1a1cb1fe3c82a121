"""Facts of a run such as people report on: a validation training that met its goal at 40%."""

import math
import random
from dataclasses import replace

import pytest
from report_context import BEGIN, context

from orchestrator.domain.criterion import (
    Clause,
    Criterion,
    Decidable,
    Evidence,
    Kind,
    Projection,
    Reading,
    State,
    Subject,
    Verdict,
)
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.finding import Finding, KnownFinding, Quote, Severity
from orchestrator.domain.progress import Progress
from orchestrator.domain.run import Command, MetricSpec, Outcome, Phase, RunStatus
from orchestrator.report import (
    AttemptFacts,
    CriterionFacts,
    Dependent,
    GitFacts,
    Moment,
    ReportFacts,
    RunInfo,
    Sample,
    TicketFacts,
    metric_facts,
)

STEPS = 41_960
EVALUATIONS = (10_361, 20_722, 31_083, 41_444)
PASS_1 = (0.0088, 0.0550, 0.0862, 0.1125)
PASS_2 = (0.0163, 0.0750, 0.1388, 0.1750)
PERCENT = MetricSpec(unit="%", goal="max")


def threshold(metric, op, value, unit=None, aggregate=None):
    return Clause(
        subject=Subject.METRIC, metric=metric, op=op, value=value, unit=unit, aggregate=aggregate
    )


def judged(text, state, why, *, clauses=(), required=True, final=True, number=None, **more):
    reading = Reading(kind=Kind.THRESHOLD, clauses=clauses, decidable=Decidable.YES)
    criterion = Criterion(
        key=text, text=text, section="Acceptance Criteria", required=required, reading=reading
    )
    verdict = Verdict(state=state, final=final, why=why, **more)
    return CriterionFacts(criterion=criterion, verdict=verdict, number=number)


def training_loss(steps=STEPS, every=20, seed=7):
    """A noisy falling curve, with the same values at every call."""
    noise = random.Random(seed)
    return [
        (
            step,
            0.45
            + 4.2 * math.exp(-step / 6000)
            + noise.gauss(0, 0.05 + 0.3 * math.exp(-step / 9000)),
        )
        for step in range(1, steps + 1, every)
    ]


def _criteria():
    five = threshold("eval/pass@1", ">", 0.05, "%")
    return (
        judged(
            "Evaluation reports pass@1 > 5% on the named subset",
            State.MET,
            "eval/pass@1 = 11.25% at step 41,444",
            clauses=(five,),
            final=False,
            number=1,
            value=0.1125,
            margin=0.0625,
            unit="%",
            evidence=Evidence(
                kind="point",
                text="11.25%",
                source="attempt-2/events-node07-0-811.jsonl",
                line=2077,
                step=41_444,
            ),
        ),
        judged(
            "Training runs for ~52,000 steps",
            State.PENDING,
            "41,960 steps, 49,400 needed",
            final=False,
            value=41_960.0,
            margin=-7_440.0,
            unit="steps",
            number=2,
            projection=Projection(
                method="Theil-Sen over the last half, 90%", step=52_400, low=51_700, high=53_300
            ),
        ),
        judged(
            "No NaN in `train/loss`",
            State.FAILED,
            "NaN at step 12,001",
            number=3,
            evidence=Evidence(
                kind="point", text="NaN", source="attempt-2/events-node07-0-811.jsonl", line=601
            ),
        ),
        judged("Per-colour accuracy | each > 70%", State.NO_DATA, "no series matches acc/*"),
        judged("Curves look sensible to a person", State.MANUAL, "“sensible” cannot be measured"),
        judged("Checkpoints on the shared disk", State.WAIVED, "waived by Ada: disk is full"),
        judged(
            "Inference below 150 ms",
            State.MET,
            "latency = 96 ms at step 41,444",
            required=False,
            value=96.0,
            margin=54.0,
            unit="ms",
        ),
    )


def _metrics(criteria):
    loss = training_loss()
    loss[600] = (loss[600][0], math.nan)
    frozen = [each.criterion for each in criteria]
    return (
        metric_facts("train/loss", loss, None, frozen),
        metric_facts("eval/loss", list(zip(EVALUATIONS, (2.31, 1.42, 1.11, 1.02), strict=True))),
        replace(
            metric_facts(
                "eval/pass@1", list(zip(EVALUATIONS, PASS_1, strict=True)), PERCENT, frozen
            ),
            before=Sample(step=20_722, value=0.0312),
            declared=True,
        ),
        metric_facts("eval/pass@2", list(zip(EVALUATIONS, PASS_2, strict=True)), PERCENT),
        metric_facts("lr", [(step, 3e-4 * (1 - step / 60_000)) for step in range(1, STEPS, 100)]),
    )


@pytest.fixture(scope="session")
def rich():
    return rich_facts()


def rich_facts():
    """Facts that fill every section of a page."""
    criteria = _criteria()
    return ReportFacts(
        time=BEGIN + 30_000,
        path="experiments/urm/reports/T-0017/report.md",
        ticket=TicketFacts(
            id="T-0017",
            title="Run 5% validation training, pass@1 > 5%",
            path="tickets/T-0017.md",
            status="ONGOING",
            phase="VERIFYING",
            dependents=(
                Dependent(id="T-0018", title="Full training on 8 GPUs", status="BLOCKED"),
                Dependent(id="T-0019", title="Already done", status="DONE"),
            ),
        ),
        run=RunInfo(
            id="R-000042",
            status=RunStatus.RUNNING,
            outcome=None,
            why="running",
            folder=".exp/runs/R-000042",
            created=BEGIN,
            pid=1_552_427,
            host="node07.cluster.example.org",
            log=".exp/runs/R-000042/attempt-2/out.log",
            experiment="experiments/urm/validation-5pct.toml",
            seed=1234,
            commands=(
                Command(phase=Phase.TRAIN, argv=("python", "train.py", "--epochs", "10000")),
                Command(phase=Phase.EVAL, argv=("python", "evaluate.py")),
            ),
            resources={"gpus": 8, "gpu": "H100", "memory": "512 GiB"},
        ),
        git=GitFacts(
            commit="9f1c2ab7d3e4f5061728394a5b6c7d8e9f0a1b2c",
            branch="validation/5pct",
            patch=True,
            untracked=2,
        ),
        progress=Progress(
            step=STEPS,
            planned=51_905,
            elapsed=30_000.0,
            speed=1.7213,
            eta=(5_500.0, 6_100.0),
            method="median and middle half of 12 windows of wall time",
            eval_share=0.1234,
        ),
        criteria=criteria,
        metrics=_metrics(criteria),
        timeline=(
            Moment(time=BEGIN, text="attempt 1 started"),
            Moment(time=BEGIN + 6130, step=10_361, text="evaluation failed: exit code 1"),
            Moment(time=BEGIN + 7560, text="attempt 2 started from the checkpoint"),
            Moment(time=BEGIN + 13_700, step=20_722, text="pass@1 passes 5%: criterion met"),
        ),
        attempts=(
            AttemptFacts(
                number=1,
                started=BEGIN,
                ended=BEGIN + 6130,
                ending="exit code 1 in eval",
                first_step=1,
                last_step=10_361,
            ),
            AttemptFacts(
                number=2,
                started=BEGIN + 7560,
                ended=None,
                ending="running",
                first_step=10_362,
                last_step=STEPS,
            ),
        ),
        checkpoints=tuple(
            Checkpoint(
                step=step,
                path=f"checkpoints/step_{step}",
                bytes=377_487_360,
                files=3,
                time=BEGIN + step / 1.72,
                valid=step != 31_083,
                attempt=2,
            )
            for step in EVALUATIONS
        ),
        configuration={
            "epochs": 10_000,
            "lr": 3e-4,
            "data": {"name": "arc1concept-aug-100", "augmentations": 100},
            "betas": [0.9, 0.95],
            "compile": False,
            "resume": None,
        },
        **context(),
        log_tail=("step 41,950 loss 0.51", "", "", "step 41,960 loss 0.52"),
        findings=(
            KnownFinding(
                finding=Finding(
                    id="crash-before-save",
                    severity=Severity.ERROR,
                    title="The evaluation ran before the checkpoint was saved.",
                    evidence=(
                        Quote(
                            source="attempt-1/out.log",
                            line=5312,
                            text="RuntimeError: Inplace update to inference tensor",
                        ),
                    ),
                    arithmetic="1 h 42 min on 8 GPUs = 13.6 GPU-hours",
                    meaning="The crash at step 10,361 lost what had been trained by then.",
                    action='Save first: `checkpoint = "before_eval"`.',
                    retry=False,
                ),
                opened=BEGIN + 6120,
                seen=BEGIN + 6200,
            ),
            KnownFinding(
                finding=Finding(
                    id="input-bound",
                    severity=Severity.WARN,
                    title="the loader takes 31% of a step",
                    evidence=(Quote(source="attempt-1/events-a-0-1.jsonl", line=9, text="0.31"),),
                    arithmetic="0.18 s of 0.58 s = 31%",
                    meaning="The GPU waits for data.",
                    action="more workers",
                ),
                opened=BEGIN + 60,
                seen=BEGIN + 90,
                closed=BEGIN + 120,
            ),
        ),
        unknown=("GPU memory: no telemetry was written",),
        next_steps=("Compare with the 10% run",),
        notes="I trust this **one**.\n\n- lesson: look at the log\n",
        hosts=("node07.cluster.example.org",),
        home="/data/people/ada",
    )


@pytest.fixture
def bare():
    """Facts of a run that has just been launched and has logged nothing."""
    return ReportFacts(
        time=BEGIN,
        path="reports/T-0001/report.md",
        ticket=TicketFacts(
            id="T-0001", title="A first run", path="tickets/T-0001.md", status="ONGOING"
        ),
        run=RunInfo(
            id="R-000001",
            status=RunStatus.STARTING,
            outcome=None,
            why="starting",
            folder=".exp/runs/R-000001",
            created=BEGIN,
        ),
    )


@pytest.fixture
def crashed(bare):
    """Facts of a run that died before its first step."""
    return replace(
        bare,
        run=replace(
            bare.run, status=RunStatus.ENDED, outcome=Outcome.FAILED, why="exit code 1 in train"
        ),
        criteria=(judged("pass@1 > 5%", State.NO_DATA, "no point of pass@1 was logged"),),
        log_tail=("Traceback (most recent call last):", "ImportError: no module named torch"),
    )
