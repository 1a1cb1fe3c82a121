"""Variables of an attempt: the launching shell's, though that shell may be gone by then."""

import fnmatch
import os
from collections.abc import Mapping
from pathlib import Path

from orchestrator.domain.attempt import AttemptRequest
from orchestrator.domain.run import TORCHRUN, RunRecord
from orchestrator.errors import RefusedError
from orchestrator.redact import SECRET, is_secret_name, redact
from orchestrator.workspace import AttemptFolder, RunFolder

# What decides which programs run and how; patterns of names. All else, secrets above all, is taken
# from the environment of whoever starts the attempt.
_KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE", "LC_*"),
    *("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYTHON*", "LD_LIBRARY_PATH"),
    *("LD_PRELOAD", "OMP_*", "MKL_*", "OPENBLAS_*", "NUMEXPR_*", "KMP_*", "XDG_*"),
    *("CUDA_*", "NVIDIA_*", "NCCL_*", "GLOO_*", "TORCH_*", "TORCHINDUCTOR_*", "PYTORCH_*"),
    *("TRITON_*", "XLA_*", "JAX_*", "TF_*", "HF_HOME", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"),
    *("TRANSFORMERS_OFFLINE", "WANDB_MODE", "WANDB_PROJECT", "WANDB_DIR"),
)


def kept_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that run.json keeps of the launching shell, by name; no secret is among them.

    What is no UTF-8 cannot stand in a JSON file and is not kept either.
    """
    return {name: text for name, text in sorted(variables.items()) if _is_kept(name, text)}


def _is_kept(name: str, text: str) -> bool:
    return (
        any(fnmatch.fnmatchcase(name, pattern) for pattern in _KEPT)
        and not is_secret_name(name)
        and SECRET not in redact(text)
        and not any("\ud800" <= character <= "\udfff" for character in text)
    )


def missing_variables(record: RunRecord, request: AttemptRequest) -> list[str]:
    """Variables that the spec refers to as `$NAME` and this process does not have."""
    wanted = (value[1:] for value in (record.env | request.env).values() if value.startswith("$"))
    return [name for name in wanted if name not in os.environ]


def child_environment(
    run: RunFolder,
    attempt: AttemptFolder,
    record: RunRecord,
    request: AttemptRequest,
    gpus: tuple[str, ...],
) -> dict[str, str]:
    """This process's environment, the launching shell's, the spec's, and which run it is.

    In the launching shell itself the first two are the same. `gpus` are the UUIDs that the attempt
    was given; without any, the variables of CUDA stay as they are.

    Raises:
        RefusedError: the spec asks for a variable that this process does not have.
    """
    own = {name: text for name, text in os.environ.items() if not _is_kept(name, text)}
    set_by_spec = {name: _value(name, text) for name, text in (record.env | request.env).items()}
    config = attempt.config_file if attempt.config_file.exists() else run.config_file
    return {
        **own,
        **record.environment,
        "PYTHONUNBUFFERED": "1",  # a log that lags behind hides the crash
        "PYTHONFAULTHANDLER": "1",  # a crash in C leaves the stack of Python
        **_error_files(attempt, request),
        **set_by_spec,
        **_only(gpus),
        "EXP_RUN_ID": run.id,
        "EXP_RUN_DIR": str(run.path),
        "EXP_ATTEMPT": str(attempt.number),
        "EXP_ATTEMPT_DIR": str(attempt.path),
        "EXP_CONFIG": str(config),
        "EXP_WORKSPACE": str(run.path.parents[2]),
    }


def _error_files(attempt: AttemptFolder, request: AttemptRequest) -> dict[str, str]:
    """Where torchrun and its workers write the exception that ended them.

    Of no use without torchrun; it gives each worker a file of its own below its log folder.
    """
    words = (word for command in request.commands for word in command.argv)
    if not any(Path(word).name in {TORCHRUN, "torchrun"} for word in words):
        return {}
    return {
        "TORCHELASTIC_ERROR_FILE": str(attempt.elastic_error_file),
        "PET_LOG_DIR": str(attempt.elastic_folder),
    }


def _only(gpus: tuple[str, ...]) -> dict[str, str]:
    if not gpus:
        return {}
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(gpus)}


def _value(name: str, value: str) -> str:
    if not value.startswith("$"):
        return value
    try:
        return os.environ[value[1:]]
    except KeyError as error:
        raise RefusedError(
            f"env.{name} = {value!r}: {value[1:]} is not set", hint=f"export {value[1:]}=..."
        ) from error
