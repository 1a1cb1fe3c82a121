import dataclasses
import math

import pytest

from orchestrator.domain.criterion import State
from orchestrator.domain.run import GitState, Outcome, RunStatus
from orchestrator.domain.ticket import Checkbox, Ticket
from orchestrator.errors import InvalidFileError
from orchestrator.store import Reader
from orchestrator.store.index import Index
from orchestrator.store.rows import CachedTicket

RUN = "R-000001"


@pytest.fixture
def reader(shelf):
    with Reader(shelf.database) as opened:
        yield opened


def cached(name="T-0001", **more):
    box = Checkbox(key="k", text="x > 1", checked=True, section="S", heading="H", line=9)
    values = {"id": name, "title": "Tïtle", "path": f"tickets/{name}.md", "status": "READY"}
    values |= {"phase": "—", "after": ("T-0002", "T-0003"), "before": (), "experiment": None}
    ticket = Ticket(**values | {"checkboxes": (box,), "blob": "b1"} | more)
    return CachedTicket(ticket=ticket, mtime_ns=1_700_000_000_123_456_789, size=321)


def test_a_run_comes_back_as_it_was_put(index, reader, make):
    """Record and state of a run are read as they were stored, and what is missing is None."""
    git = GitState(commit="c0ffee", branch="main", patch=False)
    index.put_run(make.record(1, git=git, experiment="experiments/a.toml"), make.running())
    run = reader.run(RUN)
    assert (run.id, run.ticket, run.title) == (RUN, "T-0017", "Learn")
    assert (run.experiment, run.commit, run.host) == ("experiments/a.toml", "c0ffee", "box")
    assert (run.status, run.outcome, run.why) == (RunStatus.RUNNING, None, "running")
    assert (run.step, run.phase, run.planned_steps, run.attempts) == (None, None, 100, 1)
    assert (run.created, run.started, run.ended) == (1001.0, 1001.0, None)
    assert run.params == {"lr": 1e-4}


def test_a_run_put_again_is_overwritten(index, reader, make):
    """The later state of a run takes the place of the earlier one, its rows elsewhere stay."""
    index.put_run(make.record(1), make.running())
    index.put_checkpoints(RUN, [make.checkpoint()])
    index.put_run(make.record(1, ticket=None), make.ended())
    run = reader.run(RUN)
    assert (run.status, run.outcome, run.ended) == (RunStatus.ENDED, Outcome.COMPLETED, 1060.0)
    assert (run.ticket, run.title) == (None, None)
    assert reader.checkpoints(RUN) == [make.checkpoint()]
    assert len(reader.runs()) == 1


def test_runs_are_found_by_ticket_and_status_newest_first(index, reader, make):
    """Filters and the limit choose among runs that come newest first."""
    for number in (1, 2, 3):
        ticket = dataclasses.replace(make.record().ticket, id=f"T-000{number % 2}")
        state = make.running() if number == 3 else make.ended()
        index.put_run(make.record(number, ticket=ticket), state)
    assert [run.id[-1] for run in reader.runs()] == ["3", "2", "1"]
    assert [run.id[-1] for run in reader.runs(ticket="T-0001")] == ["3", "1"]
    assert [run.id[-1] for run in reader.runs(status=RunStatus.ENDED)] == ["2", "1"]
    assert [run.id[-1] for run in reader.runs(ticket="T-0001", status=RunStatus.ENDED)] == ["1"]
    assert [run.id[-1] for run in reader.runs(limit=1)] == ["3"]
    assert reader.run("R-000009") is None


def test_step_and_phase_of_a_run_follow_its_files(shelf, index, reader, make):
    """A run's step is the largest logged, its phase the innermost that was begun and not ended."""
    seen = []

    def look(*lines, attempt=1):
        shelf.log(*lines, attempt=attempt)
        index.ingest(shelf.run())
        run = reader.run(RUN)
        seen.append((run.step, run.phase))

    def phase(name, state, time, kind="phase"):
        return make.event(kind, time=time, phase=name, state=state)

    index.put_run(make.record(1), make.running())
    look(phase("train", "begin", 1.0, "process"))
    look(make.point(5, a=1.0))
    look(phase("eval", "begin", 2.0), make.point(3, a=1.0))
    look(phase("eval", "end", 3.0))
    look(phase("train", "end", 4.0, "process"))
    look(phase("eval", "begin", 5.0, "process"))
    look(phase("train", "begin", 6.0, "process"), attempt=2)
    index.put_run(make.record(1), make.ended(2))
    seen.append((reader.run(RUN).step, reader.run(RUN).phase))
    assert [phase for _, phase in seen] == [
        "train",
        "train",
        "eval",
        "train",
        None,
        "eval",
        "train",
        None,
    ]
    assert [step for step, _ in seen] == [None, 5, 5, 5, 5, 5, 5, 5]


def test_what_was_read_before_the_run_was_put_counts(shelf, index, reader, make):
    """Files may be read before run.json is: the step is there when the run comes."""
    shelf.log(make.point(5, a=1.0), make.event("process", phase="train", state="begin"))
    index.ingest(shelf.run())
    index.put_run(make.record(1), make.running())
    assert (reader.run(RUN).step, reader.run(RUN).phase) == (5, "train")


def test_attempts_tell_how_each_launch_ended(index, reader, make):
    """Attempts are kept by number; the run began with its first."""
    index.put_run(make.record(1), make.running(1))
    index.put_run(make.record(1), make.ended(2))
    first, second = reader.attempts(RUN)
    assert (first.number, first.host, first.pid, first.code, first.ended) == (
        1,
        "box",
        4242,
        None,
        None,
    )
    assert (second.code, second.signal, second.max_rss, second.ended) == (0, None, 5 << 20, 1060.0)
    assert (reader.run(RUN).attempts, reader.run(RUN).started) == (2, 1001.0)


def test_an_unreadable_record_of_an_earlier_attempt_is_an_error(shelf, index, make):
    """A torn exit.json of an earlier attempt names its file, and the run is not half written."""
    shelf.file(attempt=1)
    shelf.run().attempt(1).exit_file.write_text("{")
    shelf.file(attempt=2)
    with pytest.raises(InvalidFileError, match=r"exit\.json"):
        index.put_run(make.record(1), make.running(2), shelf.run())
    assert index.dump()["run"] == []


@pytest.mark.parametrize("value", [0.11, None, math.inf, -math.inf, math.nan])
def test_a_verdict_comes_back_as_it_was_put(index, reader, make, value):
    """State, value, margin and evidence survive; no value, NaN and infinity are three things."""
    given = make.verdict(value, margin=value, state=State.FAILED, final=True)
    index.put_run(make.record(1), make.running())
    index.put_verdicts(RUN, [make.criterion()], [given])
    (row,) = reader.verdicts(RUN)
    assert repr(row.verdict) == repr(given)
    assert (row.run, row.position, row.key, row.text) == (RUN, 0, "k1", "pass@1 > 5%")
    assert (row.section, row.required) == ("Acceptance Criteria", True)


def test_verdicts_are_replaced_as_a_whole(index, reader, make):
    """The last verdicts put are all there are, in the ticket's order."""
    index.put_run(make.record(1), make.running())
    claims = [make.criterion("k2", "b"), make.criterion("k1", "a"), make.criterion("k3", "c")]
    index.put_verdicts(RUN, claims, [make.verdict(evidence=None)] * 3)
    assert [row.key for row in reader.verdicts(RUN)] == ["k2", "k1", "k3"]
    assert reader.verdicts(RUN)[0].verdict.evidence is None
    index.put_verdicts(RUN, claims[:1], [make.verdict()])
    assert [row.key for row in reader.verdicts(RUN)] == ["k2"]
    index.put_verdicts(RUN, [], [])
    assert reader.verdicts(RUN) == []


def test_checkpoints_are_replaced_as_a_whole(index, reader, make):
    """The last checkpoints put are all there are, by attempt and step."""
    index.put_run(make.record(1), make.running())
    index.put_checkpoints(RUN, [make.checkpoint(20), make.checkpoint(10, valid=False)])
    assert reader.checkpoints(RUN) == [make.checkpoint(10, valid=False), make.checkpoint(20)]
    index.put_checkpoints(RUN, [make.checkpoint(30)])
    assert reader.checkpoints(RUN) == [make.checkpoint(30)]


def test_tickets_come_back_as_they_were_put(index, reader):
    """A cached ticket is the parsed ticket with the stamp of its file, nanoseconds included."""
    index.put_tickets([cached("T-0002"), cached("T-0001")])
    assert reader.tickets() == [cached("T-0001"), cached("T-0002")]
    index.put_tickets([cached("T-0001", status="DONE", experiment="e.toml", blob="b2")])
    assert reader.tickets()[0] == cached("T-0001", status="DONE", experiment="e.toml", blob="b2")
    index.forget_tickets(["tickets/T-0001.md", "tickets/none.md"])
    assert reader.tickets() == [cached("T-0002")]
    index.put_tickets([])
    index.forget_tickets([])
    assert reader.tickets() == [cached("T-0002")]


def test_two_files_with_one_id_are_both_kept(index, reader):
    """A duplicate id is for lint to say; the index is keyed by file."""
    index.put_tickets([cached(), cached(path="tickets/T-0001-copy.md")])
    assert [row.ticket.path for row in reader.tickets()] == [
        "tickets/T-0001-copy.md",
        "tickets/T-0001.md",
    ]


def test_events_come_by_time_with_their_data(shelf, index, reader, make):
    """Events of all files of an attempt are ordered by time and can be chosen by name."""
    shelf.log(make.event("start", time=1.0, pid=1), make.event("phase", time=5.0, phase="eval"))
    shelf.log(make.event("process", time=3.0, step=4), rank="shim")
    index.ingest(shelf.run())
    assert [event.name for event in reader.events(RUN)] == ["start", "process", "phase"]
    (phase,) = reader.events(RUN, "phase")
    assert (phase.data, phase.at.line) == ({"phase": "eval"}, 2)
    assert reader.events(RUN, "none") == []


def test_what_is_put_is_there_after_closing(shelf, make):
    """What a closed index held, the next one holds."""
    with Index(shelf.database) as index:
        index.put_run(make.record(1), make.running())
        before = index.dump()
    with Index(shelf.database) as index:
        assert index.dump() == before
