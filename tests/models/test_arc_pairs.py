"""Pairs as examples: which there are, and that what is held out is not trained on."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arc import Task, augment
from models.arc_leakage import canonical
from models.arc_pairs import (
    augmented,
    describe,
    divide,
    examples_of,
    load_examples,
    permute_answers,
)

ALL = load_examples(30)


def grid(*rows):
    return np.array(rows, np.uint8)


def task(name, *pairs):
    return Task(name=name, train=pairs[:1], test=pairs[1:])


def forms(examples):
    return {canonical((e.question, e.answer)) for e in examples}


@pytest.mark.parametrize(
    ("side", "tasks", "pairs"), [(6, 91, 318), (8, 122, 455), (10, 249, 939), (30, 400, 1718)]
)
def test_how_many_pairs_fit(side, tasks, pairs):
    """The sizes of the example sets; 1,718 is the original's count."""
    found = load_examples(side)
    assert (len({e.task for e in found}), len(found)) == (tasks, pairs)
    assert max(max(*e.question.shape, *e.answer.shape) for e in found) == side
    assert len({e.name for e in found}) == pairs


@pytest.mark.parametrize("side", [0, 31])
def test_a_side_that_no_grid_has_is_refused(side):
    """The message says the sides there are."""
    with pytest.raises(ValueError, match=f"side={side}; grids are 1 to 30"):
        load_examples(side)


def test_either_grid_can_be_too_large():
    """A pair whose answer alone does not fit is left out, and one that just fits is not."""
    small, large = grid([1, 2]), grid([1, 2, 3])
    examples = examples_of([task("a", (small, small), (small, large), (large, small))], 2)
    assert [e.name for e in examples] == ["a_train_0"]


@settings(max_examples=25)  # each looks at all forms of all pairs
@given(seed=st.integers(0, 2**32), share=st.floats(0.05, 0.9), side=st.sampled_from([6, 10, 30]))
def test_held_out_tasks_are_not_trained_on(seed, share, side):
    """Every example is on one side, with its whole task, and no pair has its like on the other."""
    examples = load_examples_once(side)
    division = divide(examples, by="task", share=share, seed=seed)
    sides = (division.train, division.held_out)
    assert Counter(e.name for e in examples) == Counter(e.name for s in sides for e in s)
    assert not {e.task for e in sides[0]} & {e.task for e in sides[1]}
    assert not forms(sides[0]) & forms(sides[1])
    moved = {found.evaluated.task for found in division.moved}
    assert not moved & {e.task for e in sides[1]}
    tasks = len({e.task for e in examples})
    assert len({e.task for e in sides[1]}) == round(share * tasks) - len(moved)


def load_examples_once(side):
    return [e for e in ALL if max(*e.question.shape, *e.answer.shape) <= side]


def test_a_task_like_a_training_task_is_moved_by_name():
    """Turned and recoloured it is still alike; a chain of such tasks moves as a whole."""
    sizes = [grid([1, 0, *[0] * n]) for n in range(8)]
    tasks = [task(f"other{n}", (sizes[n], sizes[n]), (sizes[n], grid([0]))) for n in range(8)]
    first, second = (grid([1, 2, 0]), grid([3])), (grid([4, 4], [0, 4]), grid([0, 0, 7]))
    chain = [
        task("a", first, (grid([0]), grid([0, 0]))),
        task("b", turned(first), second),
        task("c", turned(second), (grid([0, 0, 0]), grid([0]))),
    ]
    examples = examples_of([*chain, *tasks], 30)
    seen = Counter()
    for seed in range(40):
        division = divide(examples, by="task", share=0.5, seed=seed)
        held = {e.task for e in division.held_out}
        assert held >= {"a", "b", "c"} or not held & {"a", "b", "c"}
        named = {found.evaluated.task for found in division.moved}
        assert all(word.split(":")[0] in named for word in describe(division)["moved"])
        seen[len(named)] += 1
    assert seen[0] > 0
    assert seen[1] > 0
    assert seen[2] > 0


def turned(pair):
    return tuple(augment(g, 3, (0, 2, 1, 4, 3, 9, 8, 7, 6, 5)) for g in pair)


def test_what_is_moved_in_arc_1_is_said():
    """The two couples of training tasks that are alike, by the pairs that make them so."""
    said = set()
    for seed in range(8):
        said |= set(describe(divide(ALL, by="task", share=0.3, seed=seed))["moved"])
    assert said == {
        "27a28665: train pair 1 is like train pair 0 of 44f52bb0",
        "44f52bb0: train pair 0 is like train pair 1 of 27a28665",
        "8be77c9e: train pair 1 is like train pair 0 of c9e6f938",
        "c9e6f938: train pair 0 is like train pair 1 of 8be77c9e",
    }


def test_a_division_is_the_seeds():
    """The same seed holds out the same; another seed others; a side left out changes no draw."""
    held = [
        {e.task for e in divide(ALL, by="task", share=0.2, seed=seed).held_out}
        for seed in (0, 0, 1)
    ]
    assert held[0] == held[1] != held[2]
    reversed_ = divide(ALL[::-1], by="task", share=0.2, seed=0)
    assert {e.task for e in reversed_.held_out} == held[0]


def test_answers_do_not_decide_what_is_held_out():
    """With other answers, and no pairs alike, the same examples are held out."""
    names = [
        [e.name for e in divide(examples, by="task", share=0.2, seed=3).held_out]
        for examples in (ALL, permute_answers(ALL, 5))
    ]
    moved = {f.evaluated.task for f in divide(ALL, by="task", share=0.2, seed=3).moved}
    assert names[0] == [n for n in names[1] if n.split("_")[0] not in moved]


def test_the_pair_division_leaks():
    """Most held-out pairs have others of their task in training: why it is not the default."""
    division = divide(ALL, by="pair", share=0.1, seed=0)
    trained = {e.task for e in division.train}
    assert len(division.held_out) == 172
    assert sum(e.task in trained for e in division.held_out) > 160
    assert division.moved == ()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"by": "row"}, 'by=\'row\'; examples are divided by "task" or by "pair"'),
        ({"share": 0.0}, "share=0.0; a share held out is between 0 and 1"),
        ({"share": 1.0}, "share=1.0; a share held out is between 0 and 1"),
        (
            {"share": 0.001},
            "share=0.001 of 91 tasks (0 moved to training): none is held out; take another share",
        ),
        ({"share": 0.999}, "none is to train on"),
        (
            {"share": 0.015625, "seed": 14037},
            "of 91 tasks (1 moved to training): none is held out",
        ),
    ],
)
def test_an_empty_side_is_refused(options, said):
    """Neither training on nothing nor validating on nothing is begun."""
    examples = load_examples_once(6)
    with pytest.raises(ValueError, match=re.escape(said)):
        divide(examples, **{"by": "task", "share": 0.2, "seed": 0} | options)


def test_permuted_answers_are_the_same_answers():
    """Questions stay; each answer is used once, by another question but for chance."""
    some = ALL[:200]
    permuted = permute_answers(some, 0)
    assert [e.question.tobytes() for e in permuted] == [e.question.tobytes() for e in some]
    assert Counter(id(e.answer) for e in permuted) == Counter(id(e.answer) for e in some)
    kept = sum(a.answer is b.answer for a, b in zip(some, permuted, strict=True))
    assert kept < 10
    again = permute_answers(some, 0)
    assert [id(e.answer) for e in again] == [id(e.answer) for e in permuted]
    assert [id(e.answer) for e in permute_answers(some, 1)] != [id(e.answer) for e in permuted]


def test_forms_of_a_pair_are_the_pair_turned_and_recoloured():
    """All of one class and different, the first unchanged; question and answer change alike."""
    examples = load_examples(5)
    made = augmented(examples, 6, seed=3)
    assert len({e.name for e in made}) == len(made) > 3 * len(examples)
    assert forms(made) == forms(examples)
    shown = {(e.task, e.part, e.number, e.question.tobytes(), e.answer.tobytes()) for e in made}
    assert len(shown) == len(made)
    first = [e for e in made if e.form == 0]
    assert [(e.name, e.question.tolist()) for e in first] == [
        (e.name, e.question.tolist()) for e in examples
    ]


def test_one_form_is_the_pairs_as_they_are():
    """And the seed decides which others there are."""
    examples = load_examples(4)
    assert [e.name for e in augmented(examples, 1, seed=0)] == [e.name for e in examples]
    one, same, other = (augmented(examples, 4, seed=seed) for seed in (0, 0, 1))
    grids = [[e.question.tolist() for e in made] for made in (one, same, other)]
    assert grids[0] == grids[1] != grids[2]
    with pytest.raises(ValueError, match="forms=0; 1 is"):
        augmented(examples, 0, seed=0)
