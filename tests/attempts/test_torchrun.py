"""Causes behind a real torchrun, whose own words and exit code hide those of the workers."""

import json

import pytest

pytest.importorskip("torch")

HEAD = """
import os, sys, time
from orchestrator import track
run = track.init()
rank, attempt = int(os.environ["RANK"]), int(os.environ["EXP_ATTEMPT"])
run.log({"rank": rank, "attempt": attempt}, step=attempt)
"""
REQUEUED = "if attempt == 1:\n    sys.exit(75)\n"
ONE_FAILS = """
import torch.distributed as dist
import torch
dist.init_process_group("gloo")
if rank == 1:
    raise ValueError("bad sample 4711")
dist.all_reduce(torch.ones(1))
"""


def follow(lab, program):
    lab.ticket(criteria="- [ ] `rank` is reported")
    lab.experiment(HEAD + program)
    spec = lab.root / "experiments/e/a.toml"
    spec.write_text(spec.read_text() + "nproc = 2\n")
    return lab.exp("ticket", "start", "1", "--follow")


def test_exit_code_75_of_the_workers_is_understood(lab):
    """torchrun ends with 1 when its workers ask to be started again."""
    done = follow(lab, REQUEUED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert lab.json("attempt-1/exit.json")["code"] == 1
    assert lab.json("attempt-1/failure.json")["cause"] == "requeue"
    assert (lab.run() / "attempt-2/exit.json").exists()
    assert not (lab.run() / "forensics").exists()  # neither a requeue nor the end went wrong


RECORDED = """
from torch.distributed.elastic.multiprocessing.errors import record
@record
def main():
    if rank == 1:
        raise ValueError("bad sample 4711")
    time.sleep(60)
main()
"""


def test_the_error_file_of_each_worker_is_kept(lab):
    """With `@record` torch writes who failed with what; the bundle names that rank as the first."""
    done = follow(lab, RECORDED)
    assert done.returncode == 8, done.stderr
    kept = {
        path.name: json.loads(path.read_text())["message"]
        for path in (lab.run() / "forensics/attempt-1/elastic").iterdir()
    }
    assert sorted(kept) == ["attempt_0-rank-1.json", "root-cause.json"]
    assert {each["message"] for each in kept.values()} == {"ValueError: bad sample 4711"}
    assert "in main" in kept["root-cause.json"]["extraInfo"]["py_callstack"]
    found = lab.json("forensics/attempt-1/ranks.json")
    assert found["first_failing"]["rank"] == 1
    assert [rank["metrics"]["rank"] for rank in found["ranks"]] == [[1, 0], [1, 1]]


def test_the_rank_that_failed_first_is_the_cause(lab):
    """Not what the other rank met in its collective, and not torchrun's summary."""
    done = follow(lab, ONE_FAILS)
    assert done.returncode == 8
    failure = json.loads((lab.run() / "attempt-1/failure.json").read_text())
    assert failure["cause"] == "program"
    assert failure["evidence"].startswith("ValueError: bad sample 4711")
    assert "at a.py:<module>" in failure["evidence"]
