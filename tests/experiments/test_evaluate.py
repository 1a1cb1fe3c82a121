"""evaluate.py: what it scores, writes and refuses."""

import shutil

import numpy as np
import pytest
import torch

from experiments.puzzles.evaluate import check_data
from experiments.puzzles.evaluation import Predicted, evaluate, score
from experiments.puzzles.pictures import draw_predictions
from experiments.puzzles.settings import read_settings
from experiments.puzzles.state import read
from models.puzzles import read_split
from models.stream import fast_groups, take


def evaluated(programs, run, folder, *arguments):
    """A copy of a run without its training record, evaluated, and what was printed."""
    copy = folder / "a run's folder"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "attempt-1")
    code, text = programs.complete(copy, program="evaluate.py", arguments=arguments)
    assert code == 0, text
    return copy, text


def shared(programs, name, trained):
    """The evaluation of every checkpoint of a run, made once, and what was printed."""
    run = programs.shared(
        name,
        {},
        program="evaluate.py",
        prepare=lambda run: shutil.copytree(trained / "checkpoints", run / "checkpoints"),
    )
    return run, (run.parent / "done").read_text()


@pytest.fixture(scope="module")
def sudoku(programs, sudoku_run):
    """The evaluation of the training on Sudoku."""
    return shared(programs, "sudoku evaluated", sudoku_run)


@pytest.fixture(scope="module")
def arc(programs, arc_run):
    """The evaluation of the training on ARC."""
    return shared(programs, "arc evaluated", arc_run)


STEPS = [10, 20, 30, 40, 50, 60, 70, 80]


def test_every_checkpoint_is_scored_at_its_step(programs, sudoku):
    """The scores of both counts of segments are logged once for each checkpoint, in 0..1."""
    run, text = sudoku
    for name in ("exact", "valid", "cell_accuracy", "givens_kept"):
        for prefix in ("eval/", "eval/segments_4/"):
            values = programs.series(run, prefix + name)
            assert sorted(values) == STEPS
            assert all(0 <= value <= 1 for value in values.values())
    assert [line.split()[1] for line in text.splitlines() if line.startswith("step ")] == [
        str(step) for step in STEPS
    ]
    phases = programs.events(run, "phase")
    assert [p["state"] for p in phases if p["phase"] == "eval"] == ["begin", "end"]
    assert programs.summary(run)["eval/step"] == 80
    assert programs.summary(run)["eval/exact"] == programs.series(run, "eval/exact")[80]


def test_arc_is_scored_by_votes(programs, arc):
    """pass@k strict and fractional, with their interval, and what is counted before the vote."""
    run, _ = arc
    names = ["pass@1", "pass@2", "pass@1/fractional", "pass@1/low", "pass@1/high"]
    names += ["exact_unvoted", "cell_accuracy", "shape_accuracy", "colour/0/f1"]
    values = {name: programs.series(run, f"eval/{name}") for name in names}
    assert all(sorted(series) == STEPS for series in values.values())
    for step in STEPS:
        low, one, high = (values[name][step] for name in ("pass@1/low", "pass@1", "pass@1/high"))
        assert 0 <= low <= one <= high <= 1
        assert one <= values["pass@2"][step]


@pytest.mark.parametrize(
    ("which", "score_name", "baselines"),
    [
        ("sudoku", "exact", ["constant"]),
        ("arc", "cell_accuracy", ["copy_input", "background", "commonest_colour"]),
    ],
)
def test_baselines_stand_beside_the_scores(programs, request, which, score_name, baselines):
    """What needs no learning is the same for every checkpoint; the lead over it is logged."""
    run, text = request.getfixturevalue(which)
    found = [
        programs.series(run, f"eval/baseline/{name}/{score_name}").values() for name in baselines
    ]
    assert all(len(set(values)) == 1 for values in found)
    best = max(next(iter(values)) for values in found)
    lead = programs.series(run, f"eval/above_baseline/{score_name}")
    own = programs.series(run, f"eval/{score_name}")
    assert lead == pytest.approx({step: own[step] - best for step in STEPS})
    assert f"above_baseline/{score_name}=" in text


def test_validation_and_evaluation_agree(programs, sudoku_run, sudoku):
    """On all test puzzles, what training says of a step is what evaluation says of it."""
    for name in ("exact", "cell_accuracy", "segments_4/cell_accuracy"):
        validated = programs.series(sudoku_run, f"val/{name}")
        scored = programs.series(sudoku[0], f"eval/{name}")
        assert sorted(validated) == [20, 40, 60, 80]
        assert validated == {step: scored[step] for step in validated}


def test_evaluation_is_repeatable(programs, arc_run, arc, tmp_path):
    """A second evaluation of the same checkpoints gives the same numbers and pictures."""
    again, text = evaluated(programs, arc_run, tmp_path)
    assert text == arc[1].replace(str(arc[0]), str(again))
    assert metrics(programs, again) == metrics(programs, arc[0])
    pictures = [run / "predictions.txt" for run in (again, arc[0])]
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def metrics(programs, run):
    """Every point of a run."""
    return [(x["step"], x["metrics"]) for x in programs.lines(run) if "metrics" in x]


def test_pooled_votes_are_a_named_option(programs, training, tmp_path):
    """votes=pooled adds scores of its own, and changes none of a checkpoint's own votes."""
    changes = {"model": "direct", "continue_target": False, "halting": "halt", "segments": 1}
    settings = read_settings(programs.ARC | changes | {"width": 16, "batch": 16, "steps": 200})
    cheater = training(settings, part="test")  # learns the very answers, so that votes change
    trained = programs.make_run(tmp_path / "trained")
    (trained / "attempt-1").mkdir()
    for _ in range(4):
        cheater.steps(40)
        cheater.save(trained)
    alone, _ = evaluated(programs, trained, tmp_path / "alone")
    pooled, text = evaluated(programs, trained, tmp_path / "pooled", "votes=pooled")
    of_each = [
        (step, {name: x for name, x in values.items() if not name.startswith("eval/pooled/")})
        for step, values in metrics(programs, pooled)
    ]
    assert of_each == metrics(programs, alone)
    own = programs.series(pooled, "eval/pass@1")
    together = programs.series(pooled, "eval/pooled/pass@1")
    assert own[40] == together[40]
    assert own != together
    assert own[160] > own[40]
    assert "pooled/pass@1=" in text


def test_without_a_pool_no_vote_is_kept(training, programs, arc_run):
    """In one process, a checkpoint's score does not depend on what was evaluated before it."""
    first = training(read_settings(programs.ARC)).state
    split = read_split(first.study.folder, "test")
    settings = read_settings(programs.ARC)
    saved = [read(arc_run / "checkpoints" / f"step_{step}")["average"] for step in (10, 80)]
    found = evaluate(first.study, saved[1], split, settings)
    alone, tokens = found.scores, found.predicted.tokens_NS
    assert (tokens.dtype, tokens.shape) == (np.uint8, split.labels_NS.shape)
    evaluate(first.study, saved[0], split, settings)
    assert evaluate(first.study, saved[1], split, settings).scores == alone


def test_while_training_a_random_share_is_validated(training, programs, arc_run):
    """val/ scores are those of a random half of the tasks, not the first half, at every step."""
    settings = read_settings(programs.ARC)
    study = training(settings).state.study
    split = read_split(study.folder, "test")
    chosen = fast_groups(split, 0.5, settings.seed)
    assert len(chosen) == round(split.groups / 2)
    assert chosen.tolist() != list(range(len(chosen)))
    saved = read(arc_run / "checkpoints" / "step_80")
    study.table.load_state_dict(saved["table"])
    study.core.load_state_dict(saved["weights"])
    found = evaluate(study, saved["average"], take(split, chosen), settings).scores
    for name in ("cell_accuracy", "exact_unvoted", "pass@1"):
        assert programs.series(arc_run, f"val/{name}")[80] == found[name]


def test_a_checkpoint_can_be_evaluated_on_its_own(programs, sudoku_run, sudoku, tmp_path):
    """By hand, the path of one checkpoint is enough: its settings are in it."""
    (tmp_path / "tickets").mkdir()
    path = sudoku_run / "checkpoints" / "step_60"
    code, text = programs.by_hand(
        tmp_path, f"checkpoint={path}", "eval_batch=7", program="evaluate.py"
    )
    assert code == 0, text
    run = tmp_path / ".exp" / "runs" / "R-000001"
    found = programs.series(run, "eval/cell_accuracy")
    assert found == {60: programs.series(sudoku[0], "eval/cell_accuracy")[60]}
    assert (run / "predictions.txt").exists()


@pytest.mark.parametrize(
    ("config", "change", "said"),
    [
        ("ARC", {"data": "arc1-eval-same-size-3x3"}, "would stand for other puzzles"),
        ("ARC", {"augmentations": 3}, "would stand for other puzzles"),
        ("SUDOKU", {"data": "maze-4x4"}, "not on maze"),
        ("SUDOKU", {"data_seed": 5}, "of the answers that"),
    ],
)
def test_other_identities_and_other_puzzles_are_refused(training, programs, config, change, said):
    """A set that the model was not made for, or that asks what it was told, is not scored."""
    given = getattr(programs, config)
    saved = training(read_settings(given)).content()
    with pytest.raises(ValueError, match=said):
        check_data(saved, training(read_settings(given | change)).state.study)


@pytest.mark.parametrize(
    ("which", "arguments", "said"),
    [
        ("arc_run", ["data=arc2-train-same-size-3x3"], "ARC-1 and ARC-2 share tasks"),
        ("sudoku_run", ["width=16"], "width is 8 there and 16 here"),
    ],
)
def test_what_would_leak_or_cannot_be_ends_with_93(
    programs, request, tmp_path, which, arguments, said
):
    """As a process: tasks whose answers were trained on, and another model; nothing is scored."""
    run = programs.make_run(tmp_path)
    path = request.getfixturevalue(which) / "checkpoints" / "step_80"
    code, text = programs.complete(
        run, program="evaluate.py", arguments=[f"checkpoint={path}", *arguments]
    )
    assert code == 93, text
    assert said in text
    assert "Traceback" not in text
    assert metrics(programs, run) == []


def test_other_sudokus_may_be_evaluated(programs, sudoku_run, sudoku, tmp_path):
    """A set of other puzzles of the same size is scored, where none has an answer of training."""
    run = programs.make_run(tmp_path)
    path = sudoku_run / "checkpoints" / "step_80"
    arguments = [f"checkpoint={path}", "data_seed=8"]
    code, text = programs.complete(run, program="evaluate.py", arguments=arguments)
    assert code == 0, text
    assert "seed8: 20 test puzzles" in text
    other = programs.series(sudoku[0], "eval/cell_accuracy")[80]
    assert programs.series(run, "eval/cell_accuracy")[80] != other


def test_without_a_checkpoint_it_says_so(programs, tmp_path):
    """An untrained run cannot be evaluated; the message names the way out."""
    run = programs.make_run(tmp_path)
    code, text = programs.complete(run, program="evaluate.py")
    assert code == 1
    assert "train first" in text


def test_a_model_that_knows_the_answers_scores_one(training, programs):
    """Perfect tokens give 1 everywhere: turning back, voting and matching lose nothing."""
    sets = [(programs.ARC, ["pass@1", "pass@1/fractional", "exact_unvoted", "shape_accuracy"])]
    sets += [(programs.SUDOKU, ["exact", "valid", "givens_kept"])]
    maze = {"data": "maze-4x4", "train_puzzles": 8, "test_puzzles": 4, "best": ""}
    sets += [(programs.SUDOKU | maze, ["exact", "valid", "optimal"])]
    for config, names in sets:
        study = training(read_settings(config)).state.study
        split = read_split(study.folder, "test")
        known = Predicted(
            tokens_NS=split.labels_NS,
            confidence_N=np.ones(split.examples, np.float32),
        )
        found = score(study, known, split, None)
        assert [found[name] for name in [*names, "cell_accuracy"]] == [1] * (len(names) + 1)


def test_an_untrained_model_scores_low(training, programs):
    """Random weights solve next to nothing: the score is not given away by the evaluation."""
    for config, name in ((programs.ARC, "pass@1"), (programs.SUDOKU, "exact")):
        settings = read_settings(config)
        study = training(settings).state.study
        split = read_split(study.folder, "test")
        found = evaluate(study, dict(study.core.named_parameters()), split, settings).scores
        assert found[name] <= 1 / 13
        assert found["cell_accuracy"] < 0.6


def test_batches_do_not_change_answers(training, programs):
    """Answered one by one, in threes or all at once, every example gets the same tokens."""
    settings = read_settings(programs.SUDOKU)
    study = training(settings).state.study
    split = read_split(study.folder, "test")
    weights = dict(study.core.named_parameters())
    found = [
        evaluate(study, weights, split, read_settings(programs.SUDOKU, [f"eval_batch={size}"]))
        for size in (1, 3, 20)
    ]
    for other in found[1:]:
        assert np.array_equal(other.predicted.tokens_NS, found[0].predicted.tokens_NS)
        assert other.scores == pytest.approx(found[0].scores)


@pytest.mark.parametrize(
    ("config", "signs"), [("ARC", "question 1"), ("SUDOKU", "puzzle 1\n"), ("MAZE", "S")]
)
def test_pictures_mark_what_is_right(training, programs, config, signs):
    """The drawing shows puzzles beside answers and predictions, and stars the right ones."""
    maze = {"data": "maze-4x4", "train_puzzles": 8, "test_puzzles": 4, "best": ""}
    chosen = programs.SUDOKU | maze if config == "MAZE" else getattr(programs, config)
    study = training(read_settings(chosen)).state.study
    split = read_split(study.folder, "test")
    tokens = split.labels_NS.astype(np.int64)
    right = Predicted(tokens_NS=tokens, confidence_N=np.ones(split.examples, np.float32))
    text = draw_predictions(study.meta, split, right, 7)
    assert text.startswith(f"{study.meta.name}, step 7: ")
    assert signs in text
    assert text.count("*") > 1
    wrong = Predicted(
        tokens_NS=np.where(tokens > 0, 5 - np.minimum(tokens, 3), 0),
        confidence_N=right.confidence_N,
    )
    text = draw_predictions(study.meta, split, wrong, 7)
    assert ": 0 of " in text
    assert text.count("*") == 1  # in the line that explains it


def test_the_predictions_can_be_looked_at(sudoku):
    """predictions.txt names the set and the last step, and shows every test puzzle."""
    run, text = sudoku
    pictures = (run / "predictions.txt").read_text()
    assert pictures.startswith("sudoku-4x4-givens6-10-24x1-seed0, step 80: ")
    assert pictures.count("\npuzzle ") == 20 * 2  # the number, and the first column's name
    assert f"predictions: {run}" in text


def test_evaluation_keeps_no_graph(training, programs):
    """No gradient is kept, and tensors are ordinary ones, not of inference mode."""
    settings = read_settings(programs.SUDOKU)
    state = training(settings).state
    split = read_split(state.study.folder, "test")
    evaluate(state.study, state.average, split, settings)
    assert all(parameter.grad is None for parameter in state.study.core.parameters())
    assert not any(torch.is_inference(tensor) for tensor in state.average.values())
