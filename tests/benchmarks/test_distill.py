"""The benchmark of distillation measures what it says, on a few numbers."""

from dataclasses import replace

import pytest
import torch

from benchmarks.distill import (
    WAYS,
    Sizes,
    closeness,
    faults,
    in_a_process,
    measure,
    rows_of,
)

CPU, SMALL = torch.device("cpu"), Sizes(tokens=16, vocabulary=600)


@pytest.fixture(scope="module")
def measured():
    return [measure(way, SMALL, CPU) for way in WAYS]


def test_every_way_is_measured_and_told(measured):
    """A line a way with its value; both full ways agree, and 256 tokens show less."""
    value = {one.way: one.value for one in measured}
    assert value["full"] == pytest.approx(value["textbook"], rel=1e-4)
    assert 0 < value["k=256 cached"] == value["k=256 made"] < value["full"]
    lines = rows_of(SMALL, [measured, measured])
    assert [line.split()[1:2] for line in lines] == [way.split()[:1] for way in WAYS]
    for one, line in zip(measured, lines, strict=True):
        assert line.endswith(f"{one.value:.4f}")


def test_a_process_of_its_own_gives_the_same_value(measured):
    """What a child prints is read back whole."""
    child = in_a_process("k=256 cached", SMALL)
    assert child.way == "k=256 cached"
    assert child.value == pytest.approx(measured[WAYS.index(child.way)].value, rel=1e-6)
    assert min(child.step + child.term) > 0


def test_faults_are_found(measured):
    """Values that disagree, a bound that is broken and memory that is not saved are told."""
    in_order = [replace(one, peak=100 - place) for place, one in enumerate(measured)]
    assert faults(in_order) == []
    for way, change, word in (
        ("textbook", {"value": 1.1 * measured[1].value}, "textbook"),
        ("full", {"peak": 1}, "no less memory"),
    ):
        changed = [replace(one, **change) if one.way == way else one for one in in_order]
        assert len(faults(changed)) == 1
        assert word in faults(changed)[0]
    above = [
        replace(one, value=9 * one.value) if one.way.startswith("k=") else one for one in in_order
    ]
    assert "above the full" in faults(above)[0]


def test_more_tokens_show_more_of_the_teacher():
    """The ladder of mass and of value rises to nearly all."""
    lines = [line.split() for line in closeness(Sizes(tokens=4, vocabulary=1500))]
    for column in (3, 4):
        for part in (lines[:4], lines[4:]):
            shares = [float(line[column].rstrip("%")) for line in part]
            assert shares == sorted(shares)
            assert 0 < shares[0] < shares[-1] <= 100
