"""Which findings a person is told of, and which another notice has told already."""

import os
from dataclasses import replace

import pytest

from orchestrator.codec import encode
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.notice import NoticeKind, NoticeLevel
from orchestrator.domain.run import AttemptState, ExitRecord, RunRecord, RunState, RunStatus
from orchestrator.watch.finding_news import news_of_findings, why_it_ended
from orchestrator.watch.findings import Ledger
from orchestrator.watch.observer import Observation
from orchestrator.watch.spending import Spent
from orchestrator.workspace import RunFolder


def finding(name="frozen", severity=Severity.WARN):
    return Finding(
        id=name,
        severity=severity,
        title=f"{name} it is",
        evidence=(Quote(source="attempt-1/out.log", line=3, text="a line"),),
        arithmetic="1 of 2",
        meaning="bad",
        action="stop",
    )


@pytest.fixture
def seen(tmp_path):
    """A run at work."""
    folder = RunFolder(tmp_path / "R-000007")
    folder.attempt(1).path.mkdir(parents=True)
    state = AttemptState(number=1, alive=True)
    facts = RunFacts(
        run="R-000007", ended=False, outcome=None, exit=None, attempts=1, planned_steps=None
    )
    return Observation(
        folder=folder,
        record=RunRecord(id="R-000007", created=0.0, host="h", cwd="/", commands=()),
        state=RunState(status=RunStatus.RUNNING, outcome=None, attempt=state, why="running"),
        facts=facts,
        verdicts=(),
        elapsed=1.0,
        used=Spent(attempt=1.0),
        end=None,
        idle=0.0,
        quiet=0.0,
        changed=True,
        alerts=(),
    )


def test_an_open_finding_is_news_with_its_sum_and_its_action(seen):
    """Title, evidence with its place, arithmetic, action and the next command."""
    Ledger(seen.folder).update([finding(), finding("note", Severity.INFO)], now=5.0)
    (news,) = news_of_findings(seen, [])
    assert (news.kind, news.level) == (NoticeKind.FINDING, NoticeLevel.WARN)
    assert news.title == "R-000007: frozen it is"
    assert {"> attempt-1/out.log:3 a line", "1 of 2", "→ stop", "exp doctor R-000007"} <= {
        *news.text
    }


def test_what_no_longer_holds_is_no_news(seen):
    """A closed finding is told by nobody."""
    ledger = Ledger(seen.folder)
    ledger.update([finding()], now=5.0)
    ledger.update([], now=6.0)
    assert not list(news_of_findings(seen, []))
    assert why_it_ended(seen.folder) == ()


@pytest.mark.parametrize(
    ("name", "told", "is_news"),
    [
        ("disk-low", ["disk"], False),
        ("disk-low", ["hang:1:9"], True),
        ("gpu-idle", ["hang:1:9"], False),
        ("gpu-idle", [], True),
        ("answer-known", ["decided:1"], False),
        ("frozen", ["disk", "hang:1:9", "decided:1"], True),
    ],
)
def test_what_another_notice_has_told_is_not_told_again(seen, name, told, is_news):
    """A hang, a full disk and a decided run have notices of their own."""
    Ledger(seen.folder).update([finding(name)], now=5.0)
    assert bool(list(news_of_findings(seen, told))) == is_news


@pytest.mark.parametrize(("opened", "is_news"), [(50, True), (150, False), (250, True)])
def test_the_end_of_an_attempt_that_was_tried_again_is_not_told(seen, opened, is_news):
    """Only what was found while one of its attempts was at work."""
    ended = ExitRecord(code=1, signal=None, started=0.0, ended=100.0, recorded_by="shim")
    seen.folder.attempt(1).exit_file.write_bytes(encode(ended))
    process = seen.folder.attempt(2).process_file
    process.parent.mkdir()
    process.write_text("{}")
    os.utime(process, (200, 200))
    Ledger(seen.folder).update([finding()], now=opened)
    assert bool(list(news_of_findings(seen, []))) == is_news


def test_a_bad_end_is_explained_by_the_worst_finding(seen):
    """The lines that a crash notice takes over; notes explain nothing."""
    Ledger(seen.folder).update([finding("note", Severity.INFO)], now=5.0)
    assert why_it_ended(seen.folder) == ()
    worst = replace(finding("oom", Severity.ERROR), arithmetic="4 + 2 = 6")
    Ledger(seen.folder).update([worst, finding()], now=6.0)
    assert why_it_ended(seen.folder) == ("oom it is", "4 + 2 = 6", "→ stop")
