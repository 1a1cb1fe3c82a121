"""Predictions as text."""

from dataclasses import replace

import numpy as np

from experiments.puzzles.evaluation import Predicted
from experiments.puzzles.pictures import draw_predictions
from models import arc, arc_set


def test_questions_answers_and_candidates_stand_side_by_side():
    """Solved tasks come first; the right candidate is marked; colour 0 is a dot."""
    question, answer = np.array([[1, 0]], np.uint8), np.array([[0, 2]], np.uint8)
    shown = ((np.array([[3]], np.uint8), answer),)
    tasks = [arc.Task(name=name, train=shown, test=((question, answer),)) for name in "ab"]
    described = replace(arc_set.parse_set("arc1-train-same-size-8x8", augmentations=1), side=3)
    made = arc_set.assemble(described, (), tasks)
    tokens = made.test.labels_NS.copy()
    tokens[0] = made.test.inputs_NS[0]
    found = Predicted(tokens_NS=tokens, confidence_N=np.zeros(2, np.float32))
    assert draw_predictions(made, made.test, found, 7).splitlines() == [
        "arc1-train-same-size-8x8, step 7: 1 of 2 tasks solved at pass@1",
        "Solved tasks first. Colour 0 is a dot. * marks the candidate that is right.",
        "",
        "b question 1 (solved)",
        "question   answer   1: 1 votes*",
        "1 .        . 2      . 2",
        "",
        "a question 1 (not solved)",
        "question   answer   1: 1 votes",
        "1 .        . 2      1 .",
    ]
