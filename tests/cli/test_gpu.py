"""`exp gpu` under a scripted driver, and under none."""

import json
import subprocess

import nvml_stub
import psutil
import pytest
from conftest import PATIENT, wait_for
from nvml_stub import GIB, LOST, gpu


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with a scripted driver."""
    made = nvml_stub.stub(tmp_path)
    nvml_stub.visible_to(made, monkeypatch)
    return made


@pytest.fixture
def stranger():
    """A process that is no run's."""
    process = subprocess.Popen(["sleep", "600"])
    yield process.pid
    process.kill()
    process.wait()


def test_the_table_names_who_holds_what(lab, machine, stranger):
    """A process of a run stands under the run's id, any other under its user and command."""
    lab.experiment(PATIENT)
    lab.ticket()
    lab.commit()
    machine.write(gpu(0), gpu(1))
    assert lab.exp("ticket", "start", "T-0001").returncode == 0
    shim = lab.json("attempt-1/proc.json")["pid"]
    (child,) = wait_for(psutil.Process(shim).children, what="the program")
    machine.write(
        gpu(0, used=100 * GIB, util=97, compute=f"{child.pid}:{90 * GIB}"),
        gpu(1, used=20 * GIB, compute=f"{stranger}:{3 * GIB} 999999999:?"),
    )
    shown = lab.exp("gpu")
    assert shown.returncode == 0, shown.stderr
    first, second = (line for line in shown.stdout.splitlines() if "NVIDIA H200" in line)
    assert "100.0 / 140 GiB" in first
    assert "97%" in first
    assert f"R-000001 pid {child.pid} 90 GiB" in first
    assert f"sleep pid {stranger}" in second
    assert "999999999 (not visible from here)" in shown.stdout
    gpus = json.loads(lab.exp("gpu", "--json").stdout)["gpus"]
    holder = gpus[0]["holders"][0]
    assert (holder["run"], holder["folder"]) == ("R-000001", str(lab.run()))
    assert gpus[1]["holders"][0]["run"] is None
    lab.write("go", "")
    lab.published()


def test_a_lease_without_a_process_is_shown(lab, machine):
    """A GPU that was given to a live run is not free, though nothing runs on it yet."""
    machine.write(gpu(0), gpu(1))
    lab.experiment(PATIENT)
    lab.ticket()
    lab.commit()
    assert lab.exp("ticket", "start", "T-0001").returncode == 0
    lease = {"time": 1.0, "gpus": ["GPU-111"], "cpus": 0}
    (lab.run() / "attempt-1" / "lease.json").write_text(json.dumps(lease))
    first, second = (line for line in lab.exp("gpu").stdout.splitlines() if "NVIDIA H200" in line)
    assert "nobody" in first
    assert "R-000001 (lease)" in second
    lab.write("go", "")
    lab.published()


def test_trouble_stands_in_the_table(lab, machine):
    """What the driver asks for, ECC errors and slowdowns are said in words; the rest is dashes."""
    machine.write(
        gpu(0, recovery=1, ecc=2, reasons=0x44),
        gpu(1, util=None, power=None, temp=None, total=None, compute=None),
        gpu(2),
        gpu2__status=LOST,
    )
    shown = lab.exp("gpu")
    assert "✘ reset the GPU, 2 ECC errors, power cap, hw thermal" in shown.stdout
    second = next(line for line in shown.stdout.splitlines() if line.strip().startswith("1"))
    assert second.count("—") == 5
    assert "0%" not in second
    assert "GPU 2: GPU is lost" in shown.stderr


@pytest.mark.parametrize(("code", "words"), [(18, "different versions"), (9, "not loaded")])
def test_without_a_driver_one_line_says_why(lab, machine, code, words):
    """No driver is no error: one line on stdout, exit code 0, and null in JSON."""
    machine.write(fail__nvmlInitWithFlags=code)
    shown = lab.exp("gpu")
    assert shown.returncode == 0
    (line,) = shown.stdout.splitlines()
    assert line.startswith("GPUs unknown: ")
    assert words in line
    told = json.loads(lab.exp("gpu", "--json").stdout)
    assert told["gpus"] is None
    assert words in told["problem"]


def test_it_works_outside_of_a_workspace(machine, tmp_path):
    """GPUs belong to the machine."""
    from conftest import EXP

    machine.write(gpu(0))
    done = subprocess.run([EXP, "gpu"], cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "NVIDIA H200" in done.stdout
