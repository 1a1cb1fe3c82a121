"""Numbers of out-of-memory messages, whoever wrote them."""

import pytest
from attempts import logs
from diagnose import oom

from orchestrator.diagnose.causes import shortage

GIB = 1 << 30


@pytest.mark.parametrize(
    ("text", "tried", "free", "unallocated"),
    [
        (logs.OOM_NOW, 3.18, 1.53, 3.14),
        (logs.OOM_OLD, 3.18, 1.53, 3.14),
        (oom.CACHED, 2.0, 28.31 / 1024, 25.96 / 1024),
        (oom.LIMITED, 2.0, 1.0, 1.0),  # 70 GiB are free, of which this process may take one
        (oom.ASYNC, 0.625, 7.12 / 1024, None),
        (oom.MPS, 1.0, 0.5, None),
        (oom.XPU, 59.61, 12.01, 0.5),
        (oom.EXACT, 580911104 / GIB, 191430656 / GIB, None),
        (oom.JAX, 3.5, None, None),
    ],
)
def test_messages_of_all_backends_are_read(text, tried, free, unallocated):
    """Numbers of PyTorch 1.0 to 2.13 on CUDA, ROCm, XPU, MPS and cudaMallocAsync."""
    asked = shortage(text)
    values = (asked.tried, asked.free, asked.unallocated)
    told = tuple(None if value is None else value / GIB for value in values)
    assert told == pytest.approx((tried, free, unallocated), abs=1e-6)


@pytest.mark.parametrize(
    ("text", "short"), [(logs.SEED_VALIDATION, 0.22), (logs.OOM_NOW, 0.0), (oom.JAX, None)]
)
def test_what_is_missing_counts_what_is_reserved(text, short):
    """The seed's validation missed fitting by 0.22 GiB; its training had the memory, in pieces."""
    missing = shortage(text).short
    assert (missing if missing is None else round(missing / GIB, 2)) == short
