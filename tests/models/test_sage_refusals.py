"""What SAGE's network and batches refuse, and that each refusal says what to do."""

from dataclasses import replace

import pytest
import torch

from models.sage import ORIGINAL, Sage, pad_tokens, student

NET = {"features": 6, "width": 16, "layers": 1, "heads": 2, "tokens": 4, "side": 3, "pool": 2}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layers": 0}, "layers=0: choose at least 1"),
        ({"pool": -1}, "pool=-1: choose at least 1"),
        ({"heads": 7}, "width=512 is no multiple of heads=7"),
        ({"dropout": 1.0}, r"dropout=1\.0: choose from 0"),
        ({"decoder": "mean"}, "decoder='mean': choose"),
        ({"start": "zeros"}, "start='zeros': choose"),
        ({"aligned": True}, "aligned: cells of a canvas are 900 tokens, not pooled"),
        ({"aligned": True, "decoder": "cells", "tokens": 900, "pool": 2}, "aligned: .* pool=2"),
    ],
)
def test_a_configuration_that_cannot_be(changes, said):
    """Named with its value and what there is to choose from."""
    with pytest.raises(ValueError, match=said):
        replace(ORIGINAL, **changes)


@pytest.mark.parametrize(
    ("features", "valid", "said"),
    [
        (torch.zeros(2, 5, 7), None, r"reads \[B, L, 6\]: set features"),
        (torch.zeros(5, 6), None, r"reads \[B, L, 6\]"),
        (torch.zeros(2, 5, 6, dtype=torch.uint8), None, r"torch\.uint8; expected a floating type"),
        (
            torch.zeros(2, 9, 6),
            None,
            "9 tokens, pooled by 2: 5, .* positions for 1 to 4",
        ),
        (torch.zeros(2, 0, 6), None, "0 tokens"),
        (
            torch.zeros(2, 5, 6),
            torch.ones(2, 4, dtype=torch.bool),
            r"\(2, 4\); expected .*\(2, 5\)",
        ),
        (torch.zeros(2, 5, 6), torch.ones(2, 5), "expected torch.bool"),
    ],
    ids=["width", "axes", "type", "too many", "none", "mask's shape", "mask's type"],
)
def test_features_that_the_network_cannot_read(features, valid, said):
    """Before anything is computed from them."""
    with pytest.raises(ValueError, match=said):
        Sage(student(**NET))(features, valid)


def test_as_many_tokens_as_there_are_positions_are_read():
    """The bound is the last that works: eight tokens, pooled to four."""
    output = Sage(student(**NET))(torch.zeros(1, 8, 6))
    assert output.cells_BSC.shape == (1, 9, 10)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "a batch of no rows"),
        ([torch.zeros(2, 6), torch.zeros(0, 6)], "row 1 has no tokens: all of it would be padding"),
        ([torch.zeros(2, 6), torch.zeros(2, 5)], "row 1: torch.float32 of width 5, and row 0"),
        ([torch.zeros(2, 6), torch.zeros(2, 6).half()], r"row 1: torch\.float16 of width 6"),
        ([torch.zeros(2, 6, dtype=torch.int64)], r"row 0: torch\.int64 \(2, 6\); expected floats"),
        ([torch.zeros(1, 2, 6)], r"row 0: .*\(1, 2, 6\)"),
    ],
    ids=["no rows", "all padding", "width", "type", "integers", "axes"],
)
def test_rows_that_make_no_batch(rows, said):
    """Rows of padding alone never reach the network: there would be nothing to attend to."""
    with pytest.raises(ValueError, match=said):
        pad_tokens(rows)


def test_dropout_is_on_in_training_alone():
    """Two passes differ in training and not in evaluation."""
    net, features = Sage(student(**NET | {"dropout": 0.5})), torch.ones(1, 5, 6)
    assert not torch.equal(net(features).cells_BSC, net(features).cells_BSC)
    net.eval()
    assert torch.equal(net(features).cells_BSC, net(features).cells_BSC)
