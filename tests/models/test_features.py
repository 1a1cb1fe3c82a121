"""Features of the extractor without weights: what they tell, and what they depend on."""

import hashlib
import os
import subprocess
import sys
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
import torch

from models.arc_pairs import load_examples
from models.features import FRAME, PALETTE, STD, FeatureExtractor, Rendered, picture

ROOT = Path(__file__).resolve().parents[2]
SIDE = 6


@pytest.fixture(scope="module")
def extractor():
    return Rendered(side=SIDE, width=512)


def grids(count, seed=0):
    draw = np.random.default_rng(seed)
    shapes = draw.integers(1, SIDE + 1, size=(count, 2))
    return [draw.integers(0, 10, shape).astype(np.uint8) for shape in shapes]


def colours_shown(question):
    """The colour of each cell of the canvas, 10 for the frame."""
    shown = np.full((SIDE, SIDE), 10)
    shown[: question.shape[0], : question.shape[1]] = question
    return torch.from_numpy(shown.reshape(-1))


def probed(features, targets, fitted):
    """Share of tokens of unseen questions whose class a linear map fitted on the others tells."""
    tokens = torch.cat([features, torch.ones(*features.shape[:2], 1)], dim=2).double()
    wanted = torch.nn.functional.one_hot(targets).double()
    solved = torch.linalg.lstsq(tokens[:fitted].flatten(0, 1), wanted[:fitted].flatten(0, 1))
    told = (tokens[fitted:] @ solved.solution).argmax(2)
    return (told == targets[fitted:]).double().mean().item()


def test_a_linear_probe_tells_colour_and_place(extractor):
    """On questions it was not fitted on, real and random, it tells colour, row and column."""
    questions = grids(60) + [e.question for e in load_examples(SIDE)[:40]]
    questions = [questions[i] for i in np.random.default_rng(1).permutation(len(questions))]
    features = torch.stack([extractor.extract(q) for q in questions])
    colours = torch.stack([colours_shown(q) for q in questions])
    cells = torch.arange(SIDE**2).expand(len(questions), -1)
    assert probed(features, colours, 60) > 0.999
    assert probed(features, cells // SIDE, 60) > 0.999
    assert probed(features, cells % SIDE, 60) > 0.999


def test_tokens_know_of_each_other(extractor):
    """One cell changed changes every token: they are mixed, as a transformer's are."""
    question = np.zeros((SIDE, SIDE), np.uint8)
    other = question.copy()
    other[2, 3] = 4
    change = (extractor.extract(question) - extractor.extract(other)).abs().amax(1)
    assert change.min() > 1e-4
    assert change.argmax() == 2 * SIDE + 3


def test_scale_is_that_of_the_real_features(extractor):
    """Each dimension has mean 0 and deviation 2.1 over squares, near it over real questions."""
    draw = np.random.default_rng(5)
    squares = [
        draw.choice(10, size=(n, n), p=[0.55, *[0.05] * 9]).astype(np.uint8)
        for n in draw.integers(1, SIDE + 1, size=80)
    ]
    tokens = torch.cat([extractor.extract(q) for q in squares])
    assert tokens.mean(0).abs().max() < 0.8
    assert tokens.std(0) == pytest.approx(torch.full((512,), STD), rel=0.15)
    real = torch.cat([extractor.extract(e.question) for e in load_examples(SIDE)[:40]])
    assert real.square().mean() == pytest.approx(STD**2, rel=0.25)


def test_an_extractor_is_shown_a_question_only():
    """No parameter could carry an answer, a name or another example."""
    for kind in (FeatureExtractor, Rendered):
        assert list(signature(kind.extract).parameters) == ["self", "question"]


def test_features_do_not_depend_on_what_came_before(extractor):
    """The same question has the same bytes, whatever was extracted between."""
    first, *others = grids(5)
    before = extractor.extract(first)
    for other in others:
        extractor.extract(other)
    assert torch.equal(extractor.extract(first), before)
    assert before.shape == (extractor.tokens, extractor.width)
    assert before.dtype == torch.float32


def test_another_process_makes_the_same_bytes(extractor):
    """With another number of threads too, which stays as it was; another seed makes others."""
    program = f"""
import hashlib, numpy as np, torch
from models.features import Rendered
torch.set_num_threads(3)
question = np.arange(12, dtype=np.uint8).reshape(3, 4) % 10
features = Rendered(side={SIDE}, width=512).extract(question)
print(torch.get_num_threads(), hashlib.sha256(features.numpy().tobytes()).hexdigest())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    question = np.arange(12, dtype=np.uint8).reshape(3, 4) % 10
    ours = extractor.extract(question)
    assert done.stdout.strip() == "3 " + hashlib.sha256(ours.numpy().tobytes()).hexdigest()
    assert not torch.equal(Rendered(side=SIDE, width=512, seed=1).extract(question), ours)


def test_settings_say_what_features_depend_on():
    """Side, width and seed are in them."""
    settings = [
        Rendered(side=side, width=width, seed=seed).settings
        for side, width, seed in ((3, 8, 0), (4, 8, 0), (3, 9, 0), (3, 8, 1))
    ]
    assert all(a != b for i, a in enumerate(settings) for b in settings[:i])


def test_the_picture_is_the_grid_in_its_frame():
    """Every pixel is its cell's colour, and around the grid the frame's."""
    question = np.array([[1, 2], [3, 0]], np.uint8)
    pixels = picture(question, 3)
    assert np.array_equal(pixels[:2, :2], PALETTE[question])
    assert np.array_equal(np.unique(pixels.reshape(-1, 3)[[2, 5, 6, 7, 8]], axis=0), [FRAME])
    assert len(np.unique(np.vstack([PALETTE, FRAME[None]]), axis=0)) == 11


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"side": 0}, "side=0; grids are 1 to 30"),
        ({"side": 31}, "side=31; grids are 1 to 30"),
        ({"side": 6, "width": 0}, "width=0"),
        ({"side": 6, "seed": -1}, "seed=-1"),
    ],
)
def test_settings_that_cannot_be_are_refused(options, said):
    """Before anything is computed, with the setting's name."""
    with pytest.raises(ValueError, match=said):
        Rendered(**options)


def test_a_grid_that_does_not_fit_is_refused(extractor):
    """With both sizes."""
    with pytest.raises(ValueError, match="a grid of 2x7 does not fit in 6x6"):
        extractor.extract(np.zeros((2, 7), np.uint8))
