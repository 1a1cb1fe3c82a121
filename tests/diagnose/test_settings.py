"""What a run was set to is found under the names that programs use."""

import pytest

from orchestrator.diagnose.case import Case
from orchestrator.diagnose.settings import MEANINGS, accumulation, schedule, setting, weights
from orchestrator.domain.point import Event, Position
from orchestrator.domain.run import RunRecord

AT = Position(attempt=1, segment=0, step=0, time=0.0, source="events.jsonl", line=1)


def told(params, *configs):
    """A case with these params and what its programs told, in that order."""
    record = RunRecord(id="R-000001", created=0.0, host="h", cwd="/", commands=(), params=params)
    events = [Event(name="config", data=config, at=AT) for config in configs]
    return Case(record=record, now=0.0, events=events)


@pytest.mark.parametrize(
    ("params", "meaning", "name", "value"),
    [
        ({"gradient_accumulation_steps": 16}, "accumulate", "gradient_accumulation_steps", 16),
        ({"train": {"grad-accum": 4}}, "accumulate", "train.grad_accum", 4),
        ({"trainer": {"accumulateGradBatches": 8}}, "accumulate", "trainer", 8),
        ({"model": {"num_heads": 8}, "teacher": {"num_heads": 8}}, "heads", "model.num_heads", 8),
        ({"heads": 2, "teacher": {"heads": 16}}, "heads", "heads", 2),
        ({"eval": {"batch_size": 64}, "train": {"batch_size": 8}}, "batch", "train.batch_size", 8),
        ({"eval": {"batch_size": 64}, "train": {"batch_size": 8}}, "eval_batch", "eval", 64),
        ({"lr": "3e-4"}, "lr", "lr", 3e-4),
        ({"ema": {"decay": 0.9999}}, "ema", "ema.decay", 0.9999),
        ({"scheduler": {"total_steps": 74823}}, "schedule_steps", "scheduler.total_steps", 74823),
        ({"warmup_ratio": 0.1}, "warmup_share", "warmup_ratio", 0.1),
        ({"optim.warmup_steps": 467}, "warmup", "optim.warmup_steps", 467),
        ({"eval_freq": 50}, "eval_every", "eval_freq", 50),
    ],
)
def test_a_setting_is_found_by_its_meaning(params, meaning, name, value):
    """Nested tables, other spellings and other names give the same meaning."""
    found = setting(told(params), meaning)
    assert (found.name.startswith(name), found.value) == (True, value)


@pytest.mark.parametrize(
    ("params", "meaning"),
    [
        ({}, "accumulate"),
        ({"ema": True}, "ema"),
        ({"encoder": {"num_heads": 8}, "decoder": {"num_heads": 16}}, "heads"),
        ({"teacher": {"num_heads": 16}}, "heads"),
        ({"eval": {"batch_size": 64}}, "batch"),
        ({"lr": "cosine"}, "lr"),
        ({"lr": float("nan")}, "lr"),
        ({"warmup": 10, "members": {"ours": {"heads": 4}}}, "heads"),
    ],
)
def test_what_is_not_told_or_told_twice_is_unknown(params, meaning):
    """No number is made of a flag, a word, or two numbers that differ."""
    assert setting(told(params), meaning) is None


def test_what_programs_tell_wins_over_params():
    """Of several events `config` the last one counts; params fill what they leave out."""
    case = told({"accumulate": 1, "heads": 8}, {"accumulate": 4}, {"train": {"lr": 1}})
    assert accumulation(case) == 4
    assert accumulation(told({"accumulate": 2}, {"accumulate": 4}, {"accumulate": 16})) == 16
    assert setting(case, "heads").value == 8
    assert accumulation(told({})) == 1


def test_a_member_of_a_comparison_has_settings_of_its_own():
    """A member's settings win over the shared ones for its series, and for no other."""
    case = told({"steps": 300, "members": {"teacher": {"steps": 600, "weights": {"ce": 1}}}})
    assert setting(case, "steps", "teacher/seed_0").value == 600
    assert setting(case, "steps", "student/seed_0").value == 300
    assert setting(case, "steps").value == 300
    assert set(weights(case, "teacher/seed_0")) == {"ce"}
    assert weights(case) == {}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"loss_weights": {"kd": 0.7, "feature_loss": 0.1}}, {"kd": 0.7, "feature": 0.1}),
        ({"weights": {"ce": 0.3, "hidden": [[50, 0.0], [150, 0.3]]}}, {"ce": 0.3}),
        ({"alpha_kd": 0.7, "attention_weight": 0.1}, {"kd": 0.7, "attention": 0.1}),
        ({"feature_loss_weight": 0.5, "weight_decay": 0.01}, {"feature": 0.5}),
        ({"loss": {"alphas": {"kd": 0.7}}}, {"kd": 0.7}),
        ({"class_weight": 3.0, "loss_weights": {"kl": -1.0}}, {}),
    ],
)
def test_weights_of_loss_terms_are_found(params, expected):
    """A table of weights or one setting each; what changes in time is no declared share."""
    assert {term: each.value for term, each in weights(told(params)).items()} == expected


def test_a_schedule_is_a_word():
    """The kind of schedule stands under several names."""
    assert schedule(told({"lr_scheduler_type": "cosine"})).value == "cosine"
    assert schedule(told({"scheduler": {"type": "linear", "steps": 10}})).value == "linear"
    assert schedule(told({"scheduler": 3})) is None


def test_no_name_means_two_things():
    """An alias belongs to one meaning; otherwise the same number would be told as two."""
    every = [alias for aliases in MEANINGS.values() for alias in aliases]
    assert len(every) == len(set(every))
