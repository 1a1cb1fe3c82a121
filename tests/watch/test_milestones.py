"""Commits while a run goes on: one for a batch of events, not soon after one another, once."""

from dataclasses import dataclass, replace

import pytest
from watch.test_evidence import observation

from orchestrator.codec import encode
from orchestrator.domain.criterion import Criterion, Kind, Reading, State, Verdict
from orchestrator.domain.milestone import Batch, Milestones
from orchestrator.domain.run import AttemptState, RunState, RunStatus, TicketRef
from orchestrator.watch import milestones
from orchestrator.watch.milestones import MilestoneCommits, note_end, told_so_far
from orchestrator.watch.spending import Spent
from orchestrator.workspace import RunFolder, Workspace


@dataclass
class Hands:
    """A clock whose hands a test moves; in seconds."""

    now: float = 1.7e9

    def wall(self):
        return self.now

    def monotonic(self):
        return self.now


@dataclass
class Bench:
    """A workspace with one live run, as the watcher sees it."""

    lab: object
    clock: Hands
    commits: MilestoneCommits

    @property
    def workspace(self):
        return Workspace(self.lab.root)

    @property
    def folder(self):
        return RunFolder(self.workspace.runs / "R-000042")

    def seen(self, *states, number=1, policy="milestones", wall=1e6, changed=True):
        """A look at a run whose n-th criterion has the n-th state; `!` makes it final."""
        claims = [
            Criterion(
                key=f"claim {n}", text=f"claim {n}", section="Acceptance Criteria", required=True,
                reading=Reading(kind=Kind.THRESHOLD),
            )
            for n in range(len(states))
        ]  # fmt: skip
        verdicts = [
            Verdict(state=State(state.rstrip("!")), final=state.endswith("!"), why="w")
            for state in states
        ]
        one = observation(self.lab.root, list(zip(claims, verdicts, strict=True)))
        ticket = TicketRef(id="T-0001", path="tickets/T-0001.md", title="Learn", blob="b")
        state = RunState(
            status=RunStatus.RUNNING, outcome=None, attempt=AttemptState(number=number), why="w"
        )
        record = replace(one.record, ticket=ticket, commit_policy=policy)
        return replace(
            one, folder=self.folder, record=record, state=state, end=None, changed=changed,
            used=Spent(attempt=wall),
        )  # fmt: skip

    def look(self, *states, later=0.0, **more):
        """Look, some seconds later than before; the subjects of our commits, newest first."""
        self.clock.now += later
        self.commits.look(self.seen(*states, **more))
        return self.lab.git("log", "--format=%s", "--grep=^Run: R-000042$").splitlines()

    def restart(self):
        self.commits = MilestoneCommits(self.workspace, self.clock)


@pytest.fixture
def bench(lab):
    lab.ticket(experiment=None)
    lab.commit()
    clock = Hands()
    made = Bench(lab, clock, MilestoneCommits(Workspace(lab.root), clock))
    made.workspace.prepare_state()
    made.folder.path.mkdir()
    return made


ONE = "T-0001: claim 0, met"


def test_a_batch_is_one_commit_and_the_next_one_waits(bench):
    """What is decided within [git] every of a commit is told together; nothing is told twice."""
    assert bench.look("met", "pending") == []
    assert bench.look("met!", "pending") == [ONE]
    assert bench.look("met!", "pending", later=500) == [ONE]
    assert bench.look("met!", "failed!", "met!", later=1) == [
        "T-0001: claim 1, failed and 1 more",
        ONE,
    ]
    assert len(bench.look("met!", "failed!", "met!", "met!", later=10)) == 2
    bench.restart()
    assert len(bench.look("met!", "failed!", "met!", "met!", later=280, changed=True)) == 2
    found = bench.look("met!", "failed!", "met!", "met!", later=20, changed=False)
    assert found[0] == "T-0001: claim 3, met"
    assert len(found) == 3
    assert bench.lab.git("status", "--porcelain") == ""
    assert "Ticket: T-0001" in bench.lab.git("log", "-1", "--format=%B")


def test_a_run_that_has_just_begun_is_left_to_its_end(bench):
    """Many runs are over within [git] every: they get one commit, that of their end."""
    assert bench.look("met!", wall=10) == []
    assert bench.look("met!", wall=299, later=289, changed=False) == []
    assert bench.look("met!", wall=301, later=2, changed=False) == [ONE]


def test_an_attempt_that_ended_is_news(bench):
    """A run that is tried again says so, with what was decided before it."""
    (bench.folder.path / "attempt-1").mkdir()
    (bench.folder.path / "attempt-2").mkdir()
    (subject,) = bench.look("pending", number=2)
    assert subject.startswith("T-0001: R-000042 attempt 1 ")
    assert len(bench.look("pending", number=2, later=500)) == 1


@pytest.mark.parametrize("policy", ["manual", "never"])
def test_without_the_policy_nothing_is_written(bench, policy):
    """[git] commit as it stood at the start says that nothing is committed."""
    assert bench.look("met!", policy=policy) == []
    assert not bench.folder.milestones_file.exists()


def test_every_is_read_from_the_configuration(bench):
    """[git] every sets the distance; 0 makes each batch a commit."""
    bench.lab.write("exp.toml", "[git]\nevery = 0\n")
    assert len(bench.look("met!", wall=0)) == 1
    assert len(bench.look("met!", "met!", wall=0, later=1)) == 2


def test_a_hook_that_says_no_is_not_asked_at_every_look(bench):
    """The next try comes later each time, and tells all that there is by then."""
    hook = bench.lab.write(".git/hooks/pre-commit", "#!/bin/sh\necho x >> .git/asked\nexit 1\n")
    hook.chmod(0o755)
    asked = bench.lab.root / ".git/asked"
    for later in (0, 1, 300, 298, 2):
        assert bench.look("met!", later=later, changed=later == 0) == []
    assert asked.read_text() == "x\nx\n"
    hook.unlink()
    assert bench.look("met!", "failed!", later=1199) == []
    assert bench.look("met!", "failed!", later=1) == ["T-0001: claim 1, failed and 1 more"]
    assert told_so_far(bench.folder).trying is None


def test_a_hook_that_hangs_behind_the_commit_does_not_double_it(bench, monkeypatch):
    """A commit that was ended at the limit, and was made, is found at the next try."""
    monkeypatch.setattr(milestones, "_HOOK_LIMIT", 1.0)
    hook = bench.lab.write(".git/hooks/post-commit", "#!/bin/sh\nexec sleep 1000\n")
    hook.chmod(0o755)
    assert bench.look("met!") == [ONE]
    assert told_so_far(bench.folder).trying is not None
    hook.unlink()
    assert bench.look("met!", later=600, changed=False) == [ONE]
    assert told_so_far(bench.folder).criteria == ("claim 0",)


def test_a_watcher_killed_behind_its_commit_does_not_commit_again(bench):
    """What was tried and stands in git is told; what came since is a batch of its own."""
    assert bench.look("met!") == [ONE]
    told = told_so_far(bench.folder)
    trying = Batch(time=told.time, criteria=told.criteria, attempts=0)
    bench.folder.milestones_file.write_bytes(encode(Milestones(trying=trying)))
    bench.restart()
    assert bench.look("met!", "met!") == [ONE]
    assert told_so_far(bench.folder).criteria == ("claim 0",)
    assert told_so_far(bench.folder).commit == bench.lab.git("rev-parse", "HEAD")
    assert len(bench.look("met!", "met!", later=300)) == 2


def test_a_watcher_killed_before_its_commit_makes_it(bench):
    """What was tried and does not stand in git is committed once."""
    trying = Batch(time=bench.clock.now, criteria=("claim 0",), attempts=0)
    bench.folder.milestones_file.write_bytes(encode(Milestones(trying=trying)))
    assert bench.look("met!") == [ONE]
    assert told_so_far(bench.folder).trying is None


def test_a_file_that_cannot_be_read_tells_of_nothing(bench):
    """A torn milestones.json costs a commit that says something twice, and no more."""
    bench.folder.milestones_file.write_text("{")
    assert bench.look("met!") == [ONE]
    assert told_so_far(bench.folder).criteria == ("claim 0",)


def test_a_resumed_run_does_not_repeat_what_its_end_has_told(bench):
    """After the commit of an end the attempts and decisions up to it are no news."""
    note_end(bench.seen("met!", number=1), now=bench.clock.now)
    assert bench.look("met!", number=2, later=1000) == []
    assert bench.look("met!", "met!", number=2) == ["T-0001: claim 1, met"]
