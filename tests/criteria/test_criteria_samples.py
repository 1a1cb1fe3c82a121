"""Criteria about samples of the hardware, and criteria that are not."""

import pytest

from orchestrator.criteria.judging.binding import bind, target_of
from orchestrator.criteria.predicates.expression import Name
from orchestrator.domain.hardware import is_sampled, sampled_unit

MEMORY, OTHER = "system/gpu.0.memory_used", "system/gpu.1.memory_used"
LOAD = "system/gpu.0.utilization"
HOST = ["system/memory_used", "system/cpu", "system/tree_memory", "system/disk_free"]


@pytest.mark.parametrize(
    ("phrase", "names", "series"),
    [
        ("GPU memory", [MEMORY, LOAD, *HOST], MEMORY),
        ("GPU memory usage", [MEMORY, LOAD, *HOST], MEMORY),
        ("VRAM", [MEMORY, LOAD, *HOST], MEMORY),
        ("GPU utilization", [MEMORY, LOAD, *HOST], LOAD),
        ("GPU util", [MEMORY, LOAD, *HOST], LOAD),
        ("GPU memory", [MEMORY, OTHER], None),
        ("GPU 1 memory", [MEMORY, OTHER], OTHER),
        ("GPU 2 memory", [MEMORY, OTHER], None),
        ("GPU memory", [MEMORY, "gpu_memory"], "gpu_memory"),
        ("GPU memory", [MEMORY, "perf/gpu_memory"], "perf/gpu_memory"),
        ("memory", [MEMORY, *HOST], None),
        ("memory used", [MEMORY, *HOST], None),
        ("cpu", HOST, None),
        ("disk free", HOST, None),
        ("Eval GPU memory", [MEMORY], None),
        ("system/tree_memory", HOST, "system/tree_memory"),
        ("used", ["system/gpu.0.used"], None),
    ],
)
def test_words_mean_a_sample_only_where_nothing_else_is_meant(phrase, names, series):
    """A GPU is meant by its words if the run logs nothing that fits; the host only by its key."""
    assert bind(target_of(Name(text=phrase), {}), names).series == series


@pytest.mark.parametrize(
    ("predicate", "state", "margin"),
    [
        (f"{MEMORY} < 14 GiB all", "met", 4.0),
        (f"{MEMORY} < 9 GiB all", "failed", -1.0),
        (f"{MEMORY} < 10.8 GB", "met", 10.8 - 10.73741824),
        (f"{MEMORY} > 10_000 MiB", "met", 240.0),
        (f"{LOAD} > 50%", "met", 0.25),
        (f"{LOAD} > 0.9", "failed", -0.15),
    ],
)
def test_bounds_are_converted_to_the_unit_of_the_sample(point, judged, predicate, state, margin):
    """Bytes are compared in the bound's unit, without a declaration; shares with percent."""
    records = [point(MEMORY, 5, 10 << 30, 1), point(LOAD, 5, 0.75, 2)]
    verdict = judged(predicate.replace("_000", "000"), records, ended=True)
    assert verdict.state == state
    assert verdict.margin == pytest.approx(margin)


def test_a_unit_that_does_not_fit_is_asked_about(point, judged):
    """Bytes are no seconds, and no share."""
    records = [point(MEMORY, 5, 10 << 30)]
    assert judged(f"{MEMORY} < 14 s", records, ended=True).state == "manual"
    assert judged(f"{MEMORY} < 90%", records, ended=True).state == "manual"


def test_globs_do_not_mean_samples_unless_they_name_them(point, judged):
    """`no nan` of a run that logged nothing finds nothing, however much was sampled."""
    records = [point(MEMORY, 0, 1.0, 1), point(OTHER, 0, 2.0, 2)]
    assert judged("no nan", records, ended=True).state == "no_data"
    assert judged("each `*memory*` < 3 all", records, ended=True).state == "no_data"
    assert judged("each system/gpu.*.memory_used < 3 all", records, ended=True).state == "met"


def test_every_sample_of_a_step_counts(point, judged):
    """Samples of one step stand side by side: the lowest and the highest decide."""
    records = [
        point(MEMORY, 3, value, line, source="attempt-1/telemetry.jsonl")
        for line, value in enumerate([10.0, 90.0, 20.0], 1)
    ]
    assert judged(f"{MEMORY} < 50 all", records, ended=True).value == 90
    assert judged(f"max({MEMORY}) < 95", records, ended=True).value == 90


def test_units_belong_to_samples_alone():
    """A series that only looks like a sample has no unit of ours."""
    assert sampled_unit(MEMORY) == sampled_unit("system/tree_memory") == "B"
    assert sampled_unit(LOAD) == "share"
    assert sampled_unit("system/gpu.0.power") is None
    assert sampled_unit("train/memory_used") is None
    assert is_sampled(MEMORY)
    assert not is_sampled("my_system/cpu")
