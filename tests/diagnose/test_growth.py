"""Memory that grows until there is none left, told from memory that does not."""

import random

import pytest
from diagnose.cases import case, curve, event, record

from orchestrator.diagnose.case import Machine
from orchestrator.diagnose.rules import growth
from orchestrator.domain.hardware import HostReading

GIB = 1 << 30
MACHINE = Machine(host=HostReading(time=0.0, memory_total=64 * GIB))
GPU = event("gpu", {"ordinal": 0, "memory_total": 16 * GIB})
NOISE = random.Random(11)


def leak(n):
    return 8 + 0.1 * n + NOISE.gauss(0, 0.3)


def noisy(n):
    return 20 + NOISE.gauss(0, 2)


def settled(n):
    return 8 + 30 * (1 - 0.95**n)


def sawtooth(n):
    return 20 + n % 10


def shrinking(n):
    return 60 - 0.2 * n


def steps(n):
    return 8 + 2 * (n // 40)


def slow(n):
    return 8 + 0.001 * n


def series(name, shape, samples=100, attempt=1):
    """Samples a second and a step apart, in GiB."""
    values = [shape(n) * GIB for n in range(samples)]
    return curve(name, values, source=f"attempt-{attempt}/telemetry.jsonl")


def grown(*curves, planned=1000, events=(GPU,), machine=MACHINE, **fields):
    told = record(planned=planned)
    loss = curve("train/loss", [1.0] * 100)
    fields = {"started": 0.0, **fields}
    run = case(curves=[*curves, loss], record=told, events=events, machine=machine, **fields)
    return {finding.subject: finding for finding in growth.memory_trend(run)}


@pytest.mark.parametrize(
    "name", ["system/tree_memory", "system/memory_used", "system/gpu.0.memory_used"]
)
def test_a_leak_is_told_before_it_kills(name):
    """0.1 GiB a step, 900 steps to go: more than there is."""
    told = grown(series(name, leak))[name]
    assert "GiB/h" in told.arithmetic
    assert f"{name} grows by 3" in told.title  # some 360 GiB/h
    assert told.evidence[-1].line == 100


@pytest.mark.parametrize("shape", [noisy, settled, sawtooth, shrinking, steps, slow])
@pytest.mark.parametrize("name", ["system/tree_memory", "system/gpu.0.memory_used"])
def test_what_does_not_lead_to_the_end_is_no_trend(shape, name):
    """Noise, caches that fill up, the allocator's stairs, and a rise that is slow enough."""
    assert grown(series(name, shape)) == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"planned": None},  # nobody knows when it ends
        {"planned": 150},  # over before it is full
        {"ended": True},
        {"machine": Machine()},  # nobody knows how much there is
        {"attempt": 2, "started": 99.0},  # samples of an earlier attempt
    ],
)
def test_unknown_is_no_finding(fields):
    """Without a plan, a size or samples of this attempt nothing is claimed."""
    assert "system/tree_memory" in grown(series("system/tree_memory", leak))
    assert grown(series("system/tree_memory", leak), **fields) == {}


def test_fewer_than_thirty_samples_are_no_trend():
    """The same leak is told with 30 samples, and not with 29."""
    assert grown(series("system/tree_memory", leak, samples=29)) == {}
    assert grown(series("system/tree_memory", leak, samples=30))


def test_shared_pages_prove_nothing_alone():
    """The sum over processes counts only if the machine's own memory rises with it."""
    tree = series("system/tree_memory", leak)
    flat = series("system/memory_used", noisy)
    assert grown(tree, flat) == {}
    assert list(grown(tree, series("system/memory_used", leak))) == ["system/tree_memory"]


def test_what_others_take_is_told_as_theirs():
    """The machine fills up, and not by this run."""
    told = grown(series("system/tree_memory", noisy), series("system/memory_used", leak))
    assert "do not grow with it" in told["system/memory_used"].meaning
