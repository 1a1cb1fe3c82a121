"""docs/run-folder.md says what the files hold."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from orchestrator.domain.attempt import AttemptRequest, Failure, Lease, Waiting
from orchestrator.domain.finding import Finding, KnownFinding, Quote
from orchestrator.domain.run import ExitRecord, Identity, RunRecord, StopRequest

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = {
    "run.json": RunRecord,
    "attempt-N/request.json": AttemptRequest,
    "attempt-N/waiting.json": Waiting,
    "attempt-N/lease.json": Lease,
    "attempt-N/proc.json": Identity,
    "attempt-N/exit.json": ExitRecord,
    "attempt-N/stop.json": StopRequest,
    "attempt-N/failure.json": Failure,
    "findings.json": (KnownFinding, Finding, Quote),
}


def section(title: str) -> str:
    text = (ROOT / "docs" / "run-folder.md").read_text()
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[
        1
    ]


@pytest.mark.parametrize("title", SECTIONS)
def test_every_field_of_a_record_is_documented(title):
    """A field added to a record of the run folder is named in its section."""
    named = set(re.findall(r"[`\"](\w+)[`\"]", section(title)))
    kinds = SECTIONS[title] if isinstance(SECTIONS[title], tuple) else (SECTIONS[title],)
    missing = {field.name for kind in kinds for field in fields(kind)} - named
    assert not missing


def test_every_event_is_documented():
    """Each event name that the SDK, the shim or a check writes has a row in the table."""
    product = ROOT / "orchestrator"
    sources = [*(product / "track").glob("*.py"), product / "shim.py"]
    sources.append(product / "actions" / "commands.py")
    text = "".join(file.read_text() for file in sources)
    written = set(re.findall(r"""(?:write_event, |write_event\(|event_line\()"(\w+)\"""", text))
    written |= set(re.findall(r'"event": "(\w+)"', text))
    written |= set(re.findall(r'_record\(.*, "(\w+)", ', text))
    rows = set(re.findall(r"^\| `(\w+)` \|", section("attempt-N/events-*.jsonl"), re.MULTILINE))
    assert {"start", "process", "summary", "lost"} <= written
    assert written == rows


def test_every_sample_is_documented():
    """docs/telemetry.md has a row for each series and each event of telemetry.jsonl."""
    text = (ROOT / "orchestrator" / "watch" / "samples.py").read_text()
    rows = set(
        re.findall(r"^\| `([\w/.]+)` \|", (ROOT / "docs/telemetry.md").read_text(), re.MULTILINE)
    )
    begin = text.index("def _host_values")
    events = set(re.findall(r'yield "(\w+)"', text[:begin]))
    series = set(re.findall(r'yield "(\w+)"', text[begin:]))
    assert {"gpu", "gpu_lost"} <= events
    assert {"cpu", "memory_used", "power"} <= series
    named = {row.removeprefix("system/").removeprefix("gpu.K.") for row in rows}
    assert named == events | series
