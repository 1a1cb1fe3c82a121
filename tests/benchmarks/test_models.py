"""The benchmark of training steps measures what it says."""

import torch

from benchmarks import models
from benchmarks.models import CASES, FEW, STEPS, difference, measure, peak_memory, rows_of


def test_all_ways_of_a_case_are_measured():
    """Three ways of ours and the comparator: a time and a loss for each step, a line for each."""
    case = CASES[0].tiny()
    measured = measure(case)
    assert [one.way for one in measured] == ["float32", "autocast", "cast once", "comparator"]
    assert [len(one.seconds) for one in measured] == [FEW, FEW, STEPS, STEPS]
    assert all(len(one.losses) == len(one.seconds) for one in measured)
    assert difference(measured) < models.TOLERANCE
    lines = rows_of(case, measured)
    assert len(lines) == len(measured)
    assert lines[-1].endswith("1.00x")


def test_a_case_without_an_original_is_compared_to_float32():
    """Where there is no comparator, no difference is claimed."""
    case = next(case for case in CASES if case.kind is None).tiny()
    measured = measure(case)
    assert difference(measured) is None
    assert rows_of(case, measured)[0].endswith("1.00x")


def test_peak_memory_is_what_a_piece_of_work_takes():
    """64 MiB that are let go of again still count."""
    peak = peak_memory(lambda: torch.ones(16 * 2**20).sum())
    assert peak is None or 60 * 2**20 < peak < 100 * 2**20
