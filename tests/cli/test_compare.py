"""`exp run compare`: what is another between runs, and what cannot be compared."""

import json
import math
from dataclasses import replace

import pytest
from conftest import Laboratory
from made_runs import TRAIN, line, make_run

from orchestrator.actions.comparing import compare_runs
from orchestrator.cli.console import out
from orchestrator.cli.views.compare import comparison
from orchestrator.criteria import read
from orchestrator.domain.criterion import Criterion
from orchestrator.domain.run import GitState, MetricSpec
from orchestrator.errors import NotFoundError, UsageError
from orchestrator.git import Repository
from orchestrator.workspace import Workspace

FILE = "attempt-1/events-h-0-1.jsonl"
AGAIN = "attempt-2/events-h-0-2.jsonl"


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("a lab's é"))
    workspace.tickets.mkdir()
    return workspace


def points(steps, **series):
    """Lines with a point of each series at these steps; a series is a function of the step."""
    return "".join(line(s, **{name: value(s) for name, value in series.items()}) for s in steps)


def compared(workspace, *files, **options):
    ids = [make_run(workspace, each).id for each in files]
    return compare_runs(workspace, ids, lines=False, **options)


def shown(found):
    with out().capture() as captured:
        out().print(comparison(found))
    return captured.get()


MATCHES = [
    # steps of each run, the last common step
    ((range(1, 101), range(1, 81)), 80),
    ((range(7, 701, 7), range(11, 701, 11)), 693),
    ((range(1, 101), (5, 1000)), 5),
    ((range(2, 101, 2), range(1, 101, 2)), None),
    ((range(1, 11), range(101, 111)), None),
    ((range(1, 101), range(1, 51), range(10, 100, 10)), 50),
]


@pytest.mark.parametrize(("steps", "common"), MATCHES)
def test_metrics_are_matched_at_the_last_common_step(empty, steps, common):
    """The largest step that all have logged, with the value of each; or that there is none."""
    files = [
        {FILE: points(each, loss=lambda s, n=number: n + 1 / s)}
        for number, each in enumerate(steps)
    ]
    found = compared(empty, *files)
    (row,) = found.metrics
    assert row.step == common
    if common is None:
        assert row.steps == tuple(max(each) for each in steps)
        assert (row.best, set(row.deltas)) == (None, {None})
        assert "none in common" in shown(found)
    else:
        assert row.values == tuple(n + 1 / common for n in range(len(steps)))
        assert row.deltas == pytest.approx(range(len(steps)))
        assert row.best == 0
        assert f" {common:,} " in shown(found)


def constant(value):
    """A series that stays the same."""
    return lambda _step: value


def test_a_step_done_again_counts_as_it_stands_now(empty):
    """A roll-back or a resume takes later points back, as for verdicts; rank 0 counts."""
    rolled_back = points(range(1, 61), loss=constant(8.0)) + points(
        range(41, 51), loss=constant(5.0)
    )
    other_rank = points(range(1, 61), loss=constant(77.0))
    first, resumed = (
        points(r, loss=constant(v)) for r, v in ((range(1, 61), 9), (range(31, 46), 4))
    )
    found = compared(
        empty,
        {FILE: rolled_back, "attempt-1/events-h-1-3.jsonl": other_rank},
        {FILE: first, AGAIN: resumed},
    )
    (row,) = found.metrics
    assert (row.step, row.values) == (45, (5.0, 4.0))


GOALS = [
    ("loss", None, (1.0, 2.0), 0),
    ("eval/accuracy", None, (1.0, 2.0), 1),
    ("what", None, (1.0, 2.0), None),
    ("what", "max", (1.0, 2.0), 1),
    ("what", "min", (1.0, 2.0), 0),
    ("loss", None, (2.0, 2.0), None),
    ("loss", None, (math.nan, 2.0), 1),
    ("loss", None, (math.nan, math.inf), None),
]


@pytest.mark.parametrize(("name", "goal", "values", "best"), GOALS)
def test_which_is_better_follows_the_goal(empty, name, goal, values, best):
    """By the goal of the spec, else by known names; what is equal or no number wins not."""
    specs = {name: MetricSpec(goal=goal)} if goal else {}
    runs = [make_run(empty, {FILE: line(5, **{name: value})}, metrics=specs).id for value in values]
    found = compare_runs(empty, runs, lines=False)
    assert found.metrics[0].best == best
    marked = [text for text in shown(found).splitlines() if "◀" in text]
    assert len(marked) == (best is not None)


def test_settings_and_metrics_that_differ_are_named(empty):
    """Only what differs is shown, nested and missing ones too; the rest is counted."""
    one = make_run(
        empty,
        {FILE: line(1, loss=1.0, only=2.0)},
        params={"lr": 1e-4, "model": {"width": 64, "depth": 2}, "old": True},
        resources={"gpus": 1},
        seed=1,
    )
    other = make_run(
        empty,
        {FILE: line(1, loss=1.0)},
        params={"lr": 3e-4, "model": {"width": 64, "depth": 4}},
        resources={"gpus": 1},
        seed=1,
        commands=(replace(TRAIN, argv=("python", "other.py")),),
    )
    found = compare_runs(empty, [one.id, other.id], lines=False)
    assert {row.name: row.values for row in found.settings} == {
        "lr": ("0.0001", "0.0003"),
        "model.depth": ("2", "4"),
        "old": ("true", None),
        "train": ("python train.py", "python other.py"),
    }
    assert found.same_settings == 3
    assert found.alone == {one.id: ("only",), other.id: ()}
    text = shown(found)
    assert "3 settings are the same" in text
    assert f"only {one.id} has only" in text


def test_what_cannot_be_compared_is_said(empty):
    """No points, no common metric, no commit, no verdicts: each has its words and no number."""
    found = compared(empty, {}, {FILE: line(1, loss=1.0)})
    text = shown(found)
    assert "no metric is common to two of these runs" in text
    assert "recorded no commit" in text
    assert found.criteria == ()
    assert found.runs[0].speed is None
    assert json.loads(json.dumps(found.alone))


def test_runs_are_named_two_and_each_once(empty):
    """One run, the same twice, or one that is not there: refused with what is wrong."""
    run = make_run(empty, {}).id
    for names, words in (([run], "two runs or more"), ([run, run.lower()], "named twice")):
        with pytest.raises(UsageError, match=words):
            compare_runs(empty, names, lines=False)
    with pytest.raises(NotFoundError, match="no run R-000999"):
        compare_runs(empty, [run, "999"], lines=False)


def test_verdicts_stand_side_by_side(empty):
    """Criteria are matched by their words, each with the verdict of every run that has it."""
    asked = ["loss < 5", "no nan in loss", "acc > 1"]
    claims = [
        Criterion(key=text, text=text, section="s", required=True, reading=read(text))
        for text in asked
    ]
    one = make_run(empty, {FILE: line(1, loss=1.0)}, criteria=tuple(claims[:2]))
    other = make_run(empty, {FILE: line(1, loss=9.0)}, criteria=tuple(claims[::2]))
    found = compare_runs(empty, [one.id, other.id], lines=False)
    states = {
        row.text: tuple(None if v is None else str(v.state) for v in row.verdicts)
        for row in found.criteria
    }
    assert states == {
        "loss < 5": ("met", "failed"),
        "no nan in loss": ("met", None),
        "acc > 1": (None, "no_data"),
    }
    assert "✘ failed" in shown(found)


def test_code_is_compared_with_its_local_changes(lab: Laboratory):
    """Commits with patches, without tickets; the repository stays as it is."""
    workspace = Workspace(lab.root)
    lab.ticket()
    lab.write("a b.py", "one\ntwo\n")
    lab.write("gone.py", "x\n")
    lab.commit()
    repository = Repository.find(lab.root)
    first = make_run(workspace, {}, git=repository.snapshot())
    lab.ticket(2)
    lab.git("rm", "--quiet", "gone.py")
    lab.commit()
    lab.write("a b.py", "one\n\x1b[31mthree\n")
    second = workspace.create_run()
    state = repository.snapshot(second.patch)
    second.path.rename(second.path.with_name("kept"))
    kept = second.path.with_name("kept") / "snapshot.patch"
    other = make_run(workspace, {"snapshot.patch": kept.read_text()}, git=state)
    before = sorted(path for path in (lab.root / ".git").rglob("*"))
    found = compare_runs(workspace, [first.id, other.id], lines=True)
    (change,) = found.code
    assert [(each.path, each.how, each.added, each.deleted) for each in change.files] == [
        ("a b.py", "M", 1, 1),
        ("gone.py", "D", 0, 1),
    ]
    assert "-two" in change.patch
    assert "tickets/" not in change.patch
    text = shown(found)
    assert "\x1b" not in text
    assert "+ local changes" in text
    assert sorted(path for path in (lab.root / ".git").rglob("*")) == before
    lost = make_run(workspace, {}, git=GitState(commit="0" * 40, branch="main", patch=False))
    (unknown,) = compare_runs(workspace, [first.id, lost.id], lines=False).code
    assert (unknown.files, "not in this repository" in unknown.why) == (None, True)
