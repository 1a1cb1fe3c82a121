"""Runs that wait for their turn, with real processes."""

import json

import pytest
from conftest import PATIENT, wait_for


def state(lab, number):
    """A run as `exp run show` tells it."""
    return json.loads(lab.exp("run", "show", str(number), "--json").stdout)


def begun(lab, number, attempt=1):
    """Whether the programs of a run were started."""
    return (lab.run(number) / f"attempt-{attempt}" / "proc.json").exists()


@pytest.fixture
def slot(lab):
    """A workspace with one CPU slot, and a ticket whose training lasts until told."""
    lab.write("exp.toml", "[queue]\ncpus = 1\n")
    lab.experiment(PATIENT)
    for number in (1, 2, 3):
        lab.ticket(number)
    lab.commit()
    return lab


def test_runs_on_one_slot_take_turns(slot):
    """Of three runs on one slot the first starts at once, the others one after the other."""
    for number in (1, 2, 3):
        started = slot.exp("ticket", "start", str(number), "--no-git")
        assert started.returncode == 0, started.stderr
    assert state(slot, 1)["status"] == "running"
    wait_for(lambda: "R-000001" in state(slot, 2)["why"], what="the reason to wait")
    assert [state(slot, number)["status"] for number in (2, 3)] == ["queued", "queued"]
    slot.write("go", "")
    ends = [slot.published(number)["time"] for number in (1, 2, 3)]
    assert ends == sorted(ends)
    begins = [slot.json("attempt-1/exit.json", n)["started"] for n in (1, 2, 3)]
    ends = [slot.json("attempt-1/exit.json", n)["ended"] for n in (1, 2, 3)]
    assert ends[0] <= begins[1] <= ends[1] <= begins[2]
