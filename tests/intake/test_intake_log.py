import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake.decoding import decoded

from orchestrator.store.formats import LOG, Rules
from orchestrator.store.formats.log import LONGEST


def points(text, **more):
    """name → [(step, value)] of what a log says."""
    found = {}
    data = text if isinstance(text, bytes) else text.encode()
    for _, step, metrics in decoded(LOG, data, **more):
        for name, value in metrics.items():
            found.setdefault(name, []).append((step, value))
    return found


def bar(count, total=100, *, desc="", more=", loss=0.5"):
    """A drawing of a bar, as tqdm writes it."""
    percent = 100 * count // total
    return f"\r{desc}{percent:3d}%|██  | {count}/{total} [00:01<00:09, 10.00it/s{more}]"


def test_values_before_any_step_are_configuration():
    """What is printed before training began belongs to no step and becomes no point."""
    assert points("lr=3e-4 batch=64\nloss=9\nstep 1 loss=0.5\n") == {"loss": [(1, 0.5)]}


def test_a_line_without_a_step_stands_at_the_last_one_that_was_named():
    """A test result at the end belongs to where training stands."""
    text = "step 5 loss=0.5\nTest accuracy: 91%\nEpoch 2: val_loss 0.4\n"
    assert points(text) == {
        "loss": [(5, 0.5)],
        "test_accuracy": [(5, 0.91)],
        "val_loss": [(5, 0.4)],
    }


def test_an_epoch_stands_for_the_step_where_no_step_is_named():
    """Programs that print one line an epoch, or a heading and lines below it."""
    text = "Epoch 1/3\nloss: 0.5\nval_loss: 0.6\nEpoch 2/3\nloss: 0.4\n"
    assert points(text) == {"loss": [(1, 0.5), (2, 0.4)], "val_loss": [(1, 0.6)]}


def test_half_an_epoch_is_no_step():
    """A fraction of an epoch would put several points at one step; only whole ones count."""
    text = "{'loss': 0.7, 'epoch': 0.5}\n{'loss': 0.5, 'epoch': 1.0}\n"
    assert points(text) == {"loss": [(1, 0.5)]}


def test_steps_that_begin_anew_with_each_epoch_go_on():
    """The step of `Epoch [2/5], Step [100/600]` is 700, not 100 again."""
    text = "".join(
        f"Epoch [{epoch}/2], Step [{step}/600], Loss: {epoch}.{step}\n"
        for epoch in (1, 2)
        for step in (300, 600)
    )
    assert [step for step, _ in points(text)["Loss"]] == [300, 600, 900, 1200]
    batches = "Epoch 1 batch 5/10 loss=3\nEpoch 1 batch 10/10 loss=2\nEpoch 2 batch 5/10 loss=1\n"
    assert [step for step, _ in points(batches)["loss"]] == [5, 10, 15]


def test_batches_of_an_epoch_go_on_in_the_next():
    """The same batch of the next epoch is a new step, as one line an epoch shows."""
    text = "Epoch: [0][10/90] Loss 3\nEpoch: [1][10/90] Loss 2\nEpoch: [2][10/90] Loss 1\n"
    assert points(text) == {"Loss": [(10, 3.0), (100, 2.0), (190, 1.0)]}


def test_lines_of_a_traceback_are_code():
    """What an error or a warning quotes was never measured, whatever it looks like."""
    text = (
        "step 10 loss 0.5\n"
        "/a/b.py:62: UserWarning: step 3 loss=9\n  fit(lr=3)\n"
        "Traceback (most recent call last):\n"
        '  File "t.py", line 3, in <module>\n    train(model, lr=3e-4, x=0.7)\n'
        "ValueError: bad loss=3 at step 99\n"
        "step 11 loss 0.4\n"
    )
    assert points(text) == {"loss": [(10, 0.5), (11, 0.4)]}


def test_global_steps_stay_what_they_are():
    """An epoch in the line does not shift steps that do not begin anew."""
    text = "epoch 0 step 90 loss=3\nepoch 1 step 110 loss=2\nepoch 1 step 105 loss=1\n"
    assert [step for step, _ in points(text)["loss"]] == [90, 110, 105]


def test_the_last_drawing_of_a_bar_at_a_step_counts():
    """A bar is redrawn before its values are those of the step: the last one wins, once."""
    text = bar(0, more="") + bar(1, more=", loss=9") + bar(1, more=", loss=0.5") + bar(2) + "\n"
    assert points(text)["loss"] == [(1, 0.5), (2, 0.5)]


def test_a_bar_that_never_ends_its_line_gives_points_as_it_goes():
    """Every redraw ended by the next one counts; the last waits, as a torn line does."""
    text = "".join(bar(count, more=f", loss={count}") for count in range(5))
    assert points(text)["loss"] == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert points(text + "\n")["loss"][-2:] == [(3, 3.0), (4, 4.0)]


def test_a_bar_tells_progress_and_rate_at_each_percent():
    """How far training is and how fast, without a point for each of a thousand redraws."""
    text = "".join(bar(count, 1000, more="") for count in range(1001)) + "\n"
    found = points(text)
    assert len(found["progress"]) == len({step // 10 for step, _ in found["progress"]}) == 101
    assert found["progress"][-1] == (1000, 1.0)
    assert found["rate"][0] == (0, 10.0)


def test_bars_of_one_epoch_each_go_on():
    """The second epoch's bar counts from where the first one ended."""
    text = "".join(bar(c, desc=f"Epoch {e}: ") for e in (0, 1) for c in (50, 100)) + "\n"
    assert [step for step, _ in points(text + "x=1\n")["progress"]] == [50, 100, 150, 200]


def test_a_bar_beside_training_stands_at_its_step():
    """Values of a validation bar belong to the step of training; of its redraws the last counts."""
    text = bar(10) + "\n"
    text += "".join(bar(c, 4, desc="Validating: ", more=f", acc=0.{c}") for c in (1, 2, 4)) + "\n"
    text += bar(20) + "\n"
    found = points(text)
    assert found["acc"] == [(10, 0.4)]
    assert [step for step, _ in found["progress"]] == [10, 20]


def test_the_planned_steps_tell_which_bar_trains():
    """A bar of other size without values (tokenising, downloading) is no training."""
    text = bar(9000, 10000, more="") + "\n" + bar(3, 100, more="") + "\n"
    assert [step for step, _ in points(text)["progress"]] == [9000]
    planned = points(text, rules=Rules(planned=100))
    assert [step for step, _ in planned["progress"]] == [3]
    assert points(text, rules=Rules(planned=50)) == {}


def test_a_trainer_that_prints_dicts_between_bars():
    """Hugging Face's trainer prints epochs; its training bar knows the step, the other does not."""
    text = bar(50, 1000, more="") + "\n{'loss': 0.7, 'epoch': 0.05}\n"
    text += "".join(bar(c, 8, more="") for c in (4, 8))
    text += "\n{'eval_loss': 0.9, 'epoch': 0.05}\n"
    found = points(text)
    assert (found["loss"], found["eval_loss"]) == ([(50, 0.7)], [(50, 0.9)])


def test_a_line_above_a_bar_stands_at_the_drawing_below_it():
    """tqdm.write clears the bars, writes, and draws them again: the old drawing may be old."""
    clear = "\r" + " " * 40 + "\r"
    text = bar(0, more="") + clear + "{'loss': 0.7, 'epoch': 0.04}\n" + bar(4, more="") + "\n"
    text += clear + "\x1b[A{'loss': 0.6, 'epoch': 0.08}\n" + bar(1, 8, more="") + bar(8, more="")
    text += clear + "{'loss': 0.5, 'epoch': 0.1}\nstep 20 acc=1\n"
    found = points(text)
    assert found["loss"] == [(4, 0.7), (8, 0.6), (8, 0.5)]
    assert found["acc"] == [(20, 1.0)]


def test_what_is_told_already_is_not_told_again():
    """Eight ranks that print the same line make one point."""
    assert points("step 1 loss=0.5\n" * 8) == {"loss": [(1, 0.5)]}


def test_of_several_processes_the_first_to_name_a_step_counts():
    """Ranks that print without saying which they are do not take each other's points back."""
    text = "step 1 loss=1\nstep 2 loss=2\nstep 1 loss=1.5\nstep 2 loss=2.5\nstep 3 loss=3\n"
    assert points(text, rules=Rules(many=True)) == {"loss": [(1, 1.0), (2, 2.0), (3, 3.0)]}
    assert len(points(text)["loss"]) == 5


def test_lines_are_counted_as_a_person_finds_them():
    r"""A redraw is a line: `tr '\r' '\n' < out.log | sed -n 4p` shows line 4."""
    text = "start\r\nstep 1 loss=1\nx\rstep 2 loss=2\n"
    assert [line for line, *_ in decoded(LOG, text.encode())] == [3, 5]
    assert text.replace("\r", "\n").split("\n")[4] == "step 2 loss=2"


def test_a_line_without_end_is_passed_over_in_bounded_memory():
    """Dots for hours, then a line: the dots say nothing, and what comes after them counts."""
    dots = b"." * (3 * LONGEST) + b" step 9 loss=9"
    data = dots + b"\nstep 1 loss=1\n"
    assert points(data) == {"loss": [(1, 1.0)]}
    assert points(data, cuts=[2 * LONGEST, len(dots) - 3]) == {"loss": [(1, 1.0)]}


def test_patterns_of_the_spec_come_first():
    """A named group is a metric; `step` and `epoch` say where it belongs."""
    rules = Rules(patterns=(r"it (?P<step>[\d,]+)/\d+ >> (?P<loss>\S+) (?P<acc>\S+)?",))
    text = "it 1,200/5 >> 0.5 0.9\nit 7/5 >> nonsense \nstep 8 loss=0.25\n"
    found = points(text, rules=rules)
    assert found == {"loss": [(1200, 0.5), (8, 0.25)], "acc": [(1200, 0.9)]}


PIECES = st.sampled_from(
    [
        "step 1 loss=0.5",
        "step 2 loss=0.5 acc: 90%",
        "step 1 | loss nan",
        "Epoch 1/3",
        "epoch 2 step [5/10] loss 3",
        "epoch 3 step [1/10] loss 3",
        "acc: 0.5",
        "lr=3e-4",
        bar(1)[1:],
        bar(2, more=", loss=3, rate=7")[1:],
        bar(3, desc="Val: ", more=", acc=1")[1:],
        bar(5, 1000, more="")[1:],
        "x" * (LONGEST + 5),
        "\x1b[A",
        "é" * 9,
        "",
    ]
)
LOGS = st.lists(st.tuples(PIECES, st.sampled_from(["\n", "\r", "\r\n"])), max_size=14).map(
    lambda parts: "".join(piece + end for piece, end in parts).encode()
)


def whole_pieces(data, cuts):
    """Cuts moved to where a bite of a file may end: behind a piece, or within one too long."""
    ends = set()
    for cut in cuts:
        place = max(data.rfind(b"\n", 0, cut), data.rfind(b"\r", 0, cut)) + 1
        ends.add(cut if cut - place > LONGEST else place)
    return sorted(ends)


@given(LOGS, st.lists(st.integers(0, 1 << 15), max_size=4))
def test_bites_of_any_size_give_the_same_points(data, cuts):
    """What a decoder must know of what came before is in its memory."""
    cuts = whole_pieces(data, [min(cut, len(data)) for cut in cuts])
    assert repr(decoded(LOG, data, cuts=cuts)) == repr(decoded(LOG, data))


@given(st.binary(max_size=300).map(lambda raw: raw + b"\n"))
def test_no_bytes_are_an_error(data):
    """Whatever a program writes to its output."""
    decoded(LOG, data)
    decoded(LOG, b"step 1 loss=1\n" + data, rules=Rules(patterns=(r"(?P<a>\d+)",)))


def test_names_are_bounded():
    """A program that prints a new name at each line does not fill the index."""
    text = "".join(f"step {n} name_{n}=1\n" for n in range(1000))
    assert len(points(text)) == 200


@pytest.mark.parametrize("size", [10**18, 10**30])
def test_absurd_counts_do_no_harm(size):
    """Steps and totals beyond 64 bits are no steps."""
    found = points(f"step {size} loss=1\nstep 1 loss=2\n" + bar(1, size) + f"\rstep {size} x=1\n")
    assert all(abs(step) < 1 << 63 for name in found for step, _ in found[name])
