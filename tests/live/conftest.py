"""Facts that were never measured, so that a screen looks the same each time."""

import pytest

from orchestrator.actions.hardware import GpuOverview, GpuRow, Holder
from orchestrator.actions.overview import Overview, RunOverview
from orchestrator.actions.pulse import Measured, Pulse
from orchestrator.actions.queue import WaitingRun
from orchestrator.actions.rows import CriterionRow, TicketRow
from orchestrator.actions.run_list import RunSummary
from orchestrator.domain.criterion import Projection, State, Verdict
from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.hardware import Gpu, GpuProcess
from orchestrator.git import Commit

NOW = 1_763_700_000.0
GIB = 1 << 30


def criterion(text, state=State.PENDING, *, required=True, polarity="positive", **more):
    """A criterion with a verdict; without a state it was never judged."""
    verdict = None if state is None else Verdict(state=state, final=False, why="why", **more)
    return CriterionRow(
        text=text,
        section="Acceptance Criteria",
        required=required,
        checked=False,
        predicate=None,
        why_not=None,
        verdict=verdict,
        polarity=polarity,
    )


def summary(number, **more):
    """A running run, as far as nothing else is said."""
    facts = {
        "ticket": f"T-{16 + number:04d}",
        "experiment": "experiments/a.toml",
        "status": "running",
        "outcome": None,
        "why": "running",
        "step": 12_400,
        "planned_steps": 20_000,
        "started": NOW - 7300,
        "ended": None,
    }
    return RunSummary(id=f"R-{number:06d}", **(facts | more))


def ticket(number, status="ONGOING", title="Learn", **more):
    """A ticket."""
    facts = {"phase": "", "after": (), "met": 1, "criteria": 3, "run": None, "run_status": None}
    facts |= {"run_problem": None}
    return TicketRow(id=f"T-{number:04d}", title=title, status=status, **(facts | more))


def a_finding(severity):
    """Something that is wrong."""
    return Finding(
        id="loss-spike",
        severity=severity,
        title="train/loss jumped",
        evidence=(Quote(source="a", text="b"),),
        arithmetic="1 > 0",
        meaning="bad",
        action="look",
    )


@pytest.fixture
def clock(monkeypatch):
    """The wall clock stands still."""
    import time

    monkeypatch.setattr(time, "time", lambda: NOW)


@pytest.fixture
def facts():
    """One run that goes well, one that waits, one that failed; GPUs, queue, commits."""
    passing = Projection(method="m", step=20_722, low=18_100, high=25_300)
    criteria = (
        criterion("pass@1 > 5%", margin=-0.012, value=0.038, unit="%", projection=passing),
        criterion("train/loss < 0.5", State.MET, margin=0.1, value=0.4),
        criterion("A person has looked at the curve", State.MANUAL),
    )
    curve = tuple(4 / (1 + place) for place in range(60))
    pulse = Pulse(
        loss=Measured(metric="train/loss", step=12_400, value=0.0512, time=NOW - 3),
        curve=curve,
        evaluation=Measured(metric="val/pass@1", step=12_000, value=0.038, time=NOW - 90),
        speed=12.25,
        ends=(NOW + 7500, NOW + 9600),
        last_point=NOW - 3,
    )
    waits = "waits for 1 GPU, 0 free (taken by R-000001)"
    failed = (criterion("No NaN", State.FAILED),)
    runs = (
        RunOverview(
            run=summary(1, attempt=2),
            title="Run 5% validation training",
            criteria=criteria,
            findings=(a_finding(Severity.WARN),),
            pulse=pulse,
            next=criteria[0],
        ),
        RunOverview(
            run=summary(2, status="queued", why=waits, started=None, step=None),
            title="Full training",
            criteria=(),
        ),
        RunOverview(
            run=summary(3, status="ended", outcome="failed", ended=NOW - 60),
            title="Distil \x1b[31mthe teacher",
            criteria=failed,
            findings=(a_finding(Severity.ERROR),),
            next=failed[0],
        ),
    )
    gpu = Gpu(
        uuid="GPU-1",
        index=0,
        name="NVIDIA H200",
        memory_total=140 * GIB,
        memory_used=43 * GIB,
        utilization=0.98,
        power=640.0,
        power_limit=700.0,
        temperature=61.0,
        processes=(GpuProcess(pid=4711, memory=43 * GIB),),
    )
    holder = Holder(pid=4711, memory=43 * GIB, run="R-000001")
    row = GpuRow(gpu=gpu, holders=(holder,), leased_to=("R-000001",))
    wait = WaitingRun(
        run="R-000002",
        ticket="T-0018",
        attempt=1,
        priority=0,
        since=NOW - 100,
        gpus=1,
        slots=None,
        after=(),
        why=waits,
        position=1,
    )
    return Overview(
        root="/somewhere/labs",
        tickets=(
            ticket(17, title="Run 5% validation training", run="R-000001", run_status="running"),
            ticket(18, title="Full training", run="R-000002", run_status="queued", met=0),
            ticket(19, title="Distil \x1b[31mthe teacher", run="R-000003", run_status="failed"),
            ticket(20, "DONE", "A long title " * 40, met=3),
            ticket(21, "READY", "Write the paper", met=0),
        ),
        runs=runs,
        needs=("T-0019: R-000003 failed (exp run logs R-000003)",),
        queue=(wait,),
        gpus=GpuOverview(time=NOW, driver="560", problem=None, gpus=(row,)),
        commits=(Commit(id="bf57d8d", time=NOW - 700, subject="T-0017: pass@1 11.25% > 5% met"),),
    )
