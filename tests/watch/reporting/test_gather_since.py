"""What a report compares with, and what is another since then."""

import pytest

from orchestrator.domain.run import GitState
from orchestrator.errors import NotFoundError, UsageError
from orchestrator.watch.reporting import since_of

DAY = 86_400.0
NOON = 1_763_726_400.0  # 2025-11-21 12:00:00 UTC


def test_a_ticket_that_never_ran_has_nothing_to_compare(world):
    """Without a run there are no changes, no cost and no machine, and nothing is made up."""
    facts = world.facts()
    assert (facts.run, facts.cost, facts.machine, facts.milestone) == (None, None, None, None)
    assert facts.changes.since is None


def test_the_first_run_has_nothing_before(world):
    """Of a first run nothing is before, and nothing has changed."""
    world.run(world.points(1, loss=3.0))
    facts = world.facts()
    assert facts.changes.since is None
    assert facts.metrics[0].before is None


def test_the_run_before_is_what_a_report_compares_with(world):
    """Metrics, settings and seed are compared with the run that ended last before this one."""
    world.run(
        world.points(1, loss=3.0), world.points(9, loss=2.5), params={"lr": 0.1}, ended=1500.0
    )
    world.run(
        world.points(1, loss=3.1), started=1600.0, params={"lr": 0.2, "opt": {"beta": 0.9}}, seed=7
    )
    facts = world.facts()
    assert (facts.changes.since.label, facts.changes.since.time) == ("R-000001", 1500.0)
    assert (facts.metrics[0].before.step, facts.metrics[0].before.value) == (9, 2.5)
    assert [(c.name, c.before, c.after) for c in facts.changes.settings] == [
        ("lr", "0.1", "0.2"),
        ("opt.beta", None, "0.9"),
        ("seed", None, "7"),
    ]


def test_an_ended_run_is_told_the_same_later(world):
    """The facts of an ended run do not depend on when they are gathered."""
    world.run(world.points(1, loss=3.0), ended=1500.0)
    world.run(world.points(1, loss=2.0), started=1600.0)
    assert world.facts(now=5000.0) == world.facts(now=9e9)


def test_files_are_compared_as_the_runs_had_them(repository):
    """Code is compared between the recorded commits with their local changes; tickets are not."""
    first = repository.commit(a="x = 1\n", b="y = 1\n")
    repository.run(git=first, ended=1500.0)
    (repository.workspace.tickets / "T-0001.md").write_text("# T-0001: Learn\n")
    second = repository.commit(a="x = 1\nx = 2\n", c="z = 1\n")
    folder = repository.run(git=second, started=1600.0)
    (repository.workspace.root / "b.py").write_text("y = 2\ny = 3\n")
    folder.patch.write_text(repository.git("diff", "HEAD") + "\n")
    repository.git("checkout", "-q", "b.py")
    files = [(f.path, f.how, f.added, f.deleted) for f in repository.facts().changes.files]
    assert files == [("a.py", "M", 1, 0), ("b.py", "M", 2, 1), ("c.py", "A", 1, 0)]


def test_a_commit_that_is_gone_tells_of_no_files(repository):
    """A rewritten history costs the list of files and nothing else."""
    repository.run(git=GitState(commit="1" * 40, branch="main", patch=False), ended=1500.0)
    repository.run(git=repository.commit(a="x"), started=1600.0)
    changes = repository.facts().changes
    assert (changes.since.label, changes.files) == ("R-000001", ())


def test_since_a_time_is_the_last_value_by_then(world):
    """With a time, before is the last value by then: of this run, else of the one before."""
    world.run(
        world.points(5, NOON - 2 * DAY, loss=9.0, old=1.0), started=NOON - 3 * DAY, ended=NOON
    )
    world.run(
        world.points(1, NOON + 10, loss=8.0),
        world.points(2, NOON + 20, loss=7.0),
        world.points(3, NOON + 30, loss=6.0, old=2.0),
        started=NOON + 5,
        ended=NOON + 60,
    )
    since = since_of(world.workspace, "T-0001", "2025-11-21T12:00:25", now=NOON + DAY)
    metrics = {metric.name: metric for metric in world.facts(since=since).metrics}
    assert (metrics["loss"].before.step, metrics["loss"].before.value) == (2, 7.0)
    assert metrics["old"].before.value == 1.0


@pytest.mark.parametrize(
    ("text", "label", "time", "run"),
    [
        ("R-1", "R-000001", NOON, "R-000001"),
        ("r-000001", "R-000001", NOON, "R-000001"),
        ("2025-11-21", "2025-11-21 00:00:00 UTC", NOON - DAY / 2, "R-000001"),
        ("2025-11-21T14:00+02:00", "2025-11-21 12:00:00 UTC", NOON, "R-000001"),
        ("2d", "2025-11-20 12:00:00 UTC", NOON - DAY, "R-000001"),
        (" 36 h ", "2025-11-21 00:00:00 UTC", NOON - DAY / 2, "R-000001"),
        ("5w", "2025-10-18 12:00:00 UTC", NOON - 34 * DAY, None),
    ],
)
def test_since_reads_runs_and_times(world, text, label, time, run):
    """Runs, dates with and without a zone, and ages are understood, with the newest run by then."""
    world.run(started=NOON - 3 * DAY, ended=NOON)
    world.run(started=NOON, ended=NOON + DAY)
    since = since_of(world.workspace, "T-0001", text, now=NOON + DAY)
    assert (since.label, since.time, since.run) == (label, time, run)


def test_since_reads_commits(repository):
    """A commit by id, branch or tag is understood: the code and the time that it has."""
    state = repository.commit(a="x")
    repository.run(git=state)
    for text in (state.commit, state.commit[:7], "main"):
        since = since_of(repository.workspace, "T-0001", text, now=4e9)
        assert (since.label, since.commit) == (state.commit[:10], state.commit)
        assert since.time == float(repository.git("log", "-1", "--format=%ct"))


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("R-2", UsageError, "the run that the report is about"),
        ("R-7", NotFoundError, "T-0001 has no run R-000007"),
        ("2025-11-40", UsageError, "is no date"),
        ("2999-01-01", UsageError, "lies in the future"),
        ("yesterday", NotFoundError, "is no run, time, age or commit"),
        ("", NotFoundError, "is no run, time, age or commit"),
        ("--output=x", NotFoundError, "is no run, time, age or commit"),
    ],
)
def test_since_that_means_nothing_is_refused(repository, text, error, said):
    """What names no moment is refused with what could be named."""
    repository.commit(a="x")
    repository.run(ended=1500.0)
    repository.run(started=1600.0)
    with pytest.raises(error, match=said) as refusal:
        since_of(repository.workspace, "T-0001", text, now=NOON)
    assert refusal.value.hint
