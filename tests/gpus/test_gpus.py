"""Readings of GPUs through the real binding and a scripted libnvidia-ml.so.1."""

import pytest
from conftest import wait_for
from nvml_stub import GIB, LOST, gpu

FIELDS = {
    "memory_used": "used",
    "utilization": "util",
    "power": "power",
    "power_limit": "limit",
    "temperature": "temp",
    "clock_sm": "sm",
    "clock_memory": "mem",
    "throttle": "reasons",
    "ecc_uncorrected": "ecc",
    "recovery": "recovery",
    "processes": "compute",
}


def test_everything_that_the_driver_says_arrives(probe):
    """A reading holds each field in its unit, for every GPU, with the driver's version."""
    seen = probe()
    seen.stub.write(
        gpu(0, used=7 * GIB, reasons=0x48, ecc=3, recovery=1, compute="12:4096 13:?"),
        gpu(1, graphics="14:8192 15:1", compute="14:8192"),
    )
    reading = seen.read()
    assert (reading["driver"], reading["problem"]) == ("570.86.15", None)
    assert reading["gpus"][0] == {
        "uuid": "GPU-000",
        "index": 0,
        "name": "NVIDIA H200",
        "parent": None,
        "memory_total": 140 * GIB,
        "memory_used": 7 * GIB,
        "utilization": 0.5,
        "power": 350.0,
        "power_limit": 700.0,
        "temperature": 45.0,
        "clock_sm": 1980,
        "clock_memory": 3201,
        "throttle": ["hw_slowdown", "hw_thermal"],
        "ecc_uncorrected": 3,
        "recovery": "reset the GPU",
        "processes": [{"pid": 12, "memory": 4096}, {"pid": 13, "memory": None}],
        "problem": None,
    }
    assert reading["gpus"][1]["processes"] == [
        {"pid": 14, "memory": 8192},
        {"pid": 15, "memory": 1},
    ]


@pytest.mark.parametrize(("field", "key"), FIELDS.items())
def test_a_field_that_is_not_supported_is_unknown(probe, field, key):
    """What a GPU does not support is None, never 0, and hides nothing else."""
    seen = probe()
    lacking = {"total": None} if key == "used" else {key: None}
    seen.stub.write(gpu(0, **lacking))
    read = seen.gpus()["GPU-000"]
    assert read[field] is None
    assert read["problem"] is None
    others = {name: value for name, value in read.items() if name in FIELDS and name != field}
    assert None not in others.values()


def test_an_old_driver_is_asked_in_its_own_way(probe):
    """Functions that only newer drivers have are replaced by their forerunners."""
    seen = probe(old_driver=True)
    seen.stub.write(gpu(0, compute="12:4096", reasons=4))
    read = seen.gpus()["GPU-000"]
    # The old call counts what the driver keeps for itself.
    assert read["memory_used"] == 3 * GIB
    assert read["processes"] == [{"pid": 12, "memory": 4096}]
    assert (read["throttle"], read["temperature"]) == (["power_cap"], 45)


def test_a_lost_gpu_keeps_its_entry_and_hides_no_other(probe):
    """A GPU that falls off the bus is still listed, by its UUID and with the reason."""
    seen = probe()
    seen.stub.write(gpu(0), gpu(1))
    assert {g["problem"] for g in seen.gpus().values()} == {None}
    seen.stub.write(gpu(0, used=5 * GIB), gpu(1), gpu1__status=LOST)
    gpus = seen.gpus()
    assert gpus["GPU-111"]["problem"] == "GPU is lost"
    assert (gpus["GPU-111"]["name"], gpus["GPU-111"]["memory_used"]) == ("NVIDIA H200", None)
    assert (gpus["GPU-000"]["memory_used"], gpus["GPU-000"]["problem"]) == (5 * GIB, None)


def test_a_gpu_that_gives_no_handle_is_known_by_its_past(probe):
    """Where not even the UUID can be asked any more, earlier readings tell it."""
    seen = probe()
    seen.stub.write(gpu(0), gpu(1))
    seen.read()
    seen.stub.write(gpu(0), gpu(1), gpu0__handle=999)
    gpus = seen.gpus()
    assert list(gpus) == ["GPU-000", "GPU-111"]
    assert gpus["GPU-000"]["problem"] == "Unknown Error"
    assert gpus["GPU-111"]["problem"] is None


def test_a_gpu_that_never_said_who_it_is_is_told_of(probe):
    """Without a UUID there is no entry, but the reading says that something is wrong."""
    seen = probe()
    seen.stub.write(gpu(0), gpu(1), gpu1__handle=LOST)
    reading = seen.read()
    assert [g["uuid"] for g in reading["gpus"]] == ["GPU-000"]
    assert reading["problem"] == "GPU 1: GPU is lost"


def test_a_gpu_that_cannot_count_its_memory_is_broken(probe):
    """An unknown error where memory is asked for concerns the GPU, not only the field."""
    seen = probe()
    seen.stub.write(gpu(0), fail__nvmlDeviceGetMemoryInfo_v2=999)
    assert seen.gpus()["GPU-000"]["problem"] == "Unknown Error"
    seen.stub.write(gpu(0), fail__nvmlDeviceGetPowerUsage=999)
    read = seen.gpus()["GPU-000"]
    assert (read["problem"], read["power"], read["memory_used"]) == (None, None, 2 * GIB)


def test_a_gpu_that_was_reset_comes_back(probe):
    """NVML is initialised anew while a GPU is missing, for only then does it return."""
    seen = probe()
    seen.stub.write(gpu(0), gpu(1))
    seen.read()
    seen.stub.write(gpu(0), gpu(1), gpu1__status=LOST)
    assert seen.gpus()["GPU-111"]["problem"]
    seen.stub.write(gpu(0), gpu(1))
    assert seen.gpus()["GPU-111"]["problem"], "it stays lost within an initialisation"
    wait_for(lambda: seen.gpus()["GPU-111"]["problem"] is None)
    assert seen.stub.inits() == 2


def test_a_gpu_that_is_no_longer_listed_is_missed(probe):
    """After a new initialisation without it, a GPU that was there once is still told of."""
    seen = probe()
    seen.stub.write(gpu(0), gpu(1))
    seen.read()
    seen.stub.write(gpu(0), generation=2)
    gpus = seen.gpus()
    assert gpus["GPU-111"]["problem"] == "NVML no longer lists it"
    assert gpus["GPU-000"]["problem"] is None


def test_a_driver_that_was_loaded_anew_is_no_failure(probe):
    """A session that the driver ended is replaced within the same reading."""
    seen = probe()
    seen.stub.write(gpu(0))
    seen.read()
    seen.stub.write(gpu(0), generation=2)
    assert seen.gpus()["GPU-000"]["problem"] is None
    assert seen.stub.inits() == 2


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (18, "different versions"),
        (9, "the NVIDIA driver is not loaded"),
        (4, "no permission"),
        (999, "Unknown Error"),
        (1000, "An error of the stub"),
    ],
)
def test_without_a_working_driver_the_reason_is_told(probe, code, words):
    """Where nobody can tell, there is no list of GPUs, not an empty one; and it may recover."""
    seen = probe()
    seen.stub.write(fail__nvmlInitWithFlags=code)
    reading = seen.read()
    assert reading["gpus"] is None
    assert words in reading["problem"]
    seen.stub.write(gpu(0))
    assert seen.read()["gpus"][0]["uuid"] == "GPU-000"


def test_without_a_library_the_reason_is_told(probe):
    """A machine without libnvidia-ml.so.1 gives unknown, in plain words."""
    reading = probe(env={}).read()
    if reading["gpus"] is not None:
        pytest.skip("this machine has a driver")
    assert reading["problem"].startswith("no NVIDIA driver here")


def test_no_gpus_are_not_unknown_gpus(probe):
    """A driver without a GPU gives an empty list."""
    seen = probe()
    seen.stub.write()
    reading = seen.read()
    assert (reading["gpus"], reading["problem"]) == ([], None)


def test_mig_instances_are_listed_behind_their_whole(probe):
    """Each MIG instance has its UUID, memory and processes, and names its whole."""
    seen = probe()
    instances = {
        "gpu0.mig0.uuid": "MIG-aaa",
        "gpu0.mig0.name": "NVIDIA H200 MIG 1g.18gb",
        "gpu0.mig0.total": 18 * GIB,
        "gpu0.mig0.used": GIB,
        "gpu0.mig0.compute": "12:4096",
        "gpu0.mig3.uuid": "MIG-ddd",
    }
    seen.stub.write(gpu(0, mig=1, util=None), instances, gpu(1, mig=0))
    gpus = seen.gpus()
    assert list(gpus) == ["GPU-000", "MIG-aaa", "MIG-ddd", "GPU-111"]
    first = gpus["MIG-aaa"]
    assert (first["parent"], first["memory_used"], first["memory_total"]) == (
        "GPU-000",
        GIB,
        18 * GIB,
    )
    assert first["processes"] == [{"pid": 12, "memory": 4096}]
    assert gpus["MIG-ddd"]["memory_total"] is None
    seen.stub.write(gpu(0, mig=1), instances, gpu(1), gpu0__status=LOST)
    assert {g["problem"] for g in seen.gpus().values()} == {None, "GPU is lost"}
    seen.stub.write(gpu(0, mig=0), gpu(1), generation=2)
    assert list(seen.gpus()) == ["GPU-000", "GPU-111"], "an instance may be destroyed"


def test_a_hanging_driver_blocks_nobody(probe):
    """A call that hangs makes readings unknown at once, by one thread; later they go on."""
    seen = probe(deadline=0.5)
    seen.stub.write(gpu(0))
    wait_for(lambda: seen.read()["gpus"])  # the first reading loads the binding
    seen.stub.write(gpu(0), hang__nvmlDeviceGetUtilizationRates=1)
    for _ in range(20):
        reading = seen.read()
        assert reading["gpus"] is None
        assert reading["problem"].startswith("NVML has not answered for")
        assert reading["threads"] == 2
    seen.stub.write(gpu(0, used=9 * GIB))
    reading = wait_for(lambda: (r := seen.read())["gpus"] and r)
    assert reading["gpus"][0]["memory_used"] == 9 * GIB, "not the answer that came too late"


def test_a_process_ends_while_a_call_hangs(probe):
    """The hanging thread keeps nobody from leaving."""
    seen = probe(deadline=0.2)
    seen.stub.write(gpu(0), hang__nvmlInitWithFlags=1)
    assert seen.read()["gpus"] is None
    seen.process.stdin.close()
    assert seen.process.wait(timeout=60) == 0
