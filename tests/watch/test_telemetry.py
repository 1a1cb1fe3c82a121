"""Samples of the hardware beside a real run, under a real watcher and a scripted driver."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import nvml_stub
import pytest
from conftest import PATIENT, wait_for
from nvml_stub import GIB, LOST, gpu

SILENT = """
import time
from pathlib import Path
from orchestrator import track
run = track.init()
while not Path("go").exists():
    time.sleep(0.02)
run.log({"train/loss": 0.25}, step=7)
run.finish()
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with two GPUs, and samples five times a second."""
    made = nvml_stub.stub(tmp_path)
    made.write(gpu(0), gpu(1))
    nvml_stub.visible_to(made, monkeypatch)
    return made


@pytest.fixture
def started(lab, machine):
    """A function that starts a run of a program."""

    def start(program=PATIENT, criteria="- [ ] train/loss < 0.5", more="", interval=0.2):
        lab.write("exp.toml", f"[telemetry]\ninterval = {interval}\n")
        lab.experiment(program, more)
        lab.ticket(criteria=criteria)
        lab.commit()
        done = lab.exp("ticket", "start", "T-0001")
        assert done.returncode == 0, done.stderr

    return start


def lines(lab, number=1, attempt=1):
    """Whole lines of telemetry.jsonl so far."""
    path = lab.run(number) / f"attempt-{attempt}" / "telemetry.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def values(lab, name):
    """Samples of a series so far."""
    return [line["metrics"][name] for line in lines(lab) if name in line.get("metrics", {})]


def events(lab, name):
    """Data of the events of a name so far."""
    return [line["data"] for line in lines(lab) if line.get("event") == name]


def finish(lab):
    """Let the program end, and wait until that is written down."""
    lab.write("go", "")
    lab.published()


def index(lab):
    """What the index says of the run: latest values and state."""
    return json.loads(lab.exp("run", "show", "R-000001", "--json").stdout)


def test_a_live_run_is_sampled(lab, machine, started):
    """GPUs, machine and process tree are sampled with the newest step, in SI units."""
    started()
    wait_for(lambda: len(values(lab, "system/tree_cpu")) > 3)
    machine.write(gpu(0, used=9 * GIB, reasons=0x40), gpu(1, util=None, compute="12:4096"))
    wait_for(lambda: 9 * GIB in values(lab, "system/gpu.0.memory_used"))
    finish(lab)
    points = [line for line in lines(lab) if "metrics" in line]
    last = points[-1]["metrics"]
    assert {name: last[name] for name in last if name.startswith("system/gpu.0.")} == {
        "system/gpu.0.memory_used": 9 * GIB,
        "system/gpu.0.utilization": 0.5,
        "system/gpu.0.power": 350.0,
        "system/gpu.0.temperature": 45.0,
        "system/gpu.0.clock_sm": 1.98e9,
        "system/gpu.0.clock_memory": 3.201e9,
        "system/gpu.0.ecc_uncorrected": 0,
        "system/gpu.0.throttled": 1.0,
    }
    assert "system/gpu.1.utilization" not in last, "what is not known is left out"
    assert 0 <= last["system/cpu"] <= 1
    assert last["system/memory_used"] > last["system/tree_memory"] > 1 << 20
    assert last["system/tree_processes"] >= 2, "the shim and the program"
    assert last["system/disk_free"] > 0
    steps = [line["step"] for line in points]
    assert steps == sorted(steps)
    assert steps[-1] > 0
    assert [(e["ordinal"], e["uuid"], e["name"]) for e in events(lab, "gpu")] == [
        (0, "GPU-000", "NVIDIA H200"),
        (1, "GPU-111", "NVIDIA H200"),
    ]
    assert events(lab, "gpu")[0]["memory_total"] == 140 * GIB
    assert events(lab, "gpu")[0]["driver"] == "570.86.15"
    assert [e["reason"] for e in events(lab, "gpu_throttled")] == ["hw_thermal"]


def test_samples_are_in_the_index_and_in_a_rebuilt_one(lab, started):
    """A rebuild from the files gives the same samples as ingesting them while they came."""
    started()
    wait_for(lambda: len(values(lab, "system/gpu.1.power")) > 3)
    finish(lab)
    before = index(lab)
    assert before["latest"]["system/gpu.1.power"][1] == 350.0
    wait_for(lambda: not lab.processes(), what="the watcher's end")
    assert lab.exp("db", "rebuild").returncode == 0
    assert index(lab) == before


def test_a_criterion_may_be_about_a_sample(lab, machine, started):
    """`GPU memory` means what was sampled, in the bound's unit, over every sample of a step."""
    machine.write(gpu(0, used=20 * GIB))
    started(
        SILENT,
        "- [ ] Peak GPU memory < 14 GiB\n- [ ] GPU utilization >= 50%\n"
        "- [ ] `system/gpu.0.memory_used` < 40 GiB at all times",
    )
    wait_for(lambda: 20 * GIB in values(lab, "system/gpu.0.memory_used"))
    machine.write(gpu(0, used=7 * GIB))
    wait_for(lambda: 7 * GIB in values(lab, "system/gpu.0.memory_used"))
    finish(lab)
    verdicts = [row["verdict"] for row in index(lab)["criteria"]]
    assert [v["state"] for v in verdicts] == ["failed", "met", "met"]
    assert (verdicts[0]["value"], verdicts[0]["margin"]) == (20, -6)
    assert "telemetry.jsonl" in verdicts[0]["evidence"]["source"]


def test_samples_are_no_progress_of_the_run(lab, started):
    """A run that logs nothing has no step and is idle, however often it is sampled."""
    started(SILENT, more="[budget]\nidle = 4\n")
    wait_for(lambda: values(lab, "system/cpu"))
    assert index(lab)["step"] is None
    lab.published()
    assert index(lab)["outcome"] == "stopped"
    assert "idle" in lab.json("attempt-1/stop.json")["why"]


def test_no_sample_is_a_metric_of_the_run(lab, started):
    """`no NaN` and the report are about what the program logged."""
    started(criteria="- [ ] No NaN in any metric")
    wait_for(lambda: len(values(lab, "system/gpu.0.power")) > 3)
    finish(lab)
    folder = lab.root / "experiments/e/reports/T-0001"
    page = (folder / "report.md").read_text()
    assert "train/loss" in page
    assert "system/" not in page
    assert "system/" not in lab.exp("run", "show", "R-000001").stdout


def test_a_gpu_that_is_lost_is_told_of(lab, machine, started):
    """Loss and recovery are events, once each; meanwhile nothing of that GPU is made up."""
    started()
    wait_for(lambda: values(lab, "system/gpu.1.power"))
    machine.write(gpu(0), gpu(1), gpu1__status=LOST)
    wait_for(lambda: events(lab, "gpu_lost"))
    many = len(lines(lab)) + 5
    wait_for(lambda: len(lines(lab)) > many)
    machine.write(gpu(0), gpu(1))
    wait_for(lambda: events(lab, "gpu_recovered"))
    finish(lab)
    assert events(lab, "gpu_lost") == [
        {"ordinal": 1, "uuid": "GPU-111", "why": "GPU is lost"},
    ]
    assert events(lab, "gpu_recovered") == [{"ordinal": 1, "uuid": "GPU-111"}]
    assert len(events(lab, "gpu")) == 2
    whole = lines(lab)
    names = [line.get("event") for line in whole]
    between = whole[names.index("gpu_lost") : names.index("gpu_recovered")]
    sampled = [line["metrics"] for line in between if "metrics" in line]
    assert sampled
    assert all("system/gpu.1.power" not in metrics for metrics in sampled)
    assert all("system/gpu.0.power" in metrics for metrics in sampled)
    report = (lab.root / "experiments/e/reports/T-0001/report.md").read_text()
    assert "GPU 1 lost: GPU is lost" in report
    assert "GPU 1 recovered" in report


def test_a_driver_that_hangs_hurts_nobody(lab, machine, started):
    """While NVML hangs the run is watched as ever, and its end is written down."""
    started(criteria="- [ ] train/loss < 0.5")
    wait_for(lambda: values(lab, "system/gpu.0.power"))
    machine.write(gpu(0), gpu(1), hang__nvmlDeviceGetPowerUsage=1)
    finish(lab)
    assert index(lab)["outcome"] == "completed"
    assert "[x] train/loss < 0.5" in lab.text()


def test_without_a_driver_the_machine_is_sampled(lab, machine, started):
    """No GPU hides nothing: host and process tree are known, and no event tells of GPUs."""
    machine.write(fail__nvmlInitWithFlags=9)
    started()
    wait_for(lambda: len(values(lab, "system/tree_memory")) > 2)
    finish(lab)
    assert [line["event"] for line in lines(lab) if "event" in line] == ["host"]
    assert not [name for name in lines(lab)[-1]["metrics"] if "gpu" in name]


def test_ordinals_are_places_in_the_lease(lab, machine, started):
    """Of a run that was given GPUs, those are sampled, numbered in the order of its lease."""
    machine.write(gpu(0), gpu(1), gpu(2, used=5 * GIB))
    started()
    # What the queue writes before an attempt begins: here before its first sample is taken.
    lease = {"time": 1.0, "gpus": ["GPU-222", "GPU-000"], "cpus": 0}
    path = lab.run() / "attempt-1" / "lease.json"
    path.write_text(json.dumps(lease))
    wait_for(lambda: values(lab, "system/cpu"))
    (lab.run() / "attempt-1" / "telemetry.jsonl").unlink()
    restart_watcher(lab)
    wait_for(lambda: values(lab, "system/gpu.1.power"))
    finish(lab)
    assert [(e["ordinal"], e["uuid"]) for e in events(lab, "gpu")] == [
        (0, "GPU-222"),
        (1, "GPU-000"),
    ]
    assert values(lab, "system/gpu.0.memory_used")[-1] == 5 * GIB
    assert not values(lab, "system/gpu.2.power")


def watcher_pid(lab):
    """The process that holds the watcher's lock, if any."""
    word = f"orchestrator.watch\0{lab.root}".encode()
    for pid in lab.processes():
        with suppress(OSError):
            if word in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    return None


def restart_watcher(lab):
    """Kill the watcher as hard as can be, and have a command start another."""
    os.kill(wait_for(lambda: watcher_pid(lab)), signal.SIGKILL)
    wait_for(lambda: watcher_pid(lab) is None)
    assert lab.exp("status").returncode == 0


def test_a_watcher_that_was_killed_within_a_line_is_followed_by_whole_ones(lab, machine, started):
    """The next watcher goes on behind a torn line, and tells nothing twice."""
    started()
    wait_for(lambda: values(lab, "system/gpu.0.power"))
    os.kill(wait_for(lambda: watcher_pid(lab)), signal.SIGKILL)
    wait_for(lambda: watcher_pid(lab) is None)
    path = lab.run() / "attempt-1" / "telemetry.jsonl"
    with path.open("a") as file:
        file.write('{"step": 3, "time": 1.0, "metr')
    torn = path.stat().st_size
    assert lab.exp("status").returncode == 0
    wait_for(lambda: path.stat().st_size > torn + 1000)
    finish(lab)
    broken = []
    for line in path.read_text().splitlines():
        try:
            json.loads(line)
        except ValueError:
            broken.append(line)
    assert broken == ['{"step": 3, "time": 1.0, "metr']
    whole = [json.loads(line) for line in path.read_text().splitlines() if line not in broken]
    assert [line["data"]["ordinal"] for line in whole if line.get("event") == "gpu"] == [0, 1]


def test_sampling_can_be_switched_off(lab, started):
    """An interval of 0 takes no samples."""
    started(interval=0)
    wait_for(lambda: (index(lab)["step"] or 0) > 5)
    finish(lab)
    assert not (lab.run() / "attempt-1" / "telemetry.jsonl").exists()
