"""What lies around the run that tests of reports tell of."""

from orchestrator.domain.finding import Finding, KnownFinding, Quote, Severity
from orchestrator.domain.remark import Remark
from orchestrator.report import Moment
from orchestrator.report.changes import Changes, FileChange, SettingChange, Since
from orchestrator.report.cost import Cost
from orchestrator.report.facts import Milestone
from orchestrator.report.machine import GpuUsage, Machine, Usage
from orchestrator.report.parts import ClassRow, ClassTable, ComponentRow, Components, Gap

BEGIN = 1_766_346_540.0  # 2025-12-21 19:49:00 UTC

OUT_OF_MEMORY = Finding(
    id="cuda-oom-eval",
    severity=Severity.ERROR,
    title="CUDA out of memory in evaluation",
    evidence=(Quote(source="attempt-1/out.log", line=3, text="CUDA out of memory"),),
    arithmetic="tried 6.36 > 6.14 free GiB",
    meaning="The scores of a whole batch are stored.",
    action="halve the evaluation batch",
)


def context():
    """What lies around the run: changes, machine, cost, parts of numbers, people's notes."""
    gib = 1024**3
    return {
        "changes": Changes(
            since=Since(
                label="R-000041",
                time=BEGIN - 3600,
                run="R-000041",
                commit="1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d",
            ),
            files=(
                FileChange(path="evaluators/arc.py", how="M", added=12, deleted=3),
                FileChange(path="models/urm.py", how="A", added=240, deleted=0),
            ),
            settings=(
                SettingChange(name="eval.batch_size", before="8", after="4"),
                SettingChange(name="warmup", before=None, after="467"),
            ),
            findings=(KnownFinding(finding=OUT_OF_MEMORY, opened=BEGIN - 3601, seen=BEGIN - 3601),),
        ),
        "reported": (("Parameters", "44,100,000"), ("Training examples", "1,546")),
        "machine": Machine(
            gpus=tuple(
                GpuUsage(
                    name="NVIDIA H100 80GB HBM3",
                    index=index,
                    memory_total=79.6 * gib,
                    memory=Usage(latest=61.2 * gib, median=61.0 * gib, peak=70.1 * gib),
                    utilization=Usage(latest=0.97, median=0.95, peak=1.0),
                    power=Usage(latest=640, median=630, peak=699),
                    temperature=Usage(latest=64, median=62, peak=71 + index),
                )
                for index in range(2)
            ),
            memory=Usage(latest=48 * gib, median=47 * gib, peak=52 * gib),
            memory_total=512 * gib,
            disk_free=1.2e12,
            checkpoints=4 * 377_487_360,
        ),
        "cost": Cost(
            hours=8.33, gpus=8, gpu_hours=66.7, budget_gpu_hours=100, price=2.5, currency="EUR"
        ),
        "milestone": Milestone(what="evaluation", step=51_805, eta=(5_500.0, 6_100.0)),
        "classes": (
            ClassTable(
                family="eval/acc by colour",
                step=41_444,
                rows=(
                    ClassRow(name="0", value=0.9994, count=146_289),
                    ClassRow(name="1", value=0.0014, count=1_402),
                    ClassRow(name="2", value=0.0, count=1_238),
                ),
                overall=0.9445,
                constant=0.9450,
                percent=True,
            ),
        ),
        "components": (
            Components(
                loss="eval/loss",
                step=41_444,
                total=95.86,
                rows=(
                    ComponentRow(name="kd", value=14.85, share=0.155, declared=0.7, before=21.14),
                    ComponentRow(name="feature", value=41.22, share=0.43, declared=0.1),
                    ComponentRow(name="attention", value=0.47, share=0.005, declared=0.1),
                ),
                unnamed=39.32,
            ),
        ),
        "gaps": (Gap(metric="loss", train=15.5, evaluation=95.86, train_step=41_941, step=41_444),),
        "remarks": tuple(
            Remark(kind=kind, by="Ada <ada@example.org>", time=BEGIN + 7000 + at, text=text)
            for at, (kind, text) in enumerate(
                (
                    ("cause", "evaluation kept the optimizer's memory"),
                    ("lesson", "save before you evaluate"),
                    ("decision", "go on with half the batch"),
                    ("confidence", "high"),
                    ("next", "try `expandable_segments`"),
                )
            )
        ),
        "log": (
            Moment(time=BEGIN - 9000, run="R-000041", text="attempt 1 started"),
            Moment(time=BEGIN - 3600, run="R-000041", text="failed: exit code 1 in train"),
            Moment(time=BEGIN, run="R-000042", text="attempt 1 started"),
            Moment(time=BEGIN + 6000, run="R-000042", step=10_361, text="checkpoint saved"),
        ),
    }
