"""findings.json: what was found, since when, and when it no longer held."""

import json
import logging
from dataclasses import asdict, replace

import pytest

from orchestrator.domain.finding import Finding, KnownFinding, Quote, Severity
from orchestrator.watch.findings import Ledger, known_findings, merged, open_findings
from orchestrator.workspace import RunFolder


def finding(name="nan", text="it is NaN", subject="", severity=Severity.ERROR):
    return Finding(
        id=name,
        subject=subject,
        severity=severity,
        title=text,
        evidence=(Quote(source="attempt-1/out.log", line=3, text=text),),
        arithmetic="1 of 2",
        meaning="bad",
        action="stop",
    )


def encode_without_evidence():
    """A ledger with a claim that nothing supports."""
    claim = asdict(finding()) | {"evidence": []}
    return json.dumps([{"finding": claim, "opened": 1, "seen": 1}]).encode()


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "R-000001")
    made.path.mkdir()
    return made


def times(known):
    return {(k.finding.key, k.opened, k.seen, k.closed) for k in known}


def test_a_finding_is_opened_seen_closed_and_opened_anew():
    """The same key goes on, one that is missing is closed, and comes back as another one."""
    first = merged((), [finding(), finding(subject="a")], now=10)
    assert times(first) == {("nan", 10, 10, None), ("nan:a", 10, 10, None)}
    again = merged(first, [finding(text="still NaN")], now=20)
    assert times(again) == {("nan", 10, 20, None), ("nan:a", 10, 10, 20)}
    assert again[0].finding.title == "still NaN"
    back = merged(again, [finding(subject="a")], now=30)
    assert times(back) == {("nan:a", 30, 30, None), ("nan:a", 10, 10, 20), ("nan", 10, 20, 30)}


def test_a_clock_that_goes_back_closes_nothing_before_it_was_seen():
    """Times of one finding never run backwards."""
    known = merged((), [finding()], now=100)
    assert times(merged(known, [finding()], now=50)) == {("nan", 100, 100, None)}
    assert times(merged(known, [], now=50)) == {("nan", 100, 100, 100)}


def test_one_that_comes_and_goes_does_not_fill_the_disk():
    """Of closed findings the newest two hundred are kept."""
    known = ()
    for now in range(0, 1000, 2):
        known = merged(merged(known, [finding()], now=now), [], now=now + 1)
    assert len(known) == 200
    assert known[-1].closed == 999


def test_what_is_written_is_read_again(folder):
    """A ledger that is opened again knows what the one before it wrote."""
    Ledger(folder).update([finding(), finding("gap", severity=Severity.WARN)], now=5.0)
    assert Ledger(folder).known == known_findings(folder)
    Ledger(folder).update([finding("gap", severity=Severity.WARN)], now=6.0)
    assert [each.id for each in open_findings(folder)] == ["gap"]
    assert known_findings(folder)[0].opened == 5.0


def test_an_empty_file_says_that_somebody_has_looked(folder):
    """Nothing found is written down, too."""
    assert Ledger(folder).update([], now=1.0) == ()
    assert json.loads(folder.findings_file.read_text()) == []


@pytest.mark.parametrize(
    "content",
    [
        b'[{"finding": {"id"',
        b"{}",
        b"\xff\xfe\x00",
        b'[{"finding": {"id": "x", "severity": "loud"}, "opened": 1, "seen": 1}]',
        encode_without_evidence(),
    ],
)
def test_a_file_that_nobody_can_read_is_set_aside(folder, content, caplog):
    """Torn, foreign, binary or without evidence: readers see nothing, the writer begins anew."""
    folder.findings_file.write_bytes(content)
    assert known_findings(folder) == ()
    with caplog.at_level(logging.WARNING):
        ledger = Ledger(folder)
    assert "set aside" in caplog.text
    assert folder.findings_file.with_name("findings.json.damaged").read_bytes() == content
    ledger.update([finding()], now=1.0)
    assert [each.id for each in open_findings(folder)] == ["nan"]


def test_secrets_do_not_reach_the_file(folder):
    """What a log says is quoted in tickets, and git keeps those for ever."""
    token = "hf_" + "a" * 30
    Ledger(folder).update([finding(text=f"token={token}")], now=1.0)
    assert token not in folder.findings_file.read_text()
    known = known_findings(folder)[0]
    assert known == KnownFinding(finding=known.finding, opened=1.0, seen=1.0)
    assert replace(known.finding, title="").evidence[0].line == 3


def test_a_secret_that_is_known_goes_wherever_it_stands(folder):
    """A value without a name beside it looks like nothing; it is taken out all the same."""
    Ledger(folder).update([finding(text="plain-4711 it is")], now=1.0, secrets=["plain-4711"])
    assert "plain-4711" not in folder.findings_file.read_text()
    assert known_findings(folder)[0].finding.title == "<secret> it is"
