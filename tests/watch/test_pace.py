"""How often the watcher looks."""

import pytest

from orchestrator.watch.daemon import SLOWEST_TICK, TICK, pause_after


@pytest.mark.parametrize(
    ("used", "pause"),
    [(0.0, TICK), (0.005, TICK), (0.010, 1.0), (0.014, 1.4), (0.1, SLOWEST_TICK)],
)
def test_looking_takes_a_hundredth_of_a_core_as_long_as_a_crash_is_seen_in_time(used, pause):
    """Few runs are looked at often, many less often, and none so seldom that a crash is missed."""
    assert pause_after(used) == pytest.approx(pause)
