"""The argv lists of a run: placeholders filled in, torchrun put in front, programs found."""

import re
import shutil
import sys
from pathlib import Path

from orchestrator.domain.experiment import Experiment, Program
from orchestrator.domain.run import Command, Phase
from orchestrator.errors import InvalidFileError, NotFoundError
from orchestrator.spec import planned_steps
from orchestrator.workspace import Workspace

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
    _check_program(workspace, argv, key)
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


def _check_program(workspace: Workspace, argv: list[str], key: str) -> None:
    program = argv[0]
    in_workspace = str(workspace.root / program) if "/" in program else program
    if shutil.which(in_workspace) is None:
        raise NotFoundError(
            f"{key}: no program {program!r} (looked on PATH and from {workspace.root})",
            hint='install it, or write its path; "{python}" is the interpreter that runs exp',
        )
    if _is_python(program) and len(argv) > 1 and argv[1].endswith(".py"):
        script = workspace.root / argv[1]
        if not script.is_file():
            raise NotFoundError(f"{key}: no script {script}", hint=f"create {argv[1]}")


def _under_torchrun(argv: list[str], nproc: int, key: str) -> list[str]:
    """Put torchrun (as a module of the same Python) before a Python program.

    `--standalone` takes a free port, so that two runs on one machine never meet.
    """
    if not _is_python(argv[0]):
        raise InvalidFileError(
            f"{key}: nproc = {nproc} needs a Python program, not {argv[0]!r}",
            hint="start the workers yourself and set nproc = 1, or begin the command with {python}",
        )
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={nproc}"]
    return [argv[0], *launcher, *argv[1:]]


def _is_python(program: str) -> bool:
    return re.fullmatch(r"python[\d.]*", Path(program).name) is not None
