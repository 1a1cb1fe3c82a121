"""NVML from its initialisation to its loss: which GPUs there are, and which of them went missing.

Runs on the one thread that may hang; nothing here raises.
"""

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.domain.hardware import Gpu, GpuReading
from orchestrator.gpus.device import (
    ask,
    is_gone,
    read_gpu,
    read_instances,
    words_of,
)

# While a GPU is missing, NVML is initialised anew after so many readings, twice as many, and so on
# up to the longest pause: that is how a GPU comes back after a reset, but it takes up to a second.
_FIRST_PAUSE, _LONGEST_PAUSE = 4, 64
_IN_WORDS = {
    "NVML_ERROR_LIBRARY_NOT_FOUND": "no NVIDIA driver here: libnvidia-ml.so.1 is not to be found",
    "NVML_ERROR_DRIVER_NOT_LOADED": "the NVIDIA driver is not loaded: sudo modprobe nvidia",
    "NVML_ERROR_LIB_RM_VERSION_MISMATCH": (
        "the NVIDIA driver and libnvidia-ml.so.1 are of different versions, as after an update"
        " without a reboot: reboot, or load the kernel module anew"
    ),
    "NVML_ERROR_NO_PERMISSION": "no permission to ask the NVIDIA driver: ls -l /dev/nvidia*",
}


@dataclass(slots=True)
class _Survey:
    """One look at all GPUs: those that answered, and what the others said, by NVML's index."""

    found: list[Gpu] = field(default_factory=list)
    broken: dict[int | None, str] = field(default_factory=dict)


class Session:
    """Keeps NVML initialised, and remembers every GPU that it has seen."""

    def __init__(self) -> None:
        self._nvml: Any = None  # pynvml while it is initialised
        self._known: dict[str, Gpu] = {}
        self._missing_for = 0  # readings in a row in which a GPU was missing

    def read(self) -> GpuReading:
        """Ask every GPU; initialise NVML first where that is due."""
        now = time.time()
        try:
            return self._read(now)
        except Exception as error:  # noqa: BLE001 - whatever NVML does, hardware is then unknown
            self._close()
            return GpuReading(time=now, gpus=None, problem=_explained(error))

    def _read(self, now: float) -> GpuReading:
        if _is_due(self._missing_for):
            self._close()
        survey = self._survey()
        gpus, problem = self._with_missing(survey)
        missing = any(gpu.problem for gpu in gpus) or problem is not None
        self._missing_for = self._missing_for + 1 if missing else 0
        return GpuReading(
            time=now,
            gpus=gpus,
            driver=ask(self._nvml, "nvmlSystemGetDriverVersion"),
            problem=problem,
        )

    def _survey(self) -> _Survey:
        """Look at all GPUs; a driver that was loaded anew meanwhile is no failure."""
        if self._nvml is None:
            self._open()
            return _survey(self._nvml)
        try:
            return _survey(self._nvml)
        except self._nvml.NVMLError as error:
            if not is_gone(self._nvml, error):
                raise
            self._close()
            self._open()
            return _survey(self._nvml)

    def _open(self) -> None:
        import pynvml  # noqa: PLC0415 - 20 ms, and only where somebody asks for GPUs

        pynvml.nvmlInit()
        self._nvml = pynvml

    def _close(self) -> None:
        if self._nvml is not None:
            with suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()
            self._nvml = None

    def _with_missing(self, survey: _Survey) -> tuple[tuple[Gpu, ...], str | None]:
        """The GPUs that answered, those that once did, and what is wrong with unknown ones."""
        found = {gpu.uuid: self._named(gpu) for gpu in survey.found}
        for known in sorted(self._known.values(), key=_place):
            if known.uuid in found:
                continue
            whole = found.get(known.parent or "")
            if whole is None:
                why = survey.broken.pop(known.index, "NVML no longer lists it")
            elif whole.problem is None:
                continue  # this MIG instance was destroyed
            else:
                why = whole.problem
            found[known.uuid] = self._named(
                Gpu(uuid=known.uuid, index=known.index, parent=known.parent, problem=why)
            )
        self._known = found
        problem = "; ".join(f"GPU {index}: {why}" for index, why in survey.broken.items())
        return tuple(sorted(found.values(), key=_place)), problem or None

    def _named(self, gpu: Gpu) -> Gpu:
        """A GPU with what it said of itself before it broke."""
        known = self._known.get(gpu.uuid)
        if known is None or gpu.problem is None:
            return gpu
        return replace(gpu, name=known.name, memory_total=known.memory_total)


def _is_due(missing_for: int) -> bool:
    doubled = missing_for >= _FIRST_PAUSE and missing_for & (missing_for - 1) == 0
    return doubled or (missing_for > 0 and missing_for % _LONGEST_PAUSE == 0)


def _place(gpu: Gpu) -> tuple[bool, int, str, bool, str]:
    """In the order of NVML, instances behind their whole."""
    return (
        gpu.index is None,
        gpu.index or 0,
        gpu.parent or gpu.uuid,
        gpu.parent is not None,
        gpu.uuid,
    )


def _survey(nvml: Any) -> _Survey:
    """Ask each GPU in turn.

    Raises:
        NVMLError: NVML itself is lost.
    """
    survey = _Survey()
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            gpu = read_gpu(nvml, handle, index)
            survey.found.append(gpu)
            survey.found += read_instances(nvml, handle, gpu)
        except nvml.NVMLError as error:
            if is_gone(nvml, error):
                raise
            survey.broken[index] = words_of(error)
    return survey


def _explained(error: Exception) -> str:
    """Why nothing can be known of any GPU."""
    value = getattr(error, "value", None)
    if value is None:
        return f"NVML: {type(error).__name__}: {error}"
    import pynvml  # noqa: PLC0415 - loaded already: the error is its own

    for name, words in _IN_WORDS.items():
        if value == getattr(pynvml, name):
            return words
    return f"NVML: {words_of(error)}"
