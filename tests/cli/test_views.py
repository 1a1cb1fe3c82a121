"""What is seen at 80 columns and in every state of a run: nothing is cut that a person needs."""

from io import StringIO

import pytest
from rich.console import Console

from orchestrator.actions.overview import Overview, RunOverview
from orchestrator.actions.rows import TicketRow
from orchestrator.actions.run_list import RunSummary
from orchestrator.cli import views

WHY = "waits for 1 CPU slot, 0 free (taken by R-000001)"


def shown(what, width=80):
    """A view as text on a terminal of this width."""
    page = StringIO()
    Console(file=page, width=width, force_terminal=False, color_system=None).print(what)
    return page.getvalue()


def run(number=2, **more):
    facts = {
        "ticket": "T-0004",
        "experiment": "experiments/e/a.toml",
        "status": "queued",
        "outcome": None,
        "why": WHY,
        "step": None,
        "planned_steps": 60,
        "started": None,
        "ended": None,
    }
    return RunSummary(id=f"R-{number:06d}", **(facts | more))


def ticket(number=4, title="A title"):
    return TicketRow(
        id=f"T-{number:04d}",
        title=title,
        status="ONGOING",
        phase="IMPLEMENTING",
        after=(),
        met=1,
        criteria=12,
        run="R-000002",
        run_status="incomplete",
        run_problem=None,
    )


@pytest.mark.parametrize("width", [72, 80, 200])
def test_a_long_title_takes_no_room_from_the_rest(width):
    """Id, status, phase, count and run of each ticket stay whole; the title is cut, on one line."""
    page = shown(views.ticket_table([ticket(title="many words " * 20), ticket(5)]), width)
    for words in ("T-0004", "ONGOING", "IMPLEMENTING", "1/12", "R-000002", "many"):
        assert words in page
    assert len([line for line in page.splitlines() if "many" in line]) == 1


def test_a_queued_run_says_what_it_waits_for():
    """In the list of runs and on the dashboard, without dashes for what has not begun."""
    assert WHY in shown(views.run_table([run(), run(1, status="running", why="running")]))
    seen = Overview(
        root="/w",
        tickets=(ticket(),),
        runs=(RunOverview(run=run(), title="A title", criteria=(), findings=()),),
        needs=(),
    )
    assert WHY in shown(views.dashboard(seen))
    assert "started —" not in shown(views.dashboard(seen))
