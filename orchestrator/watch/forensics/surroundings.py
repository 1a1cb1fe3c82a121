"""The machine, the environment and the work tree at the end of an attempt."""

import time
from dataclasses import asdict
from functools import cache
from pathlib import Path
from shutil import which
from typing import Any

from orchestrator.git import Repository
from orchestrator.gpus import Gpus
from orchestrator.watch.forensics.kernel import kernel_lines
from orchestrator.watch.forensics.scene import Scene, said_by

_SMI = 5.0  # seconds that nvidia-smi may take
_PACKAGES = 2000
_FILES = 500  # names of changed files


@cache
def _gpus() -> Gpus:
    return Gpus()


def gpus_json(_scene: Scene) -> dict[str, Any]:
    """gpus.json: what NVML says now, and nvidia-smi where it is installed."""
    found = asdict(_gpus().read())
    if which("nvidia-smi") is not None:
        try:
            found["nvidia_smi"] = said_by(["nvidia-smi"], seconds=_SMI).splitlines()
        except OSError as error:
            found["nvidia_smi"] = [str(error)]
    return found


def kernel_log(scene: Scene) -> str | None:
    """kernel.log: lines of the attempt's time about GPUs, memory, disks and kills."""
    ended = scene.attempt.exit
    started = ended.started if ended is not None else scene.attempt.started or 0.0
    lines = kernel_lines(started, ended.ended if ended is not None else time.time())
    return "".join(f"{line}\n" for line in lines) or None


def environment_json(scene: Scene) -> dict[str, Any]:
    """environment.json: variables that were set for the run, and the packages of its Python.

    `$NAME` stands for a variable whose value nobody writes down.
    """
    request = scene.attempt.request
    commands = request.commands if request is not None else scene.record.commands
    return {
        "variables": scene.record.environment
        | scene.record.env
        | (request.env if request is not None else {}),
        "host": scene.record.host,
        "commands": [list(command.argv) for command in commands],
        "packages": _packages(Path(commands[0].argv[0])) if commands else {},
    }


def _packages(python: Path) -> dict[str, str]:
    """Versions by name, as the folders beside a Python tell; empty for one that is elsewhere."""
    found: dict[str, str] = {}
    for folder in sorted(python.parent.parent.glob("lib/python3*/site-packages/*.dist-info")):
        name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
        if len(found) < _PACKAGES:
            found[name] = version
    return found


def git_json(scene: Scene) -> dict[str, Any]:
    """git.json: commit, branch and changes at launch and now, and which files differ since."""
    then, repository = scene.record.git, Repository.find(Path(scene.record.cwd))
    now = None if repository is None else repository.snapshot()
    changed = None
    if repository is not None and then is not None and then.commit is not None:
        changed = repository.changed_files(then.commit)[:_FILES]
    return {
        "then": None if then is None else asdict(then),
        "now": None if now is None else asdict(now),
        "changed_since": changed,
    }
