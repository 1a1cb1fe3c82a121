"""What a score is worth: answers to ARC questions that need no learning, scored beside every model.

A set in which copying the question solves tasks would flatter any model that learned to copy. Each
baseline is a function of the question's canvas [N, S] and answers with a canvas of the same size.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.arc import COLOURS, FIRST_COLOUR

Tokens = NDArray[np.uint8]


def copy_input(inputs_NS: Tokens) -> Tokens:
    """The question itself."""
    return inputs_NS


def background(inputs_NS: Tokens) -> Tokens:
    """Colour 0 everywhere, at the question's size."""
    return np.minimum(inputs_NS, FIRST_COLOUR)


def constant(inputs_NS: Tokens) -> Tokens:
    """Colour 0 on the whole canvas, whatever was asked.

    In answers larger than their questions it has more cells right than `background`; so has every
    model that says colour 0 for padding too.
    """
    return np.full_like(inputs_NS, FIRST_COLOUR)


def commonest_colour(inputs_NS: Tokens) -> Tokens:
    """The question's most frequent colour everywhere (the lowest of equals)."""
    colours = range(FIRST_COLOUR, FIRST_COLOUR + COLOURS)
    counts_NC = np.stack([(inputs_NS == colour).sum(1) for colour in colours], axis=1)
    commonest_N1 = counts_NC.argmax(1)[:, None] + FIRST_COLOUR
    return np.where(inputs_NS >= FIRST_COLOUR, commonest_N1, inputs_NS).astype(np.uint8)


BASELINES: dict[str, Callable[[Tokens], Tokens]] = {
    "copy_input": copy_input,
    "background": background,
    "constant": constant,
    "commonest_colour": commonest_colour,
}
