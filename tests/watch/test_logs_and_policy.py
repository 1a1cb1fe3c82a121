"""Reading logs in pieces, and when the tool stops a run."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.criterion import Criterion, Reading, State, Verdict
from orchestrator.domain.criterion import Kind as CriterionKind
from orchestrator.domain.run import BY_US, Budget, RunRecord, StopRequest
from orchestrator.watch.logs import LogCursor
from orchestrator.watch.policy import stop_reason
from orchestrator.watch.saving import saved_words, time_left
from orchestrator.watch.spending import Spent


@given(pieces=st.lists(st.sampled_from(["a\n", "b", "\n", "ccc\r", "é\n", "\x1b[2K"]), max_size=30))
def test_a_log_read_while_it_grows_is_the_log(tmp_path_factory, pieces):
    """However a log grows, its lines arrive once, in order, with their numbers."""
    path = tmp_path_factory.mktemp("log") / "out.log"
    cursor, seen = LogCursor(), []
    with path.open("a", newline="") as log:
        for piece in pieces:
            log.write(piece)
            log.flush()
            seen += cursor.read(path, ended=False)
    seen += cursor.read(path, ended=True)
    whole = path.read_bytes().decode()
    assert "".join(text for _, text in seen) == whole
    for first, text in seen:
        before = whole[: sum(len(t) for f, t in seen if f < first)]
        assert first == before.count("\n") + 1
        assert text


def test_a_line_without_end_is_read_in_bounded_pieces(tmp_path):
    """A progress bar that never ends its line is taken in nevertheless."""
    path = tmp_path / "out.log"
    path.write_bytes(b"x" * 200_000)
    cursor = LogCursor()
    assert [len(text) for _, text in cursor.read(path, ended=False)] == [65_536] * 3
    assert sum(len(text) for _, text in cursor.read(path, ended=True)) == 200_000 - 3 * 65_536


def record(stop_when="never", budget=None, resources=None):
    criterion = Criterion(
        key="k",
        text="loss < 1",
        section="Acceptance Criteria",
        required=True,
        reading=Reading(kind=CriterionKind.THRESHOLD),
    )
    return RunRecord(
        id="R-000001",
        created=0.0,
        host="h",
        cwd="/",
        commands=(),
        criteria=(criterion,),
        stop_when=stop_when,
        budget=budget or Budget(),
        resources=resources or {},
    )


def verdict(state, *, final):
    return (Verdict(state=state, final=final, why=""),)


@pytest.mark.parametrize(
    ("stop_when", "state", "final", "said"),
    [
        ("never", State.FAILED, True, None),
        ("failed", State.FAILED, True, "has failed for good"),
        ("failed", State.FAILED, False, None),
        ("failed", State.MET, True, None),
        ("decided", State.MET, True, "no required criterion can change"),
        ("decided", State.MET, False, None),
        ("decided", State.FAILED, True, "failed for good"),
    ],
)
def test_a_decided_ticket_stops_its_run_if_asked_to(stop_when, state, final, said):
    """The spec's stop.when says which verdicts end a run."""
    reason = stop_reason(
        record(stop_when), verdict(state, final=final), used=Spent(attempt=1), idle=1
    )
    assert (reason is None) if said is None else (said in reason)


@pytest.mark.parametrize(
    ("budget", "gpus", "elapsed", "idle", "said"),
    [
        (Budget(wall=60), 0, 61, 0, "wall budget of 1 min 00 s"),
        (Budget(wall=60), 0, 59, 0, None),
        (Budget(idle=60), 0, 100, 61, "idle budget"),
        (Budget(gpu_hours=1), 2, 1801, 0, "GPU budget of 1 GPU-hours"),
        (Budget(gpu_hours=1), 0, 1e6, 0, None),
    ],
)
def test_a_used_up_budget_stops_the_run(budget, gpus, elapsed, idle, said):
    """Each budget names itself when it is used up."""
    reason = stop_reason(
        record(budget=budget, resources={"gpus": gpus}),
        verdict(State.PENDING, final=False),
        used=Spent(attempt=elapsed, gpus=gpus),
        idle=idle,
    )
    assert (reason is None) if said is None else (said in reason)


def decided(saved, why="decided: no required criterion can change any more", by=BY_US):
    return StopRequest(by=by, why=why, time=0.0, saved=saved)


def test_what_an_early_end_saved_follows_from_plan_and_pace():
    """The rest of the planned steps at the pace so far; without a plan nothing is claimed."""
    planned = replace(record(), planned_steps=1000)
    assert time_left(planned, 250, 100.0) == pytest.approx(300.0)
    for step in (None, 0, 1000, 2000):
        assert time_left(planned, step, 100.0) is None
    assert time_left(record(), 250, 100.0) is None


def test_gpu_hours_are_claimed_only_for_gpus_and_for_decisions():
    """GPUs times hours; hours without GPUs; nothing for other ends and unknown plans."""
    eight = record(resources={"gpus": 8})
    said = saved_words(eight, decided(5400.0))
    assert said == "about 12 GPU-hours saved (8 GPUs for 1 h 30 min)"
    assert saved_words(record(), decided(5400.0)) == "about 1 h 30 min saved"
    assert saved_words(eight, decided(None)) is None
    assert saved_words(eight, decided(5400.0, why="time limit of 8 h is used up")) is None
    assert saved_words(eight, decided(5400.0, by="ada")) is None
    assert saved_words(eight, None) is None
