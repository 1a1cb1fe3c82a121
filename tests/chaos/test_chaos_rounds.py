"""kill -9 of everything at random instants: whatever was hit, the files come out whole.

`make chaos` plays more rounds with fresh seeds.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
from chaos.rounds import play_round

ROUNDS, AT_ONCE = 16, 4  # more of them: make chaos


@pytest.mark.parametrize("first", range(1, ROUNDS + 1, AT_ONCE))
def test_nothing_is_lost_doubled_or_left(first, tmp_path):
    """After any kills: one record a run, each point once, verdicts of the files, git clean."""
    seeds = range(first, first + AT_ONCE)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = [
            text for found in pool.map(lambda s: play_round(s, tmp_path), seeds) for text in found
        ]
    assert not wrong, "\n".join(wrong)
