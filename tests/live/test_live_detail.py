"""A run from near: the same facts at three sizes, without colours, and with bad input."""

import asyncio
import math
from dataclasses import replace
from pathlib import Path

import pytest
from live_screens import SCREENS, Given, text_of, until

from orchestrator.actions.closeup import CloseupFacts
from orchestrator.actions.curve import Curve
from orchestrator.actions.reading import RunDetail
from orchestrator.cli.live.app import StatusApp
from orchestrator.cli.live.eyes import SeenClosely
from orchestrator.cli.live.run import RunScreen
from orchestrator.cli.live.tables import RunTable, TicketTable
from orchestrator.domain.retry import Cause
from orchestrator.store.rows import LatestValue, SeriesRow
from orchestrator.watch.stories import AttemptStory
from orchestrator.workspace import Workspace

STEPS = tuple(range(0, 12_500, 100))

STORY = (
    AttemptStory(
        number=1,
        asked_by=None,
        asked_why=None,
        delay=0.0,
        phases=("train",),
        started=0.0,
        ended=754.0,
        gpus=0,
        first_step=1,
        last_step=6000,
        ending="signal 9 in train",
        cause=Cause.HOST_OOM,
        evidence="oom_kill 1",
        decision="attempt 2 follows",
    ),
)


@pytest.fixture
def near(facts, clock):
    """The first run of the board from near: two attempts, evaluations, a target, a NaN."""
    seen = facts.runs[0]
    values = tuple(math.nan if step == 9000 else 4 / (1 + step / 900) for step in STEPS)
    curve = Curve(
        series="train/loss",
        steps=STEPS,
        values=values,
        bounds=(0.5,),
        attempts=(6200,),
        evaluations=(4000, 8000, 12_000),
    )
    point = LatestValue(12_400, 0.2707, seen.run.started)
    names = ("train/loss", "val/pass@1", "system/gpu0/utilization")
    series = (
        SeriesRow(
            run="R-000001",
            name=name,
            count=125,
            nonfinite=0,
            low=0.0,
            high=4.0,
            max_step=12_400,
            latest=point,
        )
        for name in names
    )
    detail = RunDetail(
        id="R-000001",
        ticket="T-0017",
        title="Run 5% validation training",
        experiment="experiments/a.toml",
        status="running",
        outcome=None,
        why="running",
        attempts=2,
        step=12_400,
        planned_steps=20_000,
        started=seen.run.started,
        ended=None,
        story=STORY,
        params={},
        commands=("python train.py",),
        criteria=seen.criteria,
        latest={"train/loss": point},
        folder="/somewhere/labs/.exp/runs/R-000001",
        log="train.log",
        commit=None,
        report=None,
        problems=(),
        findings=seen.findings,
    )
    log = "".join(f"step {step} loss {4 / (1 + step / 900):.3f}\n" for step in STEPS[-30:])
    return CloseupFacts(
        detail=detail, series=tuple(series), metric="train/loss", curve=curve, log=log
    )


def shown(facts, near, size, *, after=None):
    """The screen of the run, as text."""

    async def go():
        app = StatusApp(Workspace(Path("/somewhere/labs")), Given(facts))
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.facts is not None and app.screen.query(RunTable))
            app.push_screen(RunScreen("R-000001"))
            await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.is_mounted)
            app.post_message(SeenClosely(near))
            await until(pilot, lambda: "R-0" in text_of(app))
            if after is not None:
                await pilot.resize_terminal(*after)
            await pilot.pause(0.4)
            return text_of(app)

    return asyncio.run(go())


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (250, 70)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_a_run_looks_as_it_was_looked_at(facts, near, size):
    """Every panel stands where a person saw it: remove the file to make it anew."""
    seen = shown(facts, near, size)
    assert max(map(len, seen.splitlines())) <= size[0]
    kept = SCREENS / f"run-{size[0]}x{size[1]}.txt"
    if not kept.exists():
        kept.write_text(seen)
        pytest.fail(f"look at {kept}, then commit it")
    assert seen == kept.read_text()


def test_bad_input_is_shown_and_harmless(facts, near):
    """Escape sequences, a title of 500 columns, no points at all, a screen that is too small."""
    detail = replace(near.detail, title="\x1b]0;owned\x07" + "x" * 500)
    bare = replace(near, detail=detail, series=(), metric=None, curve=None, log="\x1b[2Jgone\r")
    for size in ((80, 24), (40, 10), (10, 4)):
        seen = shown(facts, bare, size)
        assert "\x1b" not in seen
        assert max(map(len, seen.splitlines())) <= size[0]
    assert "no points yet" in shown(facts, bare, (80, 24))


def test_a_resize_draws_the_chart_anew(facts, near):
    """After it the screen is what it would have been at once."""
    assert shown(facts, near, (120, 40), after=(80, 24)).count("R-000001") >= 1
    grown = shown(facts, near, (80, 24), after=(250, 70))
    assert "┌" in grown
    assert max(map(len, grown.splitlines())) > 200


def test_five_thousand_tickets_are_counted_and_found(facts, clock):
    """The table holds the first hundreds, says how many more there are, the filter finds any."""
    row = facts.tickets[4]
    many = tuple(replace(row, id=f"T-{n:04d}", title=f"Title {n}") for n in range(1, 5001))

    async def go():
        app = StatusApp(Workspace(Path("/somewhere/labs")), Given(replace(facts, tickets=many)))
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: app.facts is not None and app.screen.query(TicketTable))
            table = app.screen.query_one(TicketTable)
            await until(pilot, lambda: table.row_count)
            assert "more through /" in str(table.border_subtitle)
            await pilot.press("slash", *"T-4999")
            await until(pilot, lambda: table.row_count == 1)

    asyncio.run(go())
