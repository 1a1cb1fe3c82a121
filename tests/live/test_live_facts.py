"""What the live screen is told: pure pieces by table, and one look after another at a real run."""

import math

import pytest
from conftest import PATIENT, wait_for

from orchestrator.actions.closeup import Closeup
from orchestrator.actions.deciding import next_deciding
from orchestrator.actions.overview import Board, overview
from orchestrator.actions.pulse import Pulses
from orchestrator.actions.rows import CriterionRow
from orchestrator.cli.views.pulse import brief
from orchestrator.diagnose.series import main_loss, newest_evaluation
from orchestrator.domain.criterion import Projection, State, Verdict
from orchestrator.spark import sparkline
from orchestrator.store.rows import Excerpt, LatestValue
from orchestrator.workspace import Workspace

FAILED = {"state": State.FAILED}
NEAR = {"state": State.PENDING, "margin": -0.1, "value": 0.9}
FAR = {"state": State.PENDING, "margin": -5.0, "value": 0.9}
SOON = {"state": State.PENDING, "projection": Projection(method="m", step=100)}
LATE = {"state": State.PENDING, "projection": Projection(method="m", step=900)}
NEVER = {"state": State.PENDING, "projection": Projection(method="m"), "margin": -5.0}
HOLDS = {"state": State.MET, "margin": 0.01, "value": 1.0}
SURE = {"state": State.MET, "final": True}
PERSON = {"state": State.MANUAL}


def row(text, verdict, *, required=True, polarity="positive"):
    said = Verdict(**{"final": False, "why": "", **verdict})
    return CriterionRow(
        text=text,
        section="",
        required=required,
        checked=False,
        predicate=None,
        why_not=None,
        verdict=said,
        polarity=polarity,
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (FAILED | {"final": True}, FAILED),
        (FAILED, SOON),
        (SOON, LATE),
        (LATE, NEAR),
        (NEAR, FAR),
        (NEAR, NEVER),
        (FAR, HOLDS),
        (HOLDS, PERSON),
        (PERSON, SURE),
    ],
)
def test_what_decides_next_comes_first(first, second):
    """The order of urgency, whatever the order in the ticket."""
    rows = [row("first", first), row("second", second)]
    assert next_deciding(rows).text == "first"
    assert next_deciding(rows[::-1]).text == "first"


def test_what_gates_nothing_decides_nothing():
    """Optional lines, alarms and what is met for good are not what a ticket hangs on."""
    rows = [row("a", FAILED, required=False), row("b", FAILED, polarity="inverted")]
    assert next_deciding([*rows, row("c", SURE)]) is None


@pytest.mark.parametrize(
    ("values", "width", "shown"),
    [
        ([], 10, ""),
        ([1.0], 10, "▁"),
        ([0, 1, 2, 3, 4, 5, 6, 7], 8, "▁▂▃▄▅▆▇█"),
        ([7, 0], 10, "█▁"),
        ([0.0, 0.0, 1.0, 1.0], 2, "▁█"),
        ([0.0, math.nan, 1.0], 3, "▁×█"),
        ([-1.7e308, 1.7e308], 2, "▁█"),
        ([1.0, 2.0], 0, ""),
    ],
)
def test_a_sparkline_goes_from_low_to_high(values, width, shown):
    """Each character is a mean of its share of the values; what is not finite is seen."""
    assert sparkline(values, width) == shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (7500, "2h05"), (90000, "1d01h")],
)
def test_durations_are_brief(seconds, words):
    """At most six characters."""
    assert brief(seconds) == words


def test_the_loss_and_the_evaluation_are_told_by_their_names():
    """The surest training loss; of the newest evaluation the score before the loss."""
    names = ["log/loss", "train/loss", "train/aux_loss", "val/loss", "train/lr"]
    assert main_loss(names) == "train/loss"
    assert main_loss(["train/lr"]) is None
    times = {"val/loss": 100.0, "val/accuracy": 100.5, "test/accuracy": 5.0, "train/loss": 900.0}
    assert newest_evaluation(times) == "val/accuracy"
    assert newest_evaluation({"train/loss": 1.0}) is None


class Counted:
    """A reader of one curve that counts how often it was read."""

    def __init__(self, steps):
        self.steps, self.read = steps, 0

    def curve(self, _run, _metric, **_bounds):
        self.read += 1
        steps = list(range(1, self.steps + 1))
        return Excerpt(
            steps=steps,
            values=[1 / step for step in steps],
            times=[10.0 * step for step in steps],
            sources=[],
            lines=[],
            total=len(steps),
        )


def test_a_curve_is_read_again_only_when_it_looks_different():
    """One more step of a thousand costs no read, the newest value is told all the same."""
    reader = Counted(1000)
    pulses = Pulses(reader)

    def look(step, value=0.5):
        return pulses.look("R-1", 2000, {"train/loss": LatestValue(step, value, 10.0 * step)})

    first = look(1000)
    assert first.speed == pytest.approx(0.1)
    assert first.ends == pytest.approx((20_000.0, 20_000.0))
    assert len(first.curve) <= 120
    assert first.curve[0] > first.curve[-1]
    assert look(1001, 0.25).loss.value == 0.25
    assert reader.read == 1
    reader.steps = 1030
    look(1030)
    assert reader.read == 2
    look(500)  # a resumed attempt took steps back
    assert reader.read == 3


def test_looking_again_sees_what_has_changed(lab):
    """One board from the first step to the published end, beside one-shot looks: the same facts."""
    lab.ticket()
    lab.experiment(PATIENT, more='[metrics."train/loss"]\ngoal = "min"\n')
    lab.commit()
    workspace = Workspace(lab.root)
    with Board(workspace) as board:
        assert board.look().runs == ()
        assert lab.exp("ticket", "start", "1").returncode == 0
        seen = wait_for(lambda: has_loss(board.look()), what="a point of the run")
        assert seen.run.status == "running"
        assert board.look().tickets[0].status == "ONGOING"
        with Closeup(workspace, "R-000001") as closeup:
            near = wait_for(lambda: (f := closeup.look()).curve and f.log and f, what="the log")
        assert near.metric == "train/loss"
        assert near.series[0].name == "train/loss"
        assert "step 1\n" in near.log
        lab.ticket(2, title="Later")
        wait_for(lambda: len(board.look().tickets) == 2, what="the new ticket")
        (lab.root / "go").touch()
        lab.published()
        wait_for(lambda: board.look().tickets[0].run_status == "completed", what="the end")
        last, once = board.look(), overview(workspace)
        assert last.runs[0].run == once.runs[0].run
        assert last.runs[0].criteria == once.runs[0].criteria
        assert last.runs[0].criteria[0].verdict.state is State.MET
        assert last.tickets == once.tickets
        assert last.needs == once.needs
        assert [commit.subject for commit in once.commits][-1] == "work"


def has_loss(seen):
    """The first run, once its loss is known."""
    return next((run for run in seen.runs if run.pulse.loss is not None and run.criteria), None)
