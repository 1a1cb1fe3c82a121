"""SAGE's programs as real processes on small squares of ARC, and each option of its ablation."""

import re
import signal
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from experiments.common.compare import read_entries
from experiments.common.world import World
from experiments.sage.data import load_data
from experiments.sage.settings import read_settings
from experiments.sage.system import SYSTEM
from experiments.sage.task import TERMS, SageTask, sage_config
from models.arc import COLOURS, FIRST_COLOUR
from models.objective import read_weights
from models.puzzles import IGNORE
from models.sage import ORIGINAL

SMALL = {
    "side": 4,
    "test_share": 0.3,
    "val_share": 0.3,
    "features": 24,
    "forms": 2,
    "width": 16,
    "heads": 2,
    "layers": 1,
    "decoder_layers": 1,
    "steps": 30,
    "batch": 8,
    "lr": 3e-3,
    "warmup": 3,
    "ema": 0.8,
    "eval_every": 10,
    "checkpoint_every": 5,
    "log_every": 1,
    "threads": 1,
}


@pytest.fixture
def program(programs):
    """The path of one of SAGE's programs."""
    return lambda name: programs.ROOT / "experiments" / "sage" / name


@pytest.fixture(scope="module")
def trained(programs):
    """A training that was never interrupted."""
    path = programs.ROOT / "experiments" / "sage" / "train.py"
    return programs.shared("sage", SMALL, program=path)


def task(**changes):
    """The task of these settings, in this process."""
    return SageTask(read_settings(SMALL | changes), World())


def test_the_parts_share_no_task_but_for_what_arc_asks(generators):
    """Test tasks are seen by nobody; validation has whole tasks; asked ones are trained on."""
    data = load_data(read_settings(SMALL))
    tasks = {name: {e.task for e in pairs.examples} for name, pairs in data.parts.items()}
    assert all(tasks.values())
    for one, other in (("test", "train"), ("test", "val"), ("test", "asked"), ("val", "train")):
        assert not tasks[one] & tasks[other], (one, other)
    assert tasks["asked"] <= tasks["train"]
    assert {e.part for e in data.parts["train"].examples} == {"train"}
    assert {e.part for e in data.parts["asked"].examples} == {"test"}


def test_pairs_held_out_share_tasks_with_training(generators):
    """The original's mistake, by name; the test tasks stay the same and unseen."""
    by_task, by_pair = (load_data(read_settings(SMALL | {"divide": d})) for d in ("task", "pair"))
    tasks = {name: {e.task for e in pairs.examples} for name, pairs in by_pair.parts.items()}
    assert tasks["val"] & tasks["train"]
    assert not tasks["test"] & (tasks["train"] | tasks["val"])
    names = [[e.name for e in data.parts["test"].examples] for data in (by_task, by_pair)]
    assert names[0] == names[1]


def test_what_is_outside_of_the_answer_is_not_scored(generators):
    """Padding carries no label; as `class_0`, the original's mistake, it is colour 0."""
    masked, counted = (
        load_data(read_settings(SMALL | {"padding": p})) for p in ("masked", "class_0")
    )
    for part in ("train", "val", "asked", "test"):
        inside = masked.parts[part].answers_NS >= FIRST_COLOUR
        labels = masked.parts[part].labels_NS.numpy()
        assert (labels[~inside] == IGNORE).all()
        assert not inside.all()
        assert np.array_equal(labels[inside] + FIRST_COLOUR, masked.parts[part].answers_NS[inside])
        others = counted.parts[part].labels_NS.numpy()
        assert (others[~inside] == 0).all()
        assert np.array_equal(others[inside], labels[inside])


def test_permuted_answers_are_those_of_other_questions(generators):
    """The same answers, questions and features; only training is changed."""
    plain, permuted = (load_data(read_settings(SMALL | {"permute": p})) for p in (False, True))
    ours, theirs = (data.parts["train"] for data in (plain, permuted))
    assert np.array_equal(ours.questions_NS, theirs.questions_NS)
    assert not np.array_equal(ours.answers_NS, theirs.answers_NS)
    assert sorted(map(bytes, ours.answers_NS)) == sorted(map(bytes, theirs.answers_NS))
    assert np.array_equal(plain.parts["test"].answers_NS, permuted.parts["test"].answers_NS)


def test_a_recoloured_answer_is_a_function_of_its_question(generators):
    """Each colour by the next, the same size, also for the augmented forms."""
    data = load_data(read_settings(SMALL | {"answers": "recoloured"}))
    for pairs in data.parts.values():
        for example in pairs.examples:
            assert np.array_equal(example.answer, (example.question + 1) % COLOURS)


def test_a_summed_feature_loss_is_as_many_times_larger_as_there_are_dimensions(generators):
    """24 here and 2,048 in the original, beside which its cells had no say."""
    totals = []
    for norm in ("dimension", "token"):
        one = task(feature_norm=norm, weights={"feature": 1.0})
        one.module.eval()
        with torch.no_grad():
            totals.append(one.totals(one.batch(np.arange(6), "train"))["feature"])
    squared = (totals[1] - totals[0]) / (SMALL["features"] - 1)
    assert totals[1] > 10 * totals[0]
    assert squared < totals[0]


def test_every_parameter_is_trained(generators):
    """The projector too, which the original never gave to its optimizer."""
    one = task()
    objective = sum(one.totals(one.batch(np.arange(8), "train")).values())
    objective.backward()
    assert one.module.reconstruct.weight.grad.abs().sum() > 0
    assert [n for n, p in one.module.named_parameters() if p.grad is None] == []


def test_counts_are_those_of_the_elements(generators):
    """Scored cells by their class weights, answers, tokens."""
    one = task(class_weights="inverse")
    batch = one.batch(np.arange(5), "train")
    counts = one.counts(batch)
    assert counts["shape"] == 5
    assert counts["feature"] == 5 * SMALL["side"] ** 2
    assert 0 < counts["cells"] != float((batch.labels_BS != IGNORE).sum())
    plain = task().counts(batch)["cells"]
    assert plain == float((batch.labels_BS != IGNORE).sum())


def test_a_rule_that_questions_show_is_learned_and_a_permuted_one_is_not(generators):
    """The leakage test: with answers of other questions nothing is left of the score."""
    found = {}
    for permute in (False, True):
        one = task(answers="recoloured", permute=permute, forms=4, width=32)
        optimizer = torch.optim.AdamW(one.module.parameters(), lr=3e-3)
        draw = np.random.default_rng(0)
        for _ in range(150):
            batch = one.batch(draw.integers(0, one.sizes["train"], 16), "train")
            counts, totals = one.counts(batch), one.totals(batch)
            optimizer.zero_grad()
            sum(totals[name] / counts[name] for name in ("cells", "shape")).backward()
            optimizer.step()
        one.module.eval()
        with torch.no_grad():
            found[permute] = one.scores_of("test")
    assert found[False]["exact"] > 0.5
    assert found[False]["above_baseline/exact"] > 0.5
    assert found[True]["above_baseline/exact"] <= 0
    assert found[True]["exact"] < 0.05


def test_a_training_logs_what_a_ticket_asks_for(programs, trained):
    """Scores beside baselines, terms raw, weighted and in shares, the gap, memory, speed."""
    names = {name for line in programs.lines(trained) for name in line.get("metrics", {})}
    assert {"val/exact", "val/above_baseline/exact", "val/gap", "seen/loss"} <= names
    for term in ("cells", "shape", "feature"):
        assert {f"train/{kind}/{term}" for kind in ("raw", "weighted", "share")} <= names
        assert f"val/share/{term}" in names
    assert {
        "train/peak_memory_gb",
        "train/steps_per_second",
        "val/non_background_accuracy",
    } <= names
    assert [name for name in names if name.startswith("val/colour/") and name.endswith("/recall")]


def test_checkpoints_are_scored_on_tasks_never_trained_on(programs, program, trained):
    """evaluate.py: eval/…, the test questions of trained tasks beside, milliseconds a grid."""
    code, text = programs.complete(trained, 2, program=program("evaluate.py"))
    assert code == 0, text
    scores = programs.series(trained, "eval/exact")
    assert sorted(scores) == programs.manifests(trained)
    for name in ("eval/asked/exact", "eval/reported/cell_accuracy", "eval/milliseconds/batch_64"):
        assert sorted(programs.series(trained, name)) == sorted(scores)
    assert min(programs.series(trained, "eval/milliseconds/batch_1").values()) > 0


def test_killed_in_the_middle_it_ends_in_the_same_bits(programs, program, trained, tmp_path):
    """SIGKILL, with dropout in the network; the features are read from the cache again."""
    run = programs.make_run(tmp_path, SMALL)
    process = programs.begin(run, program=program("train.py"))
    programs.wait_for(lambda: 15 in programs.manifests(run), process)
    process.send_signal(signal.SIGKILL)
    programs.wait(process)
    code, text = programs.complete(run, 2, program=program("train.py"))
    assert code == 0, text
    ends = (programs.checkpoint(folder, SMALL["steps"]) for folder in (run, trained))
    assert programs.difference(*ends) == ""


def test_members_are_compared_on_the_same_test_tasks(programs, program, tmp_path):
    """Each with its seeds; medians, and how far the leader is above."""
    short = {"steps": 6, "eval_every": 0, "ema": 0, "checkpoint_every": 6}
    members = {"wrong": {"feature_norm": "token"}, "right": {"seeds": [3]}}
    run = programs.make_run(tmp_path, SMALL | short, members=members, seeds=[0, 1], leader="right")
    code, text = programs.complete(run, program=program("compare.py"))
    assert code == 0, text
    assert programs.manifests(run) == [6, 12, 18]
    values = {n: v for line in programs.lines(run) for n, v in line.get("metrics", {}).items()}
    seeds = [values[f"wrong/seed_{seed}/cell_accuracy"] for seed in (0, 1)]
    median = sum(seeds) / 2
    assert values["wrong/cell_accuracy_median"] == pytest.approx(median)
    lead = values["right/seed_3/cell_accuracy"] - median
    assert values["right/cell_accuracy_above_wrong"] == pytest.approx(lead)
    assert "wrong/cell_accuracy_above_right" not in values


def first_totals(changes):
    """All that happens before the first update."""
    one = task(**changes)
    return one.totals(one.batch(np.arange(2), "train"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"side": 0}, "side=0: at least 1"),
        ({"divide": "example"}, "divide='example': one of task, pair"),
        ({"weights": {"pixels": 1}}, "no term 'pixels'; there are cells, shape, feature"),
        ({"weights": "cells"}, "write weights=NAME:NUMBER"),
        ({"model": "original", "weights": {"cells": 1}}, "model=original answers on 30x30"),
        ({"model": "original", "weights": {"shape": 1}}, "the original predicts no shape"),
        ({"extractor": "groot"}, "write groot=FOLDER too"),
        ({"extractor": "groot", "groot": "nowhere"}, "nowhere: no such folder of weights"),
        ({"test_share": 1.5}, "share=1.5"),
        ({"side": 1, "test_share": 0.3}, "side=1|share"),
        ({"heads": 3}, "no multiple of heads"),
        ({"pool": 3, "side": 4, "gamma": 0.5}, "gamma=0.5"),
        ({"cap": 0.5}, "cap=0.5"),
    ],
)
def test_settings_that_cannot_be_are_refused(generators, changes, said):
    """Each by name, before a step is taken."""
    with pytest.raises(ValueError, match=said):
        first_totals(changes)


def test_weights_as_an_argument(generators):
    """NAME:NUMBER,…; a spec writes a table."""
    assert read_settings({}, ["weights=cells:1,feature:0.5"]).weights == {
        "cells": 1,
        "feature": 0.5,
    }


def test_the_original_can_be_named():
    """Its configuration with nothing changed but a projector that is trained."""
    weights = {"cells": 1, "feature": 1}
    settings = read_settings({"model": "original", "side": 30, "weights": weights})
    data = SimpleNamespace(features=SimpleNamespace(width=2048, tokens_N=np.array([5164])))
    config = sage_config(settings, data, read_weights(settings.weights, TERMS))
    assert config == replace(ORIGINAL, reconstruct=True)


def test_wrong_settings_end_for_good(programs, program, tmp_path):
    """Exit code 93 and one line, by each of the programs."""
    run = programs.make_run(tmp_path, SMALL, divide="example")
    code, text = programs.complete(run, program=program("train.py"))
    assert code == 93
    assert "train.py: divide='example': one of task, pair" in text
    assert "Traceback" not in text
    code, text = programs.complete(run, 2, program=program("evaluate.py"))
    assert code == 1
    assert "no checkpoint in" in text


def test_a_broken_cache_is_named(generators, tmp_path, monkeypatch):
    """A changed file under a sealed manifest: its path."""
    monkeypatch.setenv("EXP_PUZZLE_CACHE", str(tmp_path))
    load_data(read_settings(SMALL))
    victim = min(tmp_path.glob("features-rendered-*/*.safetensors"))
    victim.write_bytes(victim.read_bytes()[:-4] + bytes(4))
    with pytest.raises(ValueError, match=re.escape(str(victim))):
        load_data(read_settings(SMALL))


def test_the_comparison_of_the_spec_names_every_mistake():
    """Members of the committed ablation: one mistake each, everything else alike."""
    path = Path(__file__).resolve().parents[2] / "experiments/sage/mistakes-10x10.toml"
    spec = tomllib.loads(path.read_text())
    entries = read_entries(spec["params"], SYSTEM)
    assert spec["train"]["steps"] == entries[-1].last
    changed = {
        entry.name: {
            key
            for key in ("feature_norm", "padding", "permute", "divide", "answers", "weights")
            if getattr(entry.settings, key) != getattr(entries[0].settings, key)
        }
        for entry in entries
    }
    assert changed == {
        "rebuilt": set(),
        "unnormalised": {"feature_norm"},
        "padding": {"padding"},
        "permuted": {"permute"},
    }
