"""The benchmark of SAGE measures what it says."""

import pytest
import torch

from benchmarks.sage import CPU_CASES, TOLERANCE, data_of, difference, measure, rows_of, ways_of

CPU = torch.device("cpu")
TINY = [case.tiny() for case in CPU_CASES[:2]]


@pytest.mark.parametrize("case", TINY, ids=lambda case: case.kind)
def test_all_ways_are_measured(case):
    """A time for each repeat and a line for each way; the first is what speed is over."""
    ways, apart = measure(case, CPU)
    assert [way.name for way in ways] == ["original", "SDPA", "student"]
    assert [len(way.seconds) for way in ways] == [case.repeats] * 3
    assert apart < TOLERANCE
    lines = rows_of(case, ways)
    assert len(lines) == 3
    assert lines[0].endswith("1.00x")


def test_the_comparator_is_the_same_network():
    """Logits agree far below the tolerance, and no longer when one weight is another."""
    data = data_of(TINY[1], CPU)
    ways = ways_of(TINY[1], data)
    assert difference(ways, data) < TOLERANCE / 10
    with torch.no_grad():
        ways[0].net.encoder.layers[0].linear1.weight.mul_(10)
    assert difference(ways, data) > TOLERANCE


def test_training_trains_and_inference_does_not():
    """A step changes weights of every way; an answer changes none and keeps no graph."""
    for case, changes in zip(TINY, (True, False), strict=True):
        for way in ways_of(case, data_of(case, CPU)):
            before = [weight.clone() for weight in way.net.parameters()]
            made = way.work()
            after = list(way.net.parameters())
            same = all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
            assert same != changes, way.name
            if not changes:
                assert not made.cells_BSC.requires_grad
