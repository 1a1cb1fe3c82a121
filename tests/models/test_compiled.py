"""Compiled loops where nothing can be written, and random numbers that stay what they are."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from models.compiled import below, generator, shuffled

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import models.compiled
from models.compiled import generator
assert models.compiled.__file__.startswith(sys.argv[1])
print(generator(1, 2, 3)[0])
"""
MASK = 2**64 - 1


def mix(z):
    """splitmix64's finaliser in whole numbers."""
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def test_random_numbers_are_splitmix64():
    """Streams begin where the formula says, and give the high bits of splitmix64."""
    step = 0x9E3779B97F4A7C15
    state = mix(mix(5 + 2 * step & MASK) + 7 * step & MASK)
    fast = generator(5, 2, 7)
    assert int(fast[0]) == state
    for _ in range(100):
        state = state + step & MASK
        assert below(fast, 1000) == (mix(state) >> 32) * 1000 >> 32


def test_splitmix64_begins_as_published():
    """The first number of seed 1234567 is that of the published test vector."""
    state = np.array([1234567], np.uint64)
    assert below(state, 1 << 32) == 6457827717110365317 >> 32


def test_orders_are_permutations_and_even():
    """Every item of a shuffled order comes about as often to every place."""
    state = generator(0, 0, 0)
    orders = np.array([shuffled(state, 5) for _ in range(5000)])
    assert (np.sort(orders, axis=1) == np.arange(5)).all()
    counts = np.array([np.bincount(orders[:, place], minlength=5) for place in range(5)])
    assert (abs(counts - 1000) < 150).all()


def compiled_in(folder, **variables):
    """What a fresh process gets from a copy of the module, under another environment."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        env=os.environ | variables,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_no_folder_for_the_cache_is_no_error(tmp_path):
    """Where neither the source folder nor the home folder takes a cache, code still runs."""
    source = tmp_path / "models"
    source.mkdir()
    for name in ("__init__.py", "compiled.py"):
        (source / name).write_bytes((ROOT / "models" / name).read_bytes())
    (source / "__pycache__").write_text("a file where the folder would be")
    nowhere = str(source / "__pycache__" / "home")
    variables = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"), nowhere)
    assert compiled_in(tmp_path, **variables) == int(generator(1, 2, 3)[0])
    assert not list(tmp_path.rglob("*.nbi"))
    (source / "__pycache__").unlink()
    assert compiled_in(tmp_path, **variables) == int(generator(1, 2, 3)[0])
    assert list(tmp_path.rglob("*.nbi"))
