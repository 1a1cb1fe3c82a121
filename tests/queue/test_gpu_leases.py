"""GPUs that workspaces of one machine share, through the real binding and a scripted driver."""

import getpass
import json
import os
import signal
import subprocess

import nvml_stub
import pytest
from conftest import PATIENT, Laboratory, wait_for
from nvml_stub import GIB, gpu

# Says which GPUs it was given, then trains until told to end.
NAMES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
SHOW = f"import os\nprint('given', *map(os.environ.get, {NAMES}))\n" + PATIENT


def spec(lab, gpus, *, path="e/a.toml", program=SHOW, more=""):
    """A spec that asks for GPUs, without torchrun."""
    lab.experiment(program, f"nproc = 1\n[resources]\ngpus = {gpus}\n{more}", path=path)


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A driver with two idle GPUs, seen by everything that the test starts."""
    stub = nvml_stub.stub(tmp_path)
    stub.write(gpu(0), gpu(1))
    nvml_stub.visible_to(stub, monkeypatch)
    return stub


@pytest.fixture
def two(lab, watched, tmp_path):
    """Two workspaces on one machine; each has tickets whose runs take one GPU."""
    other = Laboratory(tmp_path / "other")
    (other.root / "tickets").mkdir(parents=True)
    for each in (lab, other):
        spec(each, 1)
        for number in (1, 2, 3):
            each.ticket(number)
    yield lab, other
    for pid in other.processes():
        os.kill(pid, signal.SIGKILL)


def start(lab, number, *words, **options):
    """Start a ticket without git; it must succeed."""
    done = lab.exp("ticket", "start", str(number), "--no-git", *words, **options)
    assert done.returncode == 0, done.stderr
    return done.stderr


def run(lab, number=1):
    """A run as `exp run show` tells it."""
    return json.loads(lab.exp("run", "show", str(number), "--json").stdout)


def given(lab, number=1):
    """The GPUs of a run: as leased, and as its program saw them."""
    log = lab.run(number) / "attempt-1" / "out.log"
    line = wait_for(lambda: log.exists() and log.read_text().splitlines(), what=str(log))[0]
    return lab.json("attempt-1/lease.json", number)["gpus"], line


def test_two_workspaces_share_two_gpus(driver, two):
    """Each GPU goes to one run at a time, whoever asks; the next run gets what is freed."""
    one, other = two
    start(one, 1)
    start(other, 1)
    assert given(one) == (["GPU-000"], "given GPU-000 PCI_BUS_ID")
    assert given(other) == (["GPU-111"], "given GPU-111 PCI_BUS_ID")
    told = start(one, 2)
    assert "queued R-000002" in told
    assert "waits for 1 GPU, 0 free" in told
    assert f"GPU 1 is leased by R-000001 of {getpass.getuser()} in {other.root}" in told
    other.write("go", "")
    other.published()
    wait_for(lambda: run(one, 2)["status"] == "running", what="the waiting run")
    assert given(one, 2) == (["GPU-111"], "given GPU-111 PCI_BUS_ID")


def test_a_lease_ends_with_its_shim(driver, two):
    """Kill -9 of a shim frees its GPU at once: the kernel does it, nobody has to clean up."""
    one, other = two
    spec(one, 2)
    start(one, 1)
    assert given(one)[0] == ["GPU-000", "GPU-111"]
    assert "2 free" not in start(other, 1)
    assert run(other)["status"] == "queued"
    os.kill(one.json("attempt-1/proc.json")["pid"], signal.SIGKILL)
    wait_for(lambda: run(other)["status"] == "running", what="the waiting run")


def test_what_somebody_uses_without_a_lease_is_busy(driver, two):
    """A process of nobody's run, or memory in use, is named; when it is gone the run starts."""
    lab, _ = two
    with subprocess.Popen(["sleep", "600"]) as stranger:
        driver.write(gpu(0, compute=f"{stranger.pid}:4096"), gpu(1, used=70 * GIB))
        told = start(lab, 1)
        assert f"GPU 0 is in use by pid {stranger.pid} (" in told
        assert "GPU 1 is in use by somebody: 50% of its memory" in told
        stranger.kill()
    driver.write(gpu(0), gpu(1, used=70 * GIB))
    wait_for(lambda: run(lab)["status"] == "running", what="the waiting run")
    assert given(lab)[0] == ["GPU-000"]


def test_the_shell_that_starts_a_run_limits_its_gpus(driver, two):
    """CUDA_VISIBLE_DEVICES of the launching shell counts, also when a watcher starts the run."""
    lab, _ = two
    one = {**os.environ, "CUDA_VISIBLE_DEVICES": "1"}
    start(lab, 1, env=one)
    assert given(lab) == (["GPU-111"], "given GPU-111 PCI_BUS_ID")
    assert "GPU 0" not in start(lab, 2, env=one)
    start(lab, 3)
    assert given(lab, 3)[0] == ["GPU-000"]
    lab.write("go", "")
    lab.published(2)
    assert given(lab, 2)[0] == ["GPU-111"]


def test_more_than_there_is_is_refused(driver, two):
    """A run that could never start is refused with what the machine, or the shell, has."""
    lab, _ = two
    spec(lab, 3)
    done = lab.exp("ticket", "start", "1", "--no-git")
    assert done.returncode == 7
    assert "resources.gpus = 3, but this machine has 2" in done.stderr
    spec(lab, 2)
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = lab.exp("ticket", "start", "1", "--no-git", env=hidden)
    assert "CUDA_VISIBLE_DEVICES leaves 0" in done.stderr
    assert not lab.run().joinpath("run.json").exists()


def test_instances_of_a_divided_gpu_are_given_one_by_one(driver, two):
    """Two runs of one GPU each share a divided GPU by its MIG instances."""
    lab, _ = two
    parts = {f"gpu0.mig{n}.{k}": v for n in (0, 1) for k, v in (("uuid", f"MIG-{n}"),)}
    sizes = {f"gpu0.mig{n}.{k}": v for n in (0, 1) for k, v in (("total", 9 * GIB), ("used", 0))}
    driver.write(gpu(0, mig=1), parts, sizes)
    start(lab, 1)
    start(lab, 2)
    assert [given(lab, number)[0] for number in (1, 2)] == [["MIG-0"], ["MIG-1"]]


def test_without_a_driver_runs_start_without_a_lease(two):
    """Where no GPU can be seen and none was ever leased, a run starts, and says what is missing."""
    lab, _ = two
    told = start(lab, 1)
    assert "started without a lease of its GPUs: no NVIDIA driver here" in told
    assert given(lab) == (None, "given None None")


def test_a_driver_that_stops_answering_keeps_runs_waiting(driver, two):
    """Where GPUs were leased before, one that cannot be seen now is not given away blindly."""
    lab, _ = two
    start(lab, 1)
    driver.write(fail__nvmlInitWithFlags=18)
    told = start(lab, 2)
    assert "GPUs cannot be leased now" in told
    assert "different versions" in run(lab, 2)["why"]
    assert run(lab, 2)["status"] == "queued"


def test_a_run_without_gpus_sees_what_its_shell_sees(driver, two):
    """A run that asks for none has the variables of CUDA as they were, and holds nothing."""
    lab, _ = two
    spec(lab, 0)
    start(lab, 1, env={**os.environ, "CUDA_VISIBLE_DEVICES": "1"})
    assert given(lab) == (None, "given 1 None")


@pytest.mark.usefixtures("driver")
def test_leases_that_cannot_be_used_hold_up_nobody_else(lab, tmp_path, monkeypatch):
    """Who wants a GPU waits and is told why; a run without one starts."""
    broken = tmp_path / "no folder"
    broken.write_text("")
    monkeypatch.setenv("EXP_LEASES", str(broken))
    spec(lab, 1)
    lab.experiment("print('here')", path="e/b.toml")
    lab.ticket(1)
    lab.ticket(2, experiment="e/b.toml")
    start(lab, 1)
    waits = run(lab)
    assert waits["status"] == "queued"
    assert f"cannot use {broken}" in waits["why"]
    start(lab, 2)
    lab.published(2)
    assert lab.json("attempt-1/exit.json", 2)["code"] == 0
    assert lab.exp("run", "stop", "1").returncode == 0


def test_a_gpu_budget_ends_the_run_that_used_it_up(driver, two):
    """Both GPUs of the lease count; the program is told to stop, and the GPUs are free again."""
    lab, other = two
    spec(lab, 2, more="[budget]\ngpu_hours = 0.0015\n")
    start(lab, 1)
    start(other, 1)
    lab.published()
    ended = lab.json("attempt-1/exit.json")
    assert "GPU budget of 0.0015 GPU-hours is used up" in lab.json("attempt-1/stop.json")["why"]
    assert run(lab)["outcome"] == "stopped"
    assert 2 * (ended["ended"] - ended["started"]) > 0.0015 * 3600
    wait_for(lambda: run(other)["status"] == "running", what="the waiting run")
