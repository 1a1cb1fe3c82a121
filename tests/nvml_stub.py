"""NVIDIA GPUs on a machine without any: a library of the driver's name that follows a script."""

import atexit
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

SOURCE = Path(__file__).parent / "gpus" / "stub" / "nvml.c"
GIB = 1 << 30
LOST = 15  # NVML_ERROR_GPU_IS_LOST


@cache
def build(*, old_driver=False):
    """Compile the stub once a session; returns the folder with libnvidia-ml.so.1."""
    folder = Path(mkdtemp(prefix="nvml-stub-"))
    atexit.register(shutil.rmtree, folder)
    options = ["-DOLD_DRIVER"] if old_driver else []
    library = folder / "libnvidia-ml.so.1"
    command = ["gcc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", *options]
    subprocess.run([*command, "-o", library, SOURCE], check=True)
    return folder


def gpu(number, **fields):
    """Lines of a healthy GPU; a field of None is not supported."""
    healthy = {
        "uuid": f"GPU-{number}{number}{number}",
        "name": "NVIDIA H200",
        "total": 140 * GIB,
        "used": 2 * GIB,
        "reserved": GIB,
        "util": 50,
        "power": 350_000,
        "limit": 700_000,
        "temp": 45,
        "sm": 1980,
        "mem": 3201,
        "reasons": 0,
        "ecc": 0,
        "recovery": 0,
        "compute": "",
        "graphics": "",
    }
    every = {**healthy, **fields}
    return {f"gpu{number}.{name}": value for name, value in every.items() if value is not None}


@dataclass(frozen=True)
class StubNvml:
    """A script, and the environment in which a program sees the GPUs that it tells of."""

    script: Path
    library: Path

    @property
    def env(self):
        """Variables that lead a program to the stub."""
        return {"LD_LIBRARY_PATH": str(self.library), "NVML_STUB_SCRIPT": str(self.script)}

    def write(self, *parts, **lines):
        """Replace the script; two underscores in a keyword stand for a dot."""
        every = {"driver": "570.86.15"}
        for part in parts:
            every |= part
        every |= {name.replace("__", "."): value for name, value in lines.items()}
        text = "".join(f"{name} {value}\n" for name, value in every.items())
        draft = self.script.with_suffix(".new")
        draft.write_text(text)
        draft.replace(self.script)

    def inits(self):
        """How often NVML was initialised."""
        path = Path(f"{self.script}.inits")
        return len(path.read_text().splitlines()) if path.exists() else 0


def stub(folder, *, old_driver=False):
    """A stub whose script lies in `folder`."""
    return StubNvml(folder / "nvml.txt", build(old_driver=old_driver))


def visible_to(made, monkeypatch):
    """Let every program that this test starts see the stub's GPUs."""
    for name, value in made.env.items():
        monkeypatch.setenv(name, os.fspath(value))
