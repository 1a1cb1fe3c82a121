"""Votes on hand-made predictions."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.voting import Pool, Vote, pass_at, rank, task_credits

RED, BLUE, GREEN = (np.full((2, 2), colour, np.uint8) for colour in (2, 1, 3))


def vote(grid, confidence=0.5, task="a", question=0):
    return Vote(task=task, question=question, grid=grid, confidence=confidence)


def order(ranked, place=("a", 0)):
    return [int(candidate.grid[0, 0]) for candidate in ranked[place]]


def test_more_votes_win_over_more_confidence():
    """Two hesitant votes stand before one certain vote."""
    assert order(rank([vote(RED, 0.99), vote(BLUE, 0.1), vote(BLUE, 0.1)])) == [1, 2]


def test_confidence_decides_between_equal_votes():
    """With equal votes the higher mean confidence stands first."""
    votes = [vote(RED, 0.2), vote(RED, 0.4), vote(BLUE, 0.5), vote(BLUE, 0.3)]
    ranked = rank(votes)
    assert order(ranked) == [1, 2]
    assert [c.votes for c in ranked["a", 0]] == [2, 2]
    assert ranked["a", 0][1].confidence == pytest.approx(0.3)


def test_shapes_are_part_of_a_candidate():
    """Grids of the same bytes and different shapes are different candidates."""
    flat = np.zeros((1, 4), np.uint8)
    square = np.zeros((2, 2), np.uint8)
    assert len(rank([vote(flat), vote(square)])["a", 0]) == 2


def test_a_prediction_without_a_grid_casts_no_vote():
    """Unreadable predictions are no candidate, and a question without votes is not solved."""
    ranked = rank([vote(None, 0.9), vote(None, 0.9)])
    assert ranked == {}
    assert pass_at(ranked, {"a": [RED]}, 2) == 0


def test_pass_at_k_counts_candidates_not_votes():
    """An answer with few votes is within k when few other candidates stand before it."""
    ranked = rank([vote(RED)] * 50 + [vote(BLUE)] * 2 + [vote(GREEN)])
    assert pass_at(ranked, {"a": [BLUE]}, 1) == 0
    assert pass_at(ranked, {"a": [BLUE]}, 2) == 1
    assert pass_at(ranked, {"a": [GREEN]}, 2) == 0
    assert pass_at(ranked, {"a": [GREEN]}, 3) == 1


def test_a_task_needs_all_its_questions_or_gets_its_share():
    """One of three questions wrong is nothing when strict, and two thirds when fractional."""
    ranked = rank([vote(RED, question=0), vote(BLUE, question=1), vote(RED, question=2)])
    solutions = {"a": [RED, BLUE, RED], "b": [RED]}
    assert task_credits(ranked, solutions, 1, "strict").tolist() == [1, 0]
    solutions = {"a": [RED, GREEN, RED], "b": [RED]}
    assert task_credits(ranked, solutions, 1, "strict").tolist() == [0, 0]
    assert pass_at(ranked, solutions, 1, "fractional") == pytest.approx(1 / 3)


def test_pass_is_the_share_of_tasks():
    """Two of four tasks solved is a half; a task without votes counts as not solved."""
    ranked = rank([vote(RED, task="a"), vote(RED, task="b"), vote(RED, task="c")])
    assert pass_at(ranked, {"a": [RED], "b": [RED], "c": [BLUE], "d": [RED]}, 1) == 0.5


def test_votes_do_not_outlive_an_evaluation():
    """Ranking other votes afterwards knows nothing of the first ones."""
    rank([vote(RED)] * 5)
    assert order(rank([vote(BLUE)])) == [1]


def test_a_pool_remembers_earlier_votes():
    """In a pool an earlier majority stands, and two pools do not know each other."""
    pool = Pool()
    pool.rank([vote(RED)] * 3)
    assert order(pool.rank([vote(BLUE)] * 2)) == [2, 1]
    assert order(Pool().rank([vote(BLUE)])) == [1]


@given(
    choices=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([0.1, 0.5, 0.9])), min_size=1, max_size=12
    ),
    seed=st.integers(0, 999),
)
def test_the_order_of_votes_never_decides(choices, seed):
    """Shuffled votes give the same ranking, ties included."""
    votes = [vote(np.full((1, 1), colour, np.uint8), c) for colour, c in choices]
    shuffled = votes.copy()
    random.Random(seed).shuffle(shuffled)
    first, second = rank(votes)["a", 0], rank(shuffled)["a", 0]
    assert [(c.votes, c.confidence) for c in first] == [(c.votes, c.confidence) for c in second]
    assert order(rank(votes)) == order(rank(shuffled))
