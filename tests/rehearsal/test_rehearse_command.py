"""`exp ticket rehearse` and the rehearsal before a start, through the command that people type."""

import json
import os
import re
import signal

import nvml_stub
import pytest
from conftest import wait_for
from nvml_stub import GIB, gpu

from orchestrator.leases import Leases

ALWAYS = '[rehearse]\nwhen = "always"\n'


def test_a_result_is_shown_kept_and_committed(theatre):
    """A table on stdout; the same again is not done twice; the page is committed by itself."""
    theatre.write(evaluates=False)
    lab = theatre.lab
    done = lab.exp("ticket", "rehearse", "1")
    assert done.returncode == 0, done.stderr
    assert re.search(r"✔ 5 resume", done.stdout)
    assert "no [evaluate]" in done.stdout
    assert "exp ticket start T-0001" in done.stderr
    again = lab.exp("ticket", "rehearse", "1", "--commit", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["ticket"] == "T-0001"
    assert re.search(r"rehearsed .* ago, and nothing has changed since", again.stderr)
    lab.git("switch", "--quiet", "--detach")
    refused = lab.exp("ticket", "rehearse", "1", "--commit")
    assert refused.returncode == 5
    assert "passed" in refused.stdout
    changed = lab.git("show", "--name-only", "--format=%s", "HEAD").splitlines()
    assert changed == ["T-0001: rehearsal passed", "", "experiments/e/reports/T-0001/rehearsal.md"]
    assert len(list(theatre.folder.glob("2*"))) == 1


def test_a_failed_rehearsal_keeps_a_run_from_starting(theatre):
    """Exit 10, nothing on stdout, no run, no change of the ticket; skipping says what is lost."""
    theatre.write("torn", evaluates=False, more=ALWAYS)
    lab = theatre.lab
    before = lab.text()
    done = lab.exp("ticket", "start", "1", "--json")
    assert done.returncode == 10, done.stderr
    assert done.stdout == ""
    assert "step 4 (checkpoint)" in done.stderr
    assert not lab.run().exists()
    assert lab.text() == before
    direct = lab.exp("ticket", "rehearse", "1")
    assert direct.returncode == 10
    assert "torn checkpoint" in direct.stdout
    assert "preflight" in direct.stderr, "a failed one is done again"
    skipped = lab.exp("ticket", "start", "1", "--skip-rehearsal", "--json")
    assert skipped.returncode == 0, skipped.stderr
    assert json.loads(skipped.stdout)["id"] == "R-000001"
    assert "5 resume, 6 termination" in skipped.stderr
    lab.exp("run", "stop", "1")


def test_a_start_rehearses_first_and_then_says_how_old_that_is(theatre):
    """With when = "always" a run starts after its rehearsal, once; stdout is the run's record."""
    theatre.write(evaluates=False, steps=20, eval_every=10, more=ALWAYS)
    lab = theatre.lab
    first = lab.exp("ticket", "start", "1", "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["id"] == "R-000001"
    assert "it was never rehearsed" in first.stderr
    lab.published()
    second = lab.exp("ticket", "start", "1", "--force")
    assert second.returncode == 0, second.stderr
    assert re.search(r"rehearsed .* ago: passed", second.stderr)
    lab.published(2)
    third = lab.exp("ticket", "start", "1", "--force", "--skip-rehearsal")
    assert re.search(r"not rehearsed again; rehearsed .* ago: passed", third.stderr)
    assert len(list(theatre.folder.glob("2*"))) == 1


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Two GPUs, the second in use by somebody without a lease."""
    stub = nvml_stub.stub(tmp_path)
    stub.write(gpu(0), gpu(1, used=100 * GIB))
    nvml_stub.visible_to(stub, monkeypatch)
    return stub


def endless(theatre, more=""):
    """A rehearsal in its stage that no program would end by itself."""
    theatre.write("ignores-sigterm", evaluates=False, grace=60, more=more)
    process = theatre.lab.popen("ticket", "rehearse", "1")
    begun = "2*/terminated/attempt-1/proc.json"
    wait_for(lambda: list(theatre.folder.glob(begun)), what=begun)
    return process


def test_a_rehearsal_is_alone_and_ends_with_ctrl_c(theatre):
    """Another one and a start are refused meanwhile; Ctrl-C ends it, and nothing is left."""
    process = endless(theatre)
    for words in (("rehearse", "1", "--force"), ("start", "1")):
        other = theatre.lab.exp("ticket", *words)
        assert other.returncode == 6, other.stderr
        assert "T-0001 is being rehearsed" in other.stderr
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert theatre.lab.processes() == []
    assert not (theatre.folder / "rehearsal.json").exists()
    assert list(theatre.folder.glob("2*/control"))
    assert not list(theatre.folder.glob("2*/*/checkpoints"))


@pytest.mark.usefixtures("driver")
def test_a_killed_rehearsal_leaves_nothing_and_the_next_one_works(theatre):
    """After kill -9 of exp its programs end soon, and with them the lease of its GPU."""
    process = endless(theatre, one_gpu := "[resources]\ngpus = 1\n")
    assert Leases().take("GPU-000") is None
    assert "the rehearsal of T-0001" in Leases().holder("GPU-000")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    wait_for(lambda: not theatre.lab.processes(), what="the end of all programs")
    theatre.write(evaluates=False, more=one_gpu)
    done = theatre.lab.exp("ticket", "rehearse", "1")
    assert done.returncode == 0, done.stderr
    log = next(iter(theatre.folder.glob("2*/terminated/attempt-1/out.log"))).read_text()
    assert "CUDA_VISIBLE_DEVICES=GPU-000" in log


@pytest.mark.usefixtures("driver")
def test_gpus_that_are_in_use_are_not_rehearsed_with(theatre):
    """It says who has them, and nothing is begun."""
    theatre.write(more="[resources]\ngpus = 2\n")
    done = theatre.lab.exp("ticket", "rehearse", "1")
    assert done.returncode == 6
    assert "GPU 1 is in use" in done.stderr
    assert not list(theatre.folder.glob("2*"))


def test_a_ticket_with_a_live_run_is_not_rehearsed(theatre):
    """Beside the run of the ticket it would measure both."""
    theatre.write(evaluates=False, steps=100_000)
    lab = theatre.lab
    assert lab.exp("ticket", "start", "1").returncode == 0
    refused = lab.exp("ticket", "rehearse", "1")
    assert refused.returncode == 6
    assert "R-000001" in refused.stderr
    lab.exp("run", "stop", "1")
