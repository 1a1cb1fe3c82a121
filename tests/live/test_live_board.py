"""The board: the same facts at three sizes, and what the keys do."""

import asyncio
from pathlib import Path

import pytest
from live_screens import SCREENS, Given, text_of, until
from textual import events
from textual.widgets import Input

from orchestrator.cli.live.app import StatusApp
from orchestrator.cli.live.dialogs import ConfirmScreen, HelpScreen
from orchestrator.cli.live.run import RunScreen
from orchestrator.cli.live.tables import RunTable, TicketTable
from orchestrator.workspace import Workspace


def drive(facts, deeds, *, size=(120, 40), root="/somewhere/labs"):
    """Do something to an application that shows these facts; returns what the deeds return."""

    async def go():
        eyes = Given(facts)
        app = StatusApp(Workspace(Path(root)), eyes)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.facts is not None and app.screen.query(RunTable))
            await until(pilot, lambda: app.screen.query_one(RunTable).row_count == len(facts.runs))
            await pilot.pause()
            return await deeds(app, pilot, eyes)

    return asyncio.run(go())


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (250, 70)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_the_board_looks_as_it_was_looked_at(facts, clock, size):
    """Every panel stands where a person saw it: remove the file to make it anew."""

    async def look(app, pilot, _):
        await pilot.pause(0.2)
        return text_of(app)

    shown = drive(facts, look, size=size)
    assert max(map(len, shown.splitlines())) <= size[0]
    assert len(shown.splitlines()) == size[1]
    kept = SCREENS / f"board-{size[0]}x{size[1]}.txt"
    if not kept.exists():
        kept.write_text(shown)
        pytest.fail(f"look at {kept}, then commit it")
    assert shown == kept.read_text()


def test_a_small_screen_still_says_what_matters(facts, clock):
    """At 80x24: state, progress, time left, margin, who waits, what needs a person, the GPU."""
    shown = (SCREENS / "board-80x24.txt").read_text()
    for words in ("R-000001", "62%", "2h05 to 2h40", "-1.20 pp", "1/3", "waits for 1 GPU"):
        assert words in shown
    for words in ("✘ No NaN", "R-000003 failed", "98%", "T-0019"):
        assert words in shown
    assert "\x1b" not in shown


def test_keys_move_and_open(facts):
    """j and k as the arrows move the cursor; enter opens the run under it, escape leaves it."""

    async def move(app, pilot, eyes):
        runs = app.screen.query_one(RunTable)
        await pilot.press("j", "down", "k")
        assert runs.key_of_cursor == "R-000002"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert eyes.asked[-1] == "R-000002"
        await pilot.press("escape")
        await until(pilot, lambda: app.screen.query(RunTable))
        assert eyes.asked[-1] is None
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await until(pilot, lambda: app.focused is not None and app.focused.id == "log")

    drive(facts, move)


def test_what_is_typed_after_q_opens_nothing(facts):
    """Keys that arrive while the screen ends are left alone: no traceback, nothing opened."""

    async def leave(app, pilot, eyes):
        for key in ("q", "l", "question_mark"):
            app.post_message(events.Key(key, None))
        await until(pilot, lambda: app.return_code is not None)
        await pilot.pause(0.1)
        return eyes.asked

    assert drive(facts, leave) == []


def test_a_click_opens_too(facts):
    """The mouse does what enter does: a click on the row under the cursor opens it."""

    async def click(app, pilot, eyes):
        await pilot.click(RunTable, offset=(5, 3))
        await until(pilot, lambda: app.screen.query_one(RunTable).key_of_cursor == "R-000002")
        await pilot.click(RunTable, offset=(5, 3))
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        return eyes.asked

    assert drive(facts, click)[0] == "R-000002"


def test_the_filter_leaves_what_holds_the_words(facts):
    """While words are typed only rows that hold all of them stay; escape brings all back."""

    async def type_words(app, pilot, _):
        runs, tickets = app.screen.query_one(RunTable), app.screen.query_one(TicketTable)
        await pilot.press("slash", *"DISTIL")
        await until(pilot, lambda: runs.row_count == 1)
        assert runs.key_of_cursor == "R-000003"
        assert tickets.key_of_cursor == "T-0019"
        await pilot.press("enter")
        assert app.focused is runs
        assert app.screen.query_one(Input).value == "DISTIL"
        await pilot.press("escape")
        await until(pilot, lambda: runs.row_count == len(facts.runs))

    drive(facts, type_words)


@pytest.mark.parametrize("keys", [["n"], ["escape"], ["enter"]])
def test_a_stop_is_asked_about_and_no_is_the_answer_of_enter(facts, keys):
    """s asks first; n, escape and enter alone stop nothing."""

    async def refuse(app, pilot, _):
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "Stop R-000001?" in text_of(app)
        await pilot.press(*keys)
        await until(pilot, lambda: app.screen.query(RunTable))
        assert not list(app.workers)
        return len(app._notifications)

    assert drive(facts, refuse) == 0


def test_what_has_ended_is_not_asked_to_stop(facts):
    """s on a run that has ended says so; nobody is asked."""

    async def ask(app, pilot, _):
        app.ask_to_stop("R-000003")
        await until(pilot, lambda: len(app._notifications) == 1)
        assert not isinstance(app.screen, ConfirmScreen)
        return [said.message for said in app._notifications]

    assert drive(facts, ask) == ["R-000003 has ended"]


def test_help_says_every_key(facts):
    """Each key that the footer shows is explained."""

    async def ask(app, pilot, _):
        shown = [
            b.key_display or b.key for _, b, *_ in app.screen.active_bindings.values() if b.show
        ]
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        return shown, text_of(app)

    shown, page = drive(facts, ask)
    assert {"/", "l", "s", "r", "?", "q"} <= set(shown)
    for key in set(shown) - {"?", "⏎"}:
        assert f"{key} " in page, key


def test_a_look_that_brings_the_same_draws_nothing(facts):
    """Equal facts leave every row alone; one new value changes one cell and not the cursor."""
    from dataclasses import replace

    async def look_again(app, pilot, eyes):
        runs = app.screen.query_one(RunTable)
        await pilot.press("j")
        before = runs._update_count
        app.screen.show(facts)
        same = runs._update_count - before
        moved = replace(facts.runs[0], run=replace(facts.runs[0].run, step=19_000))
        app.screen.show(replace(facts, runs=(moved, *facts.runs[1:])))
        assert "95%" in runs.get_cell("R-000001", "1").plain
        assert runs.key_of_cursor == "R-000002"
        return same, runs._update_count - before

    assert drive(facts, look_again) == (0, 1)
