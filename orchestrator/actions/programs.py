"""The argv lists of a run: placeholders filled in, torchrun put in front, programs found."""

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.domain.experiment import Experiment, Program
from orchestrator.domain.run import TORCHRUN, Command, Phase
from orchestrator.errors import InvalidFileError, NotFoundError
from orchestrator.spec import planned_steps
from orchestrator.workspace import Workspace

_TORCHRUN = ("-m", TORCHRUN, "--standalone")
_WORKERS = "--nproc-per-node="
_PLACEHOLDER = re.compile(r"\{([a-zA-Z_][\w.]*)\}")


def commands_of(workspace: Workspace, experiment: Experiment) -> tuple[Command, ...]:
    """Resolve [train] and [evaluate] to what the shim will start, from the workspace's root.

    Raises:
        NotFoundError: a program, or the script that a Python is to run, is not there.
        InvalidFileError: an unknown placeholder.
    """
    nproc = experiment.train.nproc or max(experiment.resources.gpus, 1)
    commands = [_command(workspace, experiment, Phase.TRAIN, experiment.train, nproc)]
    if experiment.evaluate is not None:
        nproc = experiment.evaluate.nproc or 1
        commands.append(_command(workspace, experiment, Phase.EVAL, experiment.evaluate, nproc))
    return tuple(commands)


def _command(
    workspace: Workspace, experiment: Experiment, phase: Phase, program: Program, nproc: int
) -> Command:
    section = "train" if phase is Phase.TRAIN else "evaluate"
    key = f"{experiment.path}: {section}.command"
    argv = [_fill(word, experiment, key) for word in program.command]
    check_program(workspace, argv, key)
    if nproc > 1:
        argv = _under_torchrun(argv, nproc, key)
    return Command(phase=phase, argv=tuple(argv))


def _fill(word: str, experiment: Experiment, key: str) -> str:
    """Replace `{python}`, `{steps}` and `{params.NAME}`; other braces stay as they are."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name == "python":
            return sys.executable
        if name == "steps":
            return str(planned_steps(experiment))
        if name.startswith("params.") and name[7:] in experiment.params:
            return str(experiment.params[name[7:]])
        raise InvalidFileError(
            f"{key}: unknown placeholder {match[0]}",
            hint="known: {python}, {steps}, {params.NAME} for each key of [params]",
        )

    return _PLACEHOLDER.sub(value, word)


def check_program(workspace: Workspace, argv: Sequence[str], key: str) -> None:
    """See that a program is there, and the script that a Python is to run.

    Raises:
        NotFoundError: one is not; `key` says whose command it is.
    """
    program = argv[0]
    in_workspace = str(workspace.root / program) if "/" in program else program
    if shutil.which(in_workspace) is None:
        raise NotFoundError(
            f"{key}: no program {program!r} (looked on PATH and from {workspace.root})",
            hint='install it, or write its path; "{python}" is the interpreter that runs exp',
        )
    words = [word for word in argv[1:] if not _is_torchrun(word)]
    if _is_python(program) and words and words[0].endswith(".py"):
        script = workspace.root / words[0]
        if not script.is_file():
            raise NotFoundError(f"{key}: no script {script}", hint=f"create {words[0]}")


def _under_torchrun(argv: list[str], nproc: int, key: str) -> list[str]:
    """Put torchrun (as a module of the same Python) before a Python program.

    `--standalone` takes a free port, so that two runs on one machine never meet.
    """
    if not _is_python(argv[0]):
        raise InvalidFileError(
            f"{key}: nproc = {nproc} needs a Python program, not {argv[0]!r}",
            hint="start the workers yourself and set nproc = 1, or begin the command with {python}",
        )
    return [argv[0], *_TORCHRUN, f"{_WORKERS}{nproc}", *argv[1:]]


def _is_torchrun(word: str) -> bool:
    return word in _TORCHRUN or word.startswith(_WORKERS)


def _is_python(program: str) -> bool:
    return re.fullmatch(r"python[\d.]*", Path(program).name) is not None
