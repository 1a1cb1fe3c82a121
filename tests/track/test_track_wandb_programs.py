"""Programs written for wandb, run as they are but for their import line."""

import importlib.util
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.track.values import flatten

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).with_name("programs")
OURS = "import orchestrator.track as wandb"


def run_program(name, folder, *, ours):
    """Run a program in a folder of its own; what it said."""
    text, changed = re.subn(
        r"^import wandb$",
        OURS if ours else "import wandb",
        (PROGRAMS / name).read_text(),
        flags=re.MULTILINE,
    )
    assert changed == 1
    folder.mkdir()
    (folder / name).write_text(text)
    variables = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, name],
        cwd=folder,
        env={**os.environ, **variables, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def our_runs(folder):
    """(points by step, summary) of each local run, in order."""
    for run in sorted((folder / ".exp" / "runs").glob("R-*")):
        assert json.loads((run / "attempt-1" / "exit.json").read_bytes())["code"] == 0
        points, summary = {}, {}
        (file,) = (run / "attempt-1").glob("events-*.jsonl")
        for line in map(json.loads, file.read_text().splitlines()):
            if line.get("metrics"):
                points.setdefault(line["step"], {}).update(line["metrics"])
            elif line.get("event") == "summary":
                summary |= line["data"]
        yield points, summary


def payloads(data):
    """Records of wandb's file: LevelDB's log format behind a header of seven bytes."""
    at, whole = 7, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in {1, 4}:
            yield whole
            whole = b""


def wandb_runs(folder):
    """The same of what wandb wrote; of the points only the numbers, nested names joined by `/`."""
    from wandb.proto import wandb_internal_pb2 as proto

    found = {}
    for file in folder.glob("wandb/offline-run-*/run-*.wandb"):
        points, summary, created = {}, {}, 0.0
        for payload in payloads(file.read_bytes()):
            record = proto.Record()
            record.ParseFromString(payload)
            created = created or record.run.start_time.ToNanoseconds()
            row = flat(record.history.item)
            if row:
                points.setdefault(record.history.step.num, {}).update(row)
            summary |= flat(record.summary.update)
        found[created] = points, summary
    return [found[created] for created in sorted(found)]


def flat(items):
    """Numbers of a record's items, without what describes media and what wandb adds itself."""
    row, media = {}, set()
    for item in items:
        names = list(item.nested_key) or [item.key]
        for name, value in flatten({"/".join(names): json.loads(item.value_json)}):
            if name.endswith("/_type"):
                media.add(names[0])
            elif isinstance(value, int | float) and not name.startswith("_"):
                row[name] = value
    return {name: value for name, value in row.items() if name.split("/")[0] not in media}


@pytest.mark.parametrize("name", ["gpt.py", "digits.py", "agent.py"])
def test_a_program_for_wandb_runs(tmp_path, name):
    """Changing the import line is enough: it ends well, and its numbers are recorded."""
    if name == "digits.py":
        pytest.importorskip("torch")
        pytest.importorskip("numpy")
    done = run_program(name, tmp_path / "ours", ours=True)
    recorded = list(our_runs(tmp_path / "ours"))
    assert len(recorded) == (2 if name == "agent.py" else 1)
    assert all(len(points) >= 4 for points, _ in recorded)
    assert all(line.startswith("exp track: ") for line in done.stderr.splitlines())


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
@pytest.mark.parametrize("name", ["gpt.py", "digits.py", "agent.py"])
def test_the_same_numbers_as_wandb(tmp_path, name):
    """Both record the same values at the same steps, and the same summary of the program's own."""
    run_program(name, tmp_path / "theirs", ours=False)
    run_program(name, tmp_path / "ours", ours=True)
    ours, theirs = list(our_runs(tmp_path / "ours")), wandb_runs(tmp_path / "theirs")
    assert len(ours) == len(theirs) > 0
    for (points, summary), (other_points, other_summary) in zip(ours, theirs, strict=True):
        assert points.keys() == other_points.keys()
        epoch = None
        for step in sorted(points):
            epoch = points[step].get("epoch", epoch)
            # wandb repeats the step metric of what is logged without it.
            repeated = {"epoch": epoch} if "epoch" in other_points[step] else {}
            assert points[step] | repeated == other_points[step]
        assert dict(flatten(summary)).items() <= other_summary.items()
