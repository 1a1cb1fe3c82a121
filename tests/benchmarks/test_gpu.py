"""The script for a GPU runs from end to end without one, and says what it lacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu import table

ROOT = Path(__file__).resolve().parents[2]


def run(tmp_path, *arguments):
    variables = os.environ | {"PYTHONPATH": str(ROOT), "EXP_PUZZLE_CACHE": str(tmp_path / "cache")}
    variables["CUDA_VISIBLE_DEVICES"] = ""  # the same test where there is one
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *arguments],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(600)
def test_every_path_runs_on_a_processor(tmp_path):
    """Ways compiled and not, all networks, goals, learning curve, Markdown in a file."""
    done = run(tmp_path, "--cpu-smoke", "--out", str(tmp_path / "results.md"), "steps=10")
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "results.md").read_text()
    assert written.strip() == done.stdout.strip()
    for part in ("comparator, default", "ours, reduce-overhead", "ours, blocks", "HRM 9x9", "URM"):
        assert part in written
    assert "step 10 validation: exact=" in written
    assert "not measured" not in written


def test_without_a_gpu_it_says_so(tmp_path):
    """Exit code 2 and the command that runs without one."""
    done = run(tmp_path)
    assert done.returncode == 2
    assert "no CUDA device" in done.stderr
    assert "--cpu-smoke" in done.stderr
    assert not done.stdout


def test_losses_that_differ_are_seen():
    """A way whose losses are not the comparator's fails the run."""
    base = {
        "variant": {
            "case": "TRM-mlp 9x9",
            "way": "comparator",
            "compiled": "segment",
            "mode": "default",
            "device": "cuda",
        },
        "losses": [2.0] * 20,
        "seconds": 0.1,
        "matmul": None,
        "peak": None,
        "rows": 768,
        "parameters": 5_028_866,
        "flops": 10**12,
        "layer_flops": 10**12,
        "prepared": 1.0,
    }
    ours = base | {"variant": base["variant"] | {"way": "ours"}, "seconds": 0.05}
    lines, agree = table("TRM-mlp 9x9", [base, ours])
    assert agree
    assert "2.00x" in lines[-1]
    assert not table("TRM-mlp 9x9", [base, ours | {"losses": [2.2] * 20}])[1]
