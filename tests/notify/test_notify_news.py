"""News that no real run can be made to give here: built by hand."""

import re
from dataclasses import replace

import pytest

from orchestrator.codec import encode
from orchestrator.domain.attempt import AttemptRequest, Failure
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.notice import Notice, NoticeKind, NoticeLevel
from orchestrator.domain.retry import Cause
from orchestrator.domain.run import (
    AttemptState,
    ExitRecord,
    Outcome,
    Phase,
    PhaseExit,
    Published,
    RunRecord,
    RunState,
    RunStatus,
)
from orchestrator.notify import outbox
from orchestrator.watch.news import news_of_disk, news_of_end, news_of_life
from orchestrator.watch.observer import Observation
from orchestrator.watch.spending import Spent
from orchestrator.workspace import RunFolder, Workspace


def observation(tmp_path, outcome=Outcome.FAILED, **more):
    """A run without a ticket that has ended."""
    ended = ExitRecord(
        code=1,
        signal=None,
        started=100.0,
        ended=6220.0,
        recorded_by="shim",
        phases=(PhaseExit(phase=Phase.EVAL, code=1, signal=None, started=100.0, ended=6220.0),),
    )
    attempt = AttemptState(number=2, exit=replace(ended, **more))
    folder = RunFolder(tmp_path / "R-000007")
    folder.attempt(2).path.mkdir(parents=True)
    return Observation(
        folder=folder,
        record=RunRecord(id="R-000007", created=0.0, host="h", cwd="/", commands=()),
        state=RunState(status=RunStatus.ENDED, outcome=outcome, attempt=attempt, why="exit code 1"),
        facts=RunFacts(
            run="R-000007", ended=True, outcome=outcome, exit=None, attempts=2, planned_steps=None
        ),
        verdicts=(),
        elapsed=1.0,
        used=Spent(attempt=6120.0),
        end=None,
        idle=0.0,
        quiet=0.0,
        changed=True,
        alerts=(),
    )


def end_of(tmp_path, seen):
    return list(news_of_end(Workspace(tmp_path), seen, Published(time=1.0), []))


def test_processes_that_cannot_be_ended_need_a_person(tmp_path):
    """Survivors are told beside the crash: the machine is in trouble."""
    crash, survivors = end_of(tmp_path, observation(tmp_path, survivors=2))
    assert (crash.kind, survivors.kind) == ("crash", "person")
    assert survivors.title.startswith("R-000007: the host needs attention: 2 of its processes")


@pytest.mark.parametrize(
    ("log", "title"),
    [
        ("", "exit code 1"),
        ("working\nit went wrong\n", "exit code 1"),
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 6.36 GiB.\n",
            "CUDA out of memory in eval",
        ),
        ("Traceback\n  a\nKeyError: 'x'\nbye\n", "KeyError: 'x' in eval"),
        ("my.module.OddException\n", "exit code 1"),
        ("KeyboardInterrupt: \n", "KeyboardInterrupt in eval"),
    ],
)
def test_a_title_names_the_error(tmp_path, log, title):
    """The last error of the log in a few words, else what the exit record tells."""
    seen = observation(tmp_path)
    seen.folder.attempt(2).log.write_text(log)
    (crash,) = end_of(tmp_path, seen)
    assert crash.title == f"R-000007 crashed after 1 h 42 min: {title}"
    assert crash.what == "crash:2"


def test_the_recorded_cause_is_the_evidence(tmp_path):
    """failure.json knows better than the end of the log, and says why nothing follows."""
    seen = observation(tmp_path)
    failure = Failure(
        cause=Cause.CUDA_OOM,
        evidence="RuntimeError: CUDA out of memory. Tried 1 GiB",
        fingerprint="f",
        retry=False,
        why="not tried again: the same failure three times at step 5",
    )
    seen.folder.attempt(2).log.write_text("noise\n")
    seen.folder.attempt(2).failure_file.write_bytes(encode(failure))
    (crash,) = end_of(tmp_path, seen)
    assert "> RuntimeError: CUDA out of memory. Tried 1 GiB" in crash.text
    assert failure.why in crash.text


def test_a_queued_run_that_lacks_a_variable_waits_for_a_person(tmp_path):
    """Nobody else can export it."""
    seen = observation(tmp_path)
    asked = AttemptRequest(by="exp", why="ticket start", time=0.0, commands=())
    attempt = replace(seen.state.attempt, request=asked, exit=None)
    state = RunState(status=RunStatus.QUEUED, outcome=None, attempt=attempt, why="waits")
    waits = replace(seen, state=state)
    (news,) = news_of_life(replace(waits, record=replace(seen.record, env={"A": "$NO_SUCH_KEY"})))
    title = "R-000007 waits for a person: NO_SUCH_KEY is not set"
    assert (news.kind, news.title) == ("person", title)
    assert not list(news_of_life(waits))


@pytest.mark.parametrize(
    ("free", "total", "told"),
    [(4, 1000, True), (6, 1000, False), (2, 30, False), (1, 30, True)],
)
def test_little_space_is_told_by_the_size_of_the_disk(tmp_path, free, total, told):
    """Below 5 GiB, or a twentieth of a disk for which that would be much."""
    gib = 1 << 30
    news = list(news_of_disk(observation(tmp_path), free=free * gib, total=total * gib))
    assert [each.kind for each in news] == ["disk"] * told
    assert all(f"{free}.0 GiB of {total} GiB left" in each.title for each in news)


@pytest.mark.parametrize("kind", NoticeKind)
def test_many_of_any_kind_are_one_notice(kind):
    """Whatever is told often at once has a title for all of it, with their number and names."""
    one = Notice(
        key="a",
        kind=kind,
        level=NoticeLevel.WARN,
        workspace="w",
        run="R-000007",
        ticket="T-0001",
        title="said",
        text="",
        time=1.0,
    )
    summed = outbox._sum([replace(one, key=key) for key in "abcd"])
    assert (summed.kind, summed.text) == (kind, "said\nsaid\nsaid\nsaid")
    assert re.fullmatch(r"4 .*: T-0001", summed.title)
