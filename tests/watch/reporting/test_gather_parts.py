"""Machine, cost, milestone, parts of numbers, and what a program said of itself."""

import pytest

from orchestrator.codec import encode
from orchestrator.domain.attempt import Lease
from orchestrator.domain.criterion import (
    Clause,
    Criterion,
    Evidence,
    Kind,
    Reading,
    State,
    Subject,
    Verdict,
)
from orchestrator.domain.run import Budget, MetricSpec, StopRequest
from orchestrator.report.cost import Cost
from orchestrator.report.machine import GpuUsage, Usage
from orchestrator.store.index import Index

PRICES = '[cost]\nprice_per_gpu_hour = 2.5\nprice_per_hour = 0.5\ncurrency = "EUR"\n'


def test_the_machine_is_told_from_its_samples(world):
    """Peak, median and newest sample of GPUs and host; what nobody sampled is unknown."""
    samples = [
        world.event("host", memory_total=64, cpus=8),
        world.event("gpu", ordinal=0, uuid="a", name="H200", driver="570", memory_total=100),
        *(
            world.points(step, step, **{"system/gpu.0.memory_used": used, "system/cpu": 0.5})
            for step, used in enumerate((10.0, 90.0, 30.0))
        ),
    ]
    world.run(telemetry=samples)
    facts = world.facts()
    assert facts.machine.gpus == (
        GpuUsage(
            name="H200", index=0, memory_total=100.0, memory=Usage(latest=30, median=30, peak=90)
        ),
    )
    assert (facts.machine.memory_total, facts.machine.cpus) == (64, 8)
    assert (facts.machine.cpu.peak, facts.machine.memory, facts.machine.disk_free) == (
        0.5,
        None,
        None,
    )
    assert ("driver", "570") in facts.reported


def test_cost_is_hours_times_price(world):
    """With GPUs their hours are charged, without them those of the machine; no price, no amount."""
    world.run(started=0.0, ended=7200.0, budget=Budget(gpu_hours=10))
    assert world.facts().cost == Cost(hours=2.0, budget_gpu_hours=10)
    assert world.facts().cost.amount is None
    (world.workspace.root / "exp.toml").write_text(PRICES)
    cost = world.facts().cost
    assert (cost.amount, cost.currency) == (1.0, "EUR")
    folder = world.run(started=7200.0, ended=10800.0)
    lease = Lease(time=0.0, gpus=("a", "b"))
    folder.attempt(1).lease_file.write_bytes(encode(lease))
    stop = StopRequest(by="exp", why="decided: enough", time=10000.0, saved=1800.0)
    folder.attempt(1).stop_file.write_bytes(encode(stop))
    cost = world.facts().cost
    assert (cost.gpus, cost.gpu_hours, cost.amount) == (2, 2.0, 5.0)
    assert (cost.saved_hours, cost.saved_gpu_hours) == (0.5, 1.0)


def test_a_broken_configuration_costs_the_price_alone(world):
    """A report is written although exp.toml cannot be read."""
    world.run(started=0.0, ended=3600.0)
    (world.workspace.root / "exp.toml").write_text("[cost]\nprice_per_hour = -1\n")
    assert (world.facts().cost.hours, world.facts().cost.amount) == (1.0, None)


def by_step(anchor):
    """A criterion with a bound in training time."""
    clause = Clause(subject=Subject.METRIC, metric="loss", op="<", value=1.0, anchor=anchor)
    reading = Reading(kind=Kind.THRESHOLD, clauses=(clause,))
    return Criterion(key="c", text="loss < 1", section="", required=True, reading=reading)


@pytest.mark.parametrize(
    ("facts", "evaluated", "expected"),
    [
        ({"planned_steps": 500}, (), ("planned end", 500)),
        ({"planned_steps": 500}, (30, 60, 90), ("next evaluation", 120)),
        ({"params": {"eval_every": 40}}, (80,), ("next evaluation", 120)),
        ({"criteria": (by_step("by step 110"),)}, (60, 90), ("criterion decided: “loss < 1”", 110)),
        ({"criteria": (by_step("by step 50"),)}, (), None),
        ({}, (), None),
    ],
)
def test_the_next_milestone_is_the_nearest_that_is_known(world, facts, evaluated, expected):
    """Evaluations come at their observed distance, criteria at their bound, last comes the end."""
    lines = [world.points(step, loss=1.0) for step in range(1, 101)]
    lines += [world.points(step, eval__loss=1.0) for step in evaluated]
    world.run(*sorted(lines, key=lambda line: line["step"]), ended=None, **facts)
    found = world.facts(now=1200.0).milestone
    assert (found and (found.what, found.step)) == expected
    if found is not None:
        assert found.eta == pytest.approx((found.step - 100, found.step - 100))


def test_an_ended_run_has_no_next_milestone(world):
    """Nothing is ahead of a run that has ended."""
    world.run(world.points(1, loss=1.0), planned_steps=10)
    assert world.facts().milestone is None


def test_classes_are_told_with_their_counts(world):
    """A family of classes is a table at its newest common step, with what guessing reaches."""
    world.run(
        world.points(1, **{"eval/recall/0": 0.1, "eval/recall/1": 0.2, "eval/recall/10": 0.3}),
        world.points(
            2,
            **{"eval/recall/0": 0.5, "eval/recall/1": 0.25, "eval/recall/10": 0.0},
            **{"eval/support/0": 90, "eval/support/1": 8, "eval/support/10": 2},
            **{"eval/accuracy": 0.47},
        ),
        world.points(3, **{"eval/recall/0": 0.6}),
    )
    (table,) = world.facts().classes
    assert (table.family, table.step, table.overall) == ("eval/recall/*", 2, 0.47)
    rows = [(row.name, row.value, row.count) for row in table.rows]
    assert rows == [("0", 0.5, 90), ("1", 0.25, 8), ("10", 0.0, 2)]
    assert (table.constant, table.percent) == (0.9, True)


def test_classes_may_have_names(world):
    """Words behind a measure are classes; the mean over them is none, nor is a single one."""
    values = {"val/acc/cat": 90.0, "val/acc/dog": 50.0, "val/acc/mean": 70.0, "val/f1/cat": 1.0}
    spec = MetricSpec(key="val/acc/cat", scale=100.0)
    world.run(world.points(1, **values), metrics={"cats": spec})
    (table,) = world.facts().classes
    assert [(row.name, row.value) for row in table.rows] == [("cat", 0.9), ("dog", 0.5)]


def test_terms_of_a_loss_are_told_beside_their_weights(world):
    """Each term has its share, the declared one and its value before; the rest is named too."""
    params = {"loss_weights": {"task": 0.5, "kd": 0.5}}
    world.run(
        world.points(1, train__loss=2.0, train__task=1.0, train__kd=1.0),
        params=params,
        ended=1500.0,
    )
    world.run(
        world.points(1, train__loss=4.0, train__scaled__task=1.0, train__scaled__kd=2.0),
        params=params,
        started=1600.0,
    )
    (parts,) = world.facts().components
    rows = [(row.name, row.value, row.share, row.declared, row.before) for row in parts.rows]
    assert rows == [("kd", 2.0, 0.5, 0.5, 1.0), ("task", 1.0, 0.25, 0.5, 1.0)]
    assert (parts.loss, parts.step, parts.total, parts.unnamed) == ("train/loss", 1, 4.0, 1.0)


def test_the_gap_is_that_of_the_same_metric(world):
    """Training and evaluation of one metric stand together; sides are named where there are two."""
    world.run(
        world.points(5, train__loss=1.0, val__loss=2.0, test__loss=3.0, val__accuracy=0.5),
        world.points(7, train__loss=0.5),
    )
    gaps = [(g.metric, g.train, g.evaluation, g.train_step, g.step) for g in world.facts().gaps]
    assert gaps == [("loss (test)", 0.5, 3.0, 7, 5), ("loss (val)", 0.5, 2.0, 7, 5)]


def test_what_a_program_says_of_itself_is_told(world):
    """Sizes of model and data and versions are told, what the spec says already is not."""
    world.run(
        world.event("start", python="3.11", torch="2.5", cuda=None, world_size=4),
        world.event("config", model={"num_parameters": 27_000_000}, lr=0.1, vocab_size=12),
        world.event("summary", trainable_params=5, loss=0.1),
        params={"vocab_size": 12},
    )
    assert world.facts().reported == (
        ("model.num_parameters", "27,000,000"),
        ("trainable_params", "5"),
        ("python", "3.11"),
        ("torch", "2.5"),
        ("processes", "4"),
    )


def test_the_log_is_of_all_runs_and_their_evaluations(world):
    """The log goes over all runs by time; the timeline leaves out what was evaluated."""
    world.run(world.points(3, 1100.0, eval__loss=2.0, loss=1.0), ended=1500.0)
    world.run(world.event("checkpoint", 1700.0, 4), started=1600.0)
    facts = world.facts()
    assert [(m.run, m.step, m.text) for m in facts.log] == [
        ("R-000001", None, "R-000001 launched"),
        ("R-000001", 3, "evaluated: eval/loss 2"),
        ("R-000001", None, "R-000001 ended"),
        ("R-000002", None, "R-000002 launched"),
        ("R-000002", 4, "checkpoint saved"),
        ("R-000002", None, "R-000002 ended"),
    ]
    assert facts.timeline == (facts.log[0], *facts.log[2:])


@pytest.mark.parametrize(
    ("polarity", "state", "told"),
    [
        ("positive", State.MET, ["met: “loss < 5”"]),
        ("positive", State.FAILED, ["failed: “loss < 5”"]),
        ("inverted", State.MET, ["alarm: “loss < 5”"]),
        ("inverted", State.FAILED, []),
        ("conditional", State.MET, ["rule applies: “loss < 5”"]),
    ],
)
def test_the_timeline_tells_what_was_decided(world, polarity, state, told):
    """An alarm that never came true is nothing that happened, and above all no failure."""
    folder = world.run(world.points(3, loss=1.0))
    verdict = Verdict(
        state=state,
        final=True,
        why="",
        evidence=Evidence(kind="point", text="", time=1003.0, step=3),
    )
    reading = Reading(kind=Kind.THRESHOLD, polarity=polarity)
    criterion = Criterion(
        key="loss < 5", text="loss < 5", section="", required=True, reading=reading
    )
    with Index(world.workspace.database) as index:
        index.put_verdicts(folder.id, [criterion], [verdict])
    moments = [m.text for m in world.facts().timeline if "“" in m.text]
    assert moments == told


def test_what_is_asked_for_comes_first_and_curves_are_bounded(world):
    """Of many metrics the declared ones lead; numbers are exact although curves are not whole."""
    names = [f"m{number:03d}" for number in range(150)]
    lines = [
        world.points(step, **dict.fromkeys(names, float((step * 37) % 1009)))
        for step in range(1, 801)
    ]
    world.run(*lines, metrics={"m149": MetricSpec(goal="max")})
    first, *rest = world.facts().metrics
    assert (first.name, first.declared, first.points) == ("m149", True, 800)
    assert (first.best.value, first.latest.step) == (
        max((s * 37) % 1009 for s in range(1, 801)),
        800,
    )
    assert 300 < len(first.history) <= 600
    assert max(value for _, value in first.history) == first.best.value
    assert [len(m.history) > 0 for m in rest] == [True] * 99 + [False] * 50


def test_a_run_without_attempts_or_index_is_told(world):
    """Nothing but run.json is enough for a report."""
    folder = world.run()
    world.workspace.database.unlink()
    for file in folder.attempt(1).path.iterdir():
        file.unlink()
    folder.attempt(1).path.rmdir()
    facts = world.facts()
    assert (facts.run.id, facts.metrics, facts.cost) == ("R-000001", (), None)
