"""What is found reaches whoever it concerns: real runs, through the real command."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import wait_for

OOM = """
import sys
from orchestrator import track
run = track.init()
for step in range(1, 301):
    run.log({"train/loss": 3 / step if step < 200 else float("nan")}, step=step)
    if step % 50 == 0:
        run.log({"eval/loss": 101.40}, step=step)
print("\\x00\\xff\\x1b[31mjunk", flush=True)
with run.phase("eval"):
    raise RuntimeError(
        "CUDA out of memory. Tried to allocate 6.36 GiB. GPU 0 has a total capacity of 15.57 GiB of"
        " which 6.14 GiB is free. Including non-PyTorch memory, this process has 9.40 GiB memory in"
        " use. Of the allocated memory 8.10 GiB is allocated by PyTorch, and 1.01 GiB is reserved"
        " by PyTorch but unallocated.")
"""
SHAPES = "[params]\nbatch_size = 8\nheads = 8\nseq_len = 5164\n"
FROZEN = """
import time
from pathlib import Path
from orchestrator import track
run = track.init()
step = 0
while not Path("go").exists():
    step += 1
    run.log({"train/loss": 3 / step}, step=step)
    if step % 10 == 0:
        run.log({"eval/loss": 101.40}, step=step)
    time.sleep(0.01)
run.finish()
"""
HEALTHY = """
import random
from orchestrator import track
run = track.init()
draw = random.Random(1)
for step in range(1, 201):
    run.log({"train/loss": 3 / step**0.3 + draw.gauss(0, 0.02)}, step=step)
run.finish()
"""


def notices(lab):
    file = lab.run() / "notices.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [line["notice"] for line in map(json.loads, lines) if "notice" in line]


def findings_of(lab):
    file = lab.run() / "findings.json"
    return [each["finding"]["id"] for each in json.loads(file.read_text())] if file.exists() else []


def restart_watcher(lab):
    """The watcher is killed; the next command starts another one."""
    for pid in lab.processes():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"orchestrator.watch" in words:
            os.kill(pid, signal.SIGKILL)
    lab.exp("status")


def test_what_ended_a_run_is_told_everywhere(lab):
    """Ledger, ticket, notice, report, doctor and explain name the cause, the sum and the action."""
    lab.ticket()
    lab.experiment(OOM, SHAPES)
    lab.commit()
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 8
    lab.published()
    known = {each["finding"]["id"]: each for each in lab.json("findings.json")}
    assert {"cuda-oom-eval", "non-finite", "frozen-evaluation"} <= set(known)
    assert all(each["closed"] is None for each in known.values())
    oom = known["cuda-oom-eval"]["finding"]
    assert "8 × 8 heads × 5164² × 4 B" in oom["arithmetic"]
    quote = oom["evidence"][0]
    log = (lab.run() / quote["source"]).read_text(errors="replace")
    assert quote["text"].splitlines()[0] in log.splitlines()[quote["line"] - 1]

    obstacles = lab.text().split("## Obstacles")[1]
    assert "- ERROR `cuda-oom-eval`: CUDA out of memory" in obstacles
    told = notices(lab)
    assert [notice["kind"] for notice in told] == ["crash"]
    assert oom["arithmetic"] in told[0]["text"]
    assert f"→ {oom['action']}" in told[0]["text"]
    report = (lab.root / "experiments/e/reports/T-0001/report.md").read_text()
    assert f"### ERROR: {oom['title']}" in report
    assert f"`{oom['arithmetic']}`" in report

    found = lab.exp("doctor", "T-1")
    assert found.returncode == 1
    assert oom["title"] in " ".join(found.stdout.split())
    assert f"{quote['source']}:{quote['line']}" in found.stdout
    assert "looked at" in found.stdout
    explained = lab.exp("run", "explain", "1").stdout
    assert explained.index(oom["title"][:40]) < explained.index("what to do next")
    assert explained.index("exp run resume R-000001") < explained.index("attempt 1: train")
    seen = json.loads(lab.exp("status", "--json").stdout)["runs"][0]
    assert {each["id"] for each in seen["findings"]} == set(known)


def test_a_finding_of_a_live_run_is_told_once_and_stands_in_status(lab):
    """Nobody has to wait for the end: a notice, a line for a person, and doctor while it runs."""
    lab.ticket()
    lab.experiment(FROZEN)
    lab.commit()
    assert lab.exp("ticket", "start", "1").returncode == 0
    # The watcher looked when there was nothing yet; it looks again when another one begins.
    log = lab.run() / "attempt-1"
    wait_for(lambda: any(f.stat().st_size > 9000 for f in log.glob("events-*")), what="points")
    restart_watcher(lab)
    wait_for(lambda: findings_of(lab) == ["frozen-evaluation"], what="the finding")
    wait_for(lambda: "finding" in [n["kind"] for n in notices(lab)], what="the notice")
    needs = json.loads(lab.exp("status", "--json").stdout)["needs"]
    assert any("exp doctor R-000001" in need and "101.4" in need for need in needs)
    assert lab.exp("doctor").returncode == 1
    (lab.root / "go").touch()
    lab.published()
    told = [notice["kind"] for notice in notices(lab)]
    assert told.count("finding") == 1


def test_a_healthy_run_has_no_finding_and_says_what_was_looked_at(lab):
    """Exit code 0, and the numbers behind the silence."""
    lab.ticket()
    lab.experiment(HEALTHY)
    lab.commit()
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 0
    lab.published()
    found = lab.exp("doctor", "R-1")
    assert found.returncode == 0, found.stdout
    assert "nothing found" in found.stdout
    (seen,) = json.loads(lab.exp("doctor", "1", "--json").stdout)
    assert seen["looked"]["points"] == 200
    assert seen["looked"]["rules"] > 10
    assert any("samples of the hardware" in gap for gap in seen["gaps"])
    assert lab.json("findings.json") == []
    assert "Findings of" not in lab.text()
    (lab.run() / "findings.json").write_text("[{")
    explained = lab.exp("run", "explain", "1")
    assert explained.returncode == 0
    assert "exp ticket check T-0001" in explained.stdout

    damaged = lab.root / ".exp" / "exp.db"
    damaged.write_bytes(b"not a database" * 1000)
    (again,) = json.loads(lab.exp("doctor", "1", "--json").stdout)
    assert again["looked"] == seen["looked"]


@pytest.mark.parametrize(("name", "code"), [("T-9", 3), ("R-9", 3), ("T-1", 3), ("nonsense", 2)])
def test_a_name_that_means_nothing_is_an_error_with_a_next_command(lab, name, code):
    """Unknown runs and tickets, and tickets without a run."""
    lab.ticket()
    done = lab.exp("doctor", name)
    assert done.returncode == code
    assert "→" in done.stderr


def test_nothing_under_way_is_no_error(lab):
    """A workspace in which nothing runs has nothing to say."""
    done = lab.exp("doctor")
    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads(lab.exp("doctor", "--json").stdout) == []


def test_a_huge_log_is_read_in_bounded_memory(lab):
    """Of 200 MB without any line end and junk around, the one line that counts is found."""
    lab.ticket()
    lab.experiment(HEALTHY)
    lab.commit()
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 0
    lab.published()
    with (lab.run() / "attempt-1" / "out.log").open("ab") as log:
        log.truncate(120_000_000)  # zeros: a sparse file, one line
        log.seek(0, os.SEEK_END)
        log.write(b"\nCUDA out of memory. Tried to allocate 20.00 MiB\n")
        log.truncate(200_000_000)
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (600 << 20,) * 2);"
    limited += "from orchestrator.cli import main; sys.argv[0] = 'exp'; main()"
    done = subprocess.run(
        [sys.executable, "-c", limited, "doctor", "1", "--json"],
        cwd=lab.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr[-2000:]
    (seen,) = json.loads(done.stdout)
    assert seen["looked"]["log_bytes"] == 200_000_000
    quoted = [q["text"] for f in seen["findings"] for q in f["evidence"]]
    assert any("20.00 MiB" in text for text in quoted)
