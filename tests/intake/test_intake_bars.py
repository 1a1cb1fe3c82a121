import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.store.formats.bars import read_bar

BARS = [
    ("12%|█▏ | 120/1000 [00:10<01:13, 12.00it/s, loss=0.5]", "", 120, 1000, 12.0, {"loss": 0.5}),
    ("train:  12%|#1   | 1.20k/10.0k [00:10<01:13, ?it/s]", "train", 1200, 10000, None, {}),
    ("  0%|          | 0/3 [00:00<?, ?it/s]", "", 0, 3, None, {}),
    (" 33%|███▎      | 1/3 [00:01<00:02,  2.00s/it]", "", 1, 3, 0.5, {}),
    ("Epoch 7: 100%|██| 3/3 [1:00:03<00:00, 1.50kit/s, v_num=0, acc=94.1%]", "Epoch", 3, 3, 1500.0,
     {"acc": 0.941}),
    ("120it [00:10, 12.00it/s, loss=2.31e-5]", "", 120, None, 12.0, {"loss": 2.31e-5}),
    ("loop: 5it [00:10, 2.00s/it]", "loop", 5, None, 0.5, {}),
    ("eval 3/10:  50%|█████| 5/10 [00:01<00:01, 5.0batch/s, loss=nan.0]", "eval", 5, 10, 5.0, {}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "count", "total", "rate", "values"), BARS)
def test_a_bar_says_how_far_how_fast_and_what_stands_behind(text, key, count, total, rate, values):
    """Count, total, rate in steps a second, and the values of the postfix."""
    bar = read_bar(text)
    assert (bar.key, bar.count, bar.total, bar.rate) == (key, count, total, rate)
    assert bar.values == values


@pytest.mark.parametrize(
    "text",
    [
        "12% | done",
        "step 100 | loss 2.31",
        "[00:10<01:13]",
        "50%|███",
        "3it",
        "",
        "%|",
        "100%|x| a/b",
    ],
)
def test_other_lines_are_no_bars(text):
    """A percentage or a bracket alone makes no progress bar."""
    assert read_bar(text) is None


@pytest.mark.parametrize(
    ("text", "trains"),
    [
        ("50%|██| 5/10 [00:01<00:01, 5.0it/s]", True),
        ("Training: 50%|██| 5/10 [00:01<00:01, 5.0batch/s]", True),
        ("Validation: 50%|██| 5/10 [00:01<00:01, 5.0it/s]", False),
        ("Map: 50%|██| 5/10 [00:01<00:01, 5.0 examples/s]", False),
        ("model.bin: 50%|██| 5.0M/10M [00:01<00:01, 5.0MB/s]", False),
    ],
)
def test_bars_of_files_and_of_evaluation_do_not_train(text, trains):
    """Only a bar that counts steps, batches or iterations may say how far training is."""
    assert read_bar(text).trains is trains


@given(st.text(alphabet="0123456789.%|/[]<>:,? itskMGabc=█", max_size=80))
def test_no_text_is_an_error(text):
    """Anything that looks like half a bar is read or passed over."""
    bar = read_bar(text)
    assert bar is None or bar.count >= 0
