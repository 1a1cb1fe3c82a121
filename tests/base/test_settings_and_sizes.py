"""Parameters by what they mean, and sizes as people write them."""

import pytest

from orchestrator.domain.settings import NAMES, count_of, setting
from orchestrator.domain.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"eval_every": 500}, 500),
        ({"Eval-Every": 500}, 500),
        ({"trainer": {"eval_steps": 500}}, 500),
        ({"trainer.eval_steps": 500}, 500),
        ({"eval_interval": 7, "eval_every": 500}, 500),
        ({"eval_every": 500, "inner": {"eval_every": 5}}, 500),
        ({"a": {"eval_every": 5}, "b": {"eval_every": 5}}, 5),
        ({"a": {"eval_every": 5}, "b": {"eval_every": 6}}, None),
        ({"eval": 500}, None),
        ({}, None),
    ],
)
def test_a_setting_is_found_under_its_usual_names(params, expected):
    """The least nested one counts; two that contradict each other tell nothing."""
    assert setting(params, "eval_every") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, 3), (3.0, 3), (0, None), (-1, None), (0.5, None), (True, None), ("3", None)],
)
def test_a_count_is_a_whole_number_above_zero(value, expected):
    """Anything else is no count, and so unknown."""
    assert count_of({"keep": value}, "keep") == expected


def test_names_are_written_as_they_are_compared():
    """A name with capitals or dashes would never be found."""
    for names in NAMES.values():
        assert all(name == name.lower() and "-" not in name for name in names)
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64GB", 64_000_000_000),
        ("64GiB", 64 * 1024**3),
        ("64 G", 64_000_000_000),
        ("1.5TiB", 3 * 1024**4 // 2),
        ("512", 512),
        ("512B", 512),
        ("64iB", None),
        ("lots", None),
        ("-1GB", None),
        ("", None),
    ],
)
def test_sizes_are_read_as_they_are_written(text, size):
    """Powers of 1000 and of 1024 are told apart; what is no size is unknown."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1,023 B"), (1024, "1.0 KiB"), (3 * 1024**4 // 2, "1.5 TiB")],
)
def test_sizes_are_shown_in_the_unit_that_reads_best(size, text):
    """Powers of 1024, one digit."""
    assert format_size(size) == text
