"""What came of asking runs to end."""

from collections.abc import Sequence

from orchestrator.actions.stop import Stopped
from orchestrator.cli.console import note
from orchestrator.errors import EnvironmentFailure


def tell_stopped(stopped: Sequence[Stopped]) -> None:
    """Say how each run stands now.

    Raises:
        EnvironmentFailure: one of them has not ended.
    """
    for each in stopped:
        state = each.state.outcome or each.state.status
        note(
            f"{each.run.id} {state}: {each.state.why}" if each.asked else f"{each.run.id} had ended"
        )
    for each in stopped:
        if each.left is not None:
            raise EnvironmentFailure(f"{each.run.id} has not ended: {each.left}")
