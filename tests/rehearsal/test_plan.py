"""What programs are asked for, how long a run is expected to take, and what a result holds for."""

from dataclasses import replace

import pytest

from orchestrator.domain.rehearse import Rehearse
from orchestrator.domain.run import Budget, Command, Phase, RunRecord
from orchestrator.rehearsal.estimate import estimate_of
from orchestrator.rehearsal.keys import differences, key_of
from orchestrator.rehearsal.plan import plan_of

TRAIN = ("python", "train.py")
TORCHRUN = ("/opt/bin/python", "-m", "torch.distributed.run", "--standalone")


def record(*, argv=TRAIN, **changes):
    return RunRecord(
        id="R-000001",
        created=0.0,
        host="here",
        cwd="/work",
        commands=(Command(phase=Phase.TRAIN, argv=argv),),
        **changes,
    )


@pytest.mark.parametrize(
    ("params", "rehearse", "planned", "expected"),
    [
        ({}, {}, None, (6, 3, 1)),
        ({"accumulate": 1}, {}, 10_000, (6, 3, 1)),
        ({"gradient_accumulation_steps": 16}, {}, 10_000, (48, 24, 16)),
        ({"optim": {"grad-accum": 3}}, {}, 10_000, (10, 5, 3)),
        ({"accumulation": 0}, {}, 10_000, (6, 3, 1)),
        ({"accumulation": "auto"}, {}, 10_000, (6, 3, 1)),
        ({}, {"steps": 4}, 10_000, (4, 2, 1)),
        ({}, {"steps": 10, "every": 2}, 10_000, (10, 2, 1)),
        ({}, {"every": 10}, 10_000, (20, 10, 1)),
        ({}, {}, 4, (4, 2, 1)),
        ({}, {}, 1, (6, 3, 1)),
    ],
)
def test_steps_suit_the_accumulation_and_leave_some_behind_the_checkpoint(
    params, rehearse, planned, expected
):
    """Three times the accumulation, even, at least two times `every`, never more than planned."""
    plan = plan_of(record(params=params, planned_steps=planned), Rehearse(**rehearse))
    assert (plan.steps, plan.every, plan.accumulation) == expected
    assert 2 * plan.every <= plan.steps


@pytest.mark.parametrize(
    ("argv", "world"),
    [
        (TRAIN, 1),
        ((*TORCHRUN, "--nproc-per-node=8", "train.py"), 8),
        (("torchrun", "--nproc_per_node", "2", "train.py"), 2),
        (("torchrun", "--nproc-per-node=gpu", "train.py"), 1),
        (("torchrun", "--nproc-per-node"), 1),
    ],
)
def test_the_world_is_that_of_the_training_command(argv, world):
    """As many processes as torchrun starts."""
    assert plan_of(record(argv=argv), Rehearse()).world == world


def test_the_spec_wins_over_the_names_of_parameters():
    """[rehearse] says what the real run does, else parameters by their usual names."""
    params = {"eval_every": 500, "save_steps": 1000, "save_total_limit": 3}
    resources = {"gpus": 2, "memory": "64GB"}
    told = record(params=params, resources=resources, grace=9.0)
    plan = plan_of(told, Rehearse())
    assert (plan.eval_every, plan.checkpoint_every, plan.keep) == (500, 1000, 3)
    assert (plan.memory, plan.gpus, plan.grace) == (64_000_000_000, 2, 9.0)
    plan = plan_of(told, Rehearse(eval_every=50, checkpoint_every=60, keep=1))
    assert (plan.eval_every, plan.checkpoint_every, plan.keep) == (50, 60, 1)
    assert plan_of(record(), Rehearse()).eval_every is None


@pytest.mark.parametrize(
    ("rehearse", "last", "changes", "expected"),
    [
        ({}, None, {}, None),
        ({"estimate": 60.0}, 90.0, {}, (60.0, "rehearse.estimate is 1 min 00 s")),
        ({}, 90.0, {"budget": Budget(wall=30.0)}, (90.0, "the last run took 1 min 30 s")),
        (
            {},
            None,
            {"budget": Budget(wall=7200.0), "resources": {"time_limit": 3600.0}},
            (3600.0, "resources.time_limit allows 1 h 00 min"),
        ),
        (
            {},
            None,
            {"budget": Budget(gpu_hours=2.0), "resources": {"gpus": 4}},
            (1800.0, "budget.gpu_hours allows 30 min 00 s"),
        ),
    ],
)
def test_the_length_of_a_run_is_known_from_the_surest_word(rehearse, last, changes, expected):
    """The spec's own, an earlier run, the tightest limit; nothing is guessed."""
    assert estimate_of(record(**changes), Rehearse(**rehearse), last) == expected


def key(told, code=("tree", "patch"), device=None):
    return key_of(told, code, {"python": "3.11"}, device or {"gpu": "none"})


def test_a_result_holds_for_the_same_run_in_another_place():
    """Paths of the machine, the run's number and secrets are no part of what is compared."""
    here = record(argv=("/opt/a/python", "/srv/train.py", "--out=/srv/o"), env={"API_KEY": "1"})
    there = replace(here, id="R-000002", created=5.0, cwd="/home/me", env={"API_KEY": "2"})
    argv = ("/usr/bin/python", "/home/me/train.py", "--out=/home/me/o")
    there = replace(there, commands=(Command(phase=Phase.TRAIN, argv=argv),))
    assert differences(key(here), key(there)) == ()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"params": {"lr": 0.1}}, "the spec"),
        ({"env": {"MODE": "2"}}, "the spec"),
        ({"grace": 5.0}, "the spec"),
        ({"rehearse": Rehearse(examples=64)}, "the spec"),
        ({"commands": (Command(phase=Phase.TRAIN, argv=("python", "other.py")),)}, "the spec"),
        ({"resources": {"gpus": 2}}, "the spec"),
    ],
)
def test_what_a_rehearsal_depends_on_changes_its_key(changes, what):
    """Another parameter, command, variable, resource or question: rehearse again."""
    told = record(params={"lr": 1.0}, env={"MODE": "1"})
    assert differences(key(told), key(replace(told, **changes))) == (what,)


def test_when_to_rehearse_is_no_reason_to_rehearse_again():
    """The threshold of a start says nothing of what was rehearsed."""
    told = record()
    other = replace(told, rehearse=Rehearse(when="always", above=5.0, estimate=7.0))
    assert differences(key(told), key(other)) == ()


def test_code_that_nobody_can_tell_never_counts_as_the_same():
    """Without git an old result is not trusted; the other parts are named one by one."""
    told = record()
    assert differences(key(told, code=None), key(told, code=None)) == (
        "the code: without git nobody can tell whether it is the same",
    )
    changed = key(told, code=("tree", "other"), device={"gpu": "H200"})
    assert differences(key(told), changed) == ("the code", "the device")
