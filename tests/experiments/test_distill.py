"""Distillation's programs as real processes on tiny text: teachers, terms, refusals."""

import math
import signal
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.common.compare import read_entries
from experiments.common.world import World
from experiments.distill.settings import TAUGHT, read_settings
from experiments.distill.system import SYSTEM
from experiments.distill.task import LanguageTask
from models.objective import combine

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "documents": 120,
    "held_out": 0.1,
    "vocabulary": 300,
    "context": 24,
    "width": 16,
    "heads": 2,
    "layers": 1,
    "steps": 20,
    "batch": 4,
    "lr": 5e-3,
    "warmup": 2,
    "ema": 0.8,
    "eval_every": 10,
    "checkpoint_every": 5,
    "log_every": 1,
    "relation_heads": 2,
    "threads": 1,
}
EVERY = {"ce": 0.3, "kd": 0.7, "hidden": 0.1, "relations": 0.1, "attention": 0.1}


@pytest.fixture
def program(programs):
    """The path of one of the programs."""
    return lambda name: programs.ROOT / "experiments" / "distill" / name


@pytest.fixture(scope="module")
def teacher(programs):
    """A run that trained a teacher, wider and deeper than its students."""
    path = programs.ROOT / "experiments" / "distill" / "train.py"
    return programs.shared("teacher", SMALL | {"width": 24, "layers": 2}, program=path)


@pytest.fixture
def taught(teacher):
    """Settings of a student of that teacher."""
    return SMALL | {"teacher": str(teacher / "checkpoints" / "step_20"), "k": 32, "weights": EVERY}


def task(config, **changes):
    """The task of these settings, in this process."""
    return LanguageTask(read_settings(config | changes), World(), {})


def test_a_teacher_is_trained_by_the_text_alone(programs, teacher):
    """The loss falls towards the text's entropy, which no score is below."""
    losses = programs.series(teacher, "train/loss")
    assert losses[20] < losses[1]
    above = programs.series(teacher, "val/above_bound")
    assert above[20] < above[10]
    assert above[20] > 0
    uniform = programs.series(teacher, "val/baseline/uniform/cross_entropy")[20]
    unigram = programs.series(teacher, "val/baseline/unigram/cross_entropy")[20]
    assert uniform == pytest.approx(math.log(300))
    assert unigram < uniform
    assert losses[1] == pytest.approx(uniform, rel=0.1)


def test_a_student_has_all_terms_and_none_beside(generators, taught):
    """Each in its weight; every parameter is trained, projections too; the teacher is not."""
    one = task(taught)
    batch = one.batch(np.arange(6), "train")
    whole = combine(one.totals(batch), one.counts(batch), one.weights.at(0))
    assert set(whole.raw) == set(EVERY)
    whole.total.backward()
    assert [n for n, p in one.module.named_parameters() if p.grad is None] == []
    names = [name for name, _ in one.module.named_parameters()]
    assert any(name.startswith("hidden.projections") for name in names)
    assert all(p.grad is None and not p.requires_grad for p in one.teacher.model.parameters())


@pytest.mark.parametrize("term", TAUGHT)
def test_a_student_like_its_teacher_has_nothing_to_learn(generators, taught, term):
    """Of the same size and weights: each term but the projected one is 0."""
    one = task(taught, width=24, layers=2, weights={term: 1.0}, kd="full")
    one.module.student.load_state_dict(one.teacher.model.state_dict())
    with torch.no_grad():
        values = one.module(*one.batch(np.arange(6), "train"))[term]
    if term == "hidden":
        assert values.mean() > 0.1
        for projection in one.module.hidden.projections:
            torch.nn.init.eye_(projection.weight)
        assert len(one.module.hidden.projections) == 2
    else:
        assert values.abs().max() < 1e-4


@pytest.mark.parametrize("kd", ["full", "top_k", "top_k_renormalised", "sampled"])
def test_every_way_of_kd_trains(programs, program, taught, tmp_path, kd):
    """As a process: the divergence falls, and the weighted terms are the loss."""
    run = programs.make_run(tmp_path, taught, kd=kd, weights={"ce": 0.3, "kd": 0.7})
    code, text = programs.complete(run, program=program("train.py"))
    assert code == 0, text
    kd_raw = programs.series(run, "train/raw/kd")
    assert sum(kd_raw[s] for s in range(17, 21)) < sum(kd_raw[s] for s in range(1, 5))
    loss = programs.series(run, "train/loss")
    ce_raw = programs.series(run, "train/raw/ce")
    assert loss[20] == pytest.approx(0.3 * ce_raw[20] + 0.7 * kd_raw[20], rel=1e-4)


def test_killed_in_the_middle_it_ends_in_the_same_bits(programs, program, taught, tmp_path):
    """SIGKILL with a teacher, drawn tokens and projections."""
    runs = []
    for number in (0, 1):
        run = programs.make_run(tmp_path / str(number), taught, kd="sampled")
        process = programs.begin(run, program=program("train.py"))
        if number:
            programs.wait_for(lambda r=run: 10 in programs.manifests(r), process)
            process.send_signal(signal.SIGKILL)
            programs.wait(process)
            code, text = programs.complete(run, 2, program=program("train.py"))
        else:
            code, text = programs.wait(process)
        assert code == 0, text
        runs.append(run)
    assert programs.difference(*(programs.checkpoint(run, 20) for run in runs)) == ""


def test_members_teach_those_after_them(programs, program, tmp_path):
    """teacher=member:NAME; killed in the student, it goes on with the same teacher."""
    members = {
        "big": {"seeds": [0], "width": 24},
        "small": {"teacher": "member:big", "weights": {"ce": 0.3, "kd": 0.7}},
        "alone": {},
    }
    changes = {"members": members, "seeds": [0, 1], "leader": "small", "eval_every": 0}
    run = programs.make_run(tmp_path, SMALL, **changes)
    process = programs.begin(run, program=program("compare.py"))
    programs.wait_for(lambda: 45 in programs.manifests(run), process)
    process.send_signal(signal.SIGKILL)
    programs.wait(process)
    code, text = programs.complete(run, 2, program=program("compare.py"))
    assert code == 0, text
    assert programs.manifests(run)[-1] == 100
    values = {n: v for line in programs.lines(run) for n, v in line.get("metrics", {}).items()}
    for member in ("small", "alone"):
        seeds = [values[f"{member}/seed_{seed}/cross_entropy"] for seed in (0, 1)]
        assert values[f"{member}/cross_entropy_median"] == pytest.approx(sum(seeds) / 2)
    lead = values["small/cross_entropy_median"] - values["alone/cross_entropy_median"]
    assert values["small/cross_entropy_above_alone"] == pytest.approx(lead)


def test_a_student_is_evaluated_without_its_teacher_s_run(programs, program, taught, tmp_path):
    """evaluate.py: the last checkpoint's scores are those of the last validation."""
    run = programs.make_run(tmp_path, taught)
    code, text = programs.complete(run, program=program("train.py"))
    assert code == 0, text
    code, text = programs.complete(run, 2, program=program("evaluate.py"))
    assert code == 0, text
    validated = programs.series(run, "val/cross_entropy")
    evaluated = programs.series(run, "eval/cross_entropy")
    assert evaluated[20] == pytest.approx(validated[20], rel=1e-6)
    assert "baseline/teacher/cross_entropy" in str(list(programs.lines(run)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights": {"kd": 1.0}}, "weights has kd, and there is no teacher"),
        ({"teacher": "nowhere"}, "no term of weights compares with it"),
        ({"teacher": "nowhere", "weights": {"kd": 1}}, "nowhere: cannot be read as a checkpoint"),
        ({"teacher": "member:big", "weights": {"kd": 1}}, "no such member was trained before"),
        ({"teacher": "hf:nowhere", "weights": {"kd": 1}}, "nowhere: no folder with a config.json"),
        ({"student": "hf:nowhere"}, "nowhere: no folder with a config.json"),
        ({"student": "mine"}, "student=mine: write own, or hf:FOLDER"),
        ({"temperature": 0}, "temperature=0.0: above 0"),
        ({"vocabulary": 100}, "a vocabulary of 100: at least 257"),
        ({"documents": 1}, "documents=1"),
        ({"width": 10}, "width=10"),
        ({"train_share": 0}, "train_share=0"),
        ({"kd": "some"}, "kd='some': one of full, top_k"),
        ({"weights": {"kd": [[0, 0.0]], "ce": 1}, "teacher": "x"}, "no term of weights compares"),
        ({"weights": {"logits": 1}}, "no term 'logits'; there are ce, kd"),
    ],
)
def test_settings_that_cannot_be_are_refused(generators, tmp_path, monkeypatch, changes, said):
    """Each by name, before a step is taken."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=said):
        task(SMALL, **changes)


def test_a_teacher_of_another_vocabulary_is_refused(generators, taught):
    """Its ids mean other tokens; `align` compares those of equal text."""
    with pytest.raises(ValueError, match=r"the student's vocabulary .* is not the teacher's"):
        task(taught, vocabulary=280)
    with pytest.raises(ValueError, match="k=301: the teacher has 300 tokens"):
        task(taught, k=301)
    with pytest.raises(ValueError, match="relation_heads=3: does not divide a width of 16"):
        task(taught, relation_heads=3)
    with pytest.raises(ValueError, match="kd=full: with align only top_k"):
        task(taught, vocabulary=280, align=True, kd="full")
    aligned = task(taught, vocabulary=280, align=True, weights={"ce": 0.5, "kd": 0.5})
    batch = aligned.batch(np.arange(4), "train")
    values = aligned.totals(batch)
    assert values["kd"].isfinite()
    assert values["kd"] > 0


def test_what_cannot_be_ends_for_good(programs, program, tmp_path):
    """Exit code 93 and one line."""
    run = programs.make_run(tmp_path, SMALL, weights={"kd": 1.0})
    code, text = programs.complete(run, program=program("train.py"))
    assert code == 93
    assert "train.py: weights has kd, and there is no teacher" in text
    assert "Traceback" not in text


def test_a_checkpoint_of_something_else_is_no_teacher(programs, generators, tmp_path):
    """One of the regression's: readable, and no language model."""
    run = programs.make_run(tmp_path, {"steps": 6, "batch": 4, "ema": 0, "warmup": 1})
    code, text = programs.complete(run, program=programs.ROOT / "tests" / "regression.py")
    assert code == 0, text
    with pytest.raises(ValueError, match="no checkpoint of experiments/distill"):
        task(SMALL, teacher=str(run / "checkpoints" / "step_6"), weights={"kd": 1.0})


def test_a_spec_may_leave_the_text_out(programs, program, taught, tmp_path):
    """weights={kd=1}: no term is added to what the spec says."""
    run = programs.make_run(tmp_path, taught, weights={"kd": 1.0}, steps=6, ema=0)
    code, text = programs.complete(run, program=program("train.py"))
    assert code == 0, text
    assert programs.series(run, "train/raw/kd")
    assert programs.series(run, "train/raw/ce") == {}


def test_checkpoints_of_a_comparison_are_evaluated_as_what_they_are(programs, program, tmp_path):
    """Members of two sizes, one with a teacher that is not needed any more."""
    members = {"big": {"width": 24}, "small": {"teacher": "member:big", "weights": {"kd": 1.0}}}
    short = {"steps": 6, "ema": 0, "eval_every": 0, "checkpoint_every": 6}
    run = programs.make_run(tmp_path, SMALL | short, members=members, seeds=[0])
    for number, name in enumerate(("compare.py", "evaluate.py"), start=1):
        code, text = programs.complete(run, number, program=program(name))
        assert code == 0, text
    evaluated = programs.series(run, "eval/cross_entropy")
    for step, member in ((6, "big"), (12, "small")):
        scored = programs.series(run, f"{member}/seed_0/cross_entropy")
        assert evaluated[step] == pytest.approx(scored[step], rel=1e-6)


@pytest.mark.parametrize("name", ["kd-against-ce", "components"])
def test_the_steps_of_a_spec_are_those_of_its_members(name):
    """And teachers come before their students."""
    spec = tomllib.loads((ROOT / f"experiments/distill/{name}.toml").read_text())
    entries = read_entries(spec["params"], SYSTEM)
    assert spec["train"]["steps"] == entries[-1].last
    assert entries[0].name == "teacher"
    assert spec["params"]["leader"] in {entry.name for entry in entries[1:]}
