"""What is seen at 80 columns and in every state of a run: nothing is cut that a person needs."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from orchestrator.actions.needs import needs_of
from orchestrator.actions.overview import Overview, RunOverview
from orchestrator.actions.rows import CriterionRow, TicketRow
from orchestrator.actions.run_list import RunSummary, live_and_recent
from orchestrator.cli import views
from orchestrator.cli.review import next_command
from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.review import Decision, Review, Seen, Standing
from orchestrator.workspace import Workspace

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


def judged(text, state, *, required=True, reviews=()):
    """A criterion after a run."""
    return CriterionRow(
        text=text,
        section="",
        required=required,
        checked=state is State.MET,
        predicate=None,
        why_not=None,
        verdict=Verdict(state=state, final=True, why="because"),
        reviews=reviews,
    )


def test_of_several_runs_each_is_a_few_lines():
    """Marks for all criteria, the required ones that are not met by name; what needs you is near.

    With the table of each run what needs a person was pages away from the first line.
    """
    rows = [judged(f"metric {n} > 1", State.MET) for n in range(20)]
    rows += [judged("loss < 1", State.FAILED), judged("nice > 1", State.FAILED, required=False)]
    over = {"status": "ended", "outcome": "completed", "started": 1.0, "ended": 2.0}
    runs = tuple(
        RunOverview(run=run(number, **over), title="A title", criteria=tuple(rows))
        for number in range(1, 6)
    )
    needs = ("T-0004: something",)
    page = shown(views.dashboard(Overview(root="/w", tickets=(), runs=runs, needs=needs)))
    assert len(page.splitlines()) < 50
    assert page.count("20/22") == page.count("✘ loss < 1") == 5
    assert "metric 3 > 1" not in page
    assert "nice > 1" not in page
    alone = shown(views.dashboard(Overview(root="/w", tickets=(), runs=runs[:1], needs=needs)))
    assert "metric 3 > 1" in alone
    assert "because" in alone


def test_a_ticket_that_is_done_asks_for_nothing_it_did_not_need(tmp_path):
    """Optional criteria that failed leave a DONE ticket in peace; an expired review does not."""
    over = run(status="ended", outcome="completed", started=1.0, ended=2.0)
    done = replace(ticket(), status="DONE", run_status="completed")
    seen = Seen(run="R-000002", state=State.MANUAL, value=None, claim="a", evidence="b")
    review = Review(
        ticket="T-0004",
        key="looked at",
        decision=Decision.ACCEPT,
        by="Ada",
        time=1.0,
        reason="",
        seen=seen,
    )

    def needs(standing):
        rows = (
            judged("nice > 1", State.FAILED, required=False),
            judged("looked at", State.MANUAL, reviews=(standing,)),
        )
        each = RunOverview(run=over, title="", criteria=rows)
        return needs_of(Workspace(tmp_path), (each,), [done])

    assert needs(Standing(review=review, expired=None)) == ()
    (need,) = needs(Standing(review=review, expired="the line was edited"))
    assert need.startswith("T-0004: looked at: review expired: the line was edited")


def test_a_long_run_stays_in_sight_when_it_ends():
    """Of ended runs those that ended last are shown, not those with the largest numbers."""
    over = {"status": "ended", "outcome": "completed", "started": 1.0}
    runs = [run(9, status="running"), run(3, **over, ended=5.0), run(2, **over, ended=6.0)]
    runs.append(run(1, **over, ended=90.0))
    assert [each.id[-1] for each in live_and_recent(runs, 3)] == ["9", "1", "2"]
    assert [each.id[-1] for each in live_and_recent(runs, 1)] == ["9"]


@pytest.mark.parametrize(
    ("obstacles", "command"),
    [
        ((), "exp ticket review T-0001 --non-interactive --decide done"),
        (("C2 (open)", "C6 (open)"), "exp ticket review T-0001"),
        (
            ("C2 (open)", "C6 (not met)"),
            "exp ticket review T-0001 --non-interactive --decide failed",
        ),
    ],
)
def test_the_next_command_after_a_review_is_no_failure_of_what_is_open(obstacles, command):
    """What nobody has judged yet is to be judged; only what is not met suggests FAILED."""
    assert next_command("T-0001", obstacles) == command
