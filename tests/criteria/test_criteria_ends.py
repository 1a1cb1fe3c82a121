"""What an end that was no success means for a claim."""

import pytest

from orchestrator.domain.criterion import State
from orchestrator.domain.run import Outcome


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome.COMPLETED, State.MET),
        (Outcome.FAILED, State.NO_DATA),
        (Outcome.LOST, State.NO_DATA),
        (Outcome.STOPPED, State.NO_DATA),
    ],
)
def test_a_final_value_needs_an_end(judged, point, outcome, state):
    """A run that broke off has a latest value, and no final one."""
    points = [point("loss", 1, 1.0)]
    verdict = judged("loss < 5 final", points, ended=True, outcome=outcome)
    assert (verdict.state, verdict.final) == (state, True)
    assert judged("loss < 5", points, ended=True, outcome=outcome).state is State.MET


def test_the_best_of_a_loss_is_its_lowest_value(judged, point):
    """`best loss > 0.5` is not made true by the first, high value."""
    points = [point("loss", 1, 1.0, 1), point("loss", 2, 0.02, 2)]
    assert judged("loss > 0.5 best", points, ended=True).state is State.FAILED
    assert judged("loss < 0.5 best", points, ended=True).state is State.MET
