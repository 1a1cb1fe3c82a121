"""One GPU, or one MIG instance: what the driver says of it, field by field.

Old drivers and small boards know only some fields, and each binding of NVML other functions: what
is not supported is None.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from orchestrator.domain.hardware import Gpu, GpuProcess

_MILLI = 1000.0  # NVML counts milliwatts
# Errors that concern the whole GPU, whichever field was asked for.
_BROKEN = ("NVML_ERROR_GPU_IS_LOST", "NVML_ERROR_RESET_REQUIRED")
# Errors that concern NVML as a whole: the driver was unloaded, or loaded anew.
_GONE = ("NVML_ERROR_UNINITIALIZED", "NVML_ERROR_DRIVER_NOT_LOADED")
_UNSUPPORTED = (
    "NVML_ERROR_NOT_SUPPORTED",
    "NVML_ERROR_NO_PERMISSION",
    "NVML_ERROR_FUNCTION_NOT_FOUND",
    "NVML_ERROR_ARGUMENT_VERSION_MISMATCH",
    "NVML_ERROR_INVALID_ARGUMENT",
    "NVML_ERROR_NO_DATA",
)
# The same bits under two names: "throttle reasons" until driver 535.
_REASONS = {
    0x001: "idle",
    0x002: "application_clocks",
    0x004: "power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal",
    0x040: "hw_thermal",
    0x080: "power_brake",
    0x100: "display_clocks",
}
_RECOVERY = {
    0: "none",
    1: "reset the GPU",
    2: "reboot the node",
    3: "drain peer-to-peer traffic",
    4: "drain and reset",
}


class BrokenGpuError(Exception):
    """A GPU that cannot be asked anything more; says why."""


def words_of(error: Exception) -> str:
    """An NVML error as the driver puts it, without its full stop."""
    return str(error).rstrip(".")


def is_gone(nvml: Any, error: Exception) -> bool:
    """Whether an error means that NVML must be initialised anew."""
    return getattr(error, "value", None) in _values(nvml, _GONE)


def ask(nvml: Any, function: str, *arguments: Any) -> Any:
    """The answer of one NVML function, None where there is none.

    Raises:
        BrokenGpuError: the whole GPU is lost.
        NVMLError: NVML itself is lost.
    """
    try:
        return getattr(nvml, function)(*arguments)
    except nvml.NVMLError as error:
        if error.value in _values(nvml, _BROKEN):
            raise BrokenGpuError(words_of(error)) from error
        if is_gone(nvml, error):
            raise
        return None
    except (AttributeError, ValueError, nvml.NVMLLibraryMismatchError):
        return None  # a binding without the function; a name that is no text


def _values(nvml: Any, names: tuple[str, ...]) -> list[int]:
    return [getattr(nvml, name) for name in names]


def read_gpu(nvml: Any, handle: Any, index: int) -> Gpu:
    """Everything a GPU says of itself; `problem` if it breaks off.

    Raises:
        NVMLError: it says not even who it is, or NVML itself is lost.
    """
    uuid = str(nvml.nvmlDeviceGetUUID(handle))
    try:
        return _read_fields(nvml, handle, Gpu(uuid=uuid, index=index))
    except BrokenGpuError as error:
        return Gpu(uuid=uuid, index=index, problem=str(error))


def _read_fields(nvml: Any, handle: Any, gpu: Gpu) -> Gpu:
    used, total = _memory(nvml, handle)
    power, limit = _power(nvml, handle)
    return replace(
        gpu,
        name=ask(nvml, "nvmlDeviceGetName", handle),
        memory_total=total,
        memory_used=used,
        utilization=_utilization(nvml, handle),
        power=power,
        power_limit=limit,
        temperature=_temperature(nvml, handle),
        clock_sm=ask(nvml, "nvmlDeviceGetClockInfo", handle, nvml.NVML_CLOCK_SM),
        clock_memory=ask(nvml, "nvmlDeviceGetClockInfo", handle, nvml.NVML_CLOCK_MEM),
        throttle=_throttle(nvml, handle),
        ecc_uncorrected=_ecc(nvml, handle),
        recovery=_recovery(nvml, handle),
        processes=_processes(nvml, handle),
    )


def read_instances(nvml: Any, handle: Any, whole: Gpu) -> Iterator[Gpu]:
    """The MIG instances of a GPU; none where it is not divided, or breaks off.

    Raises:
        NVMLError: NVML itself is lost.
    """
    with suppress(BrokenGpuError):
        mode = ask(nvml, "nvmlDeviceGetMigMode", handle)
        if mode is None or mode[0] != nvml.NVML_DEVICE_MIG_ENABLE:
            return
        for place in range(ask(nvml, "nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
            instance = ask(nvml, "nvmlDeviceGetMigDeviceHandleByIndex", handle, place)
            uuid = None if instance is None else ask(nvml, "nvmlDeviceGetUUID", instance)
            if uuid is not None:  # else a place that holds no instance
                yield _read_instance(nvml, instance, uuid, whole)


def _read_instance(nvml: Any, instance: Any, uuid: str, whole: Gpu) -> Gpu:
    used, total = _memory(nvml, instance)
    return Gpu(
        uuid=uuid,
        index=whole.index,
        name=ask(nvml, "nvmlDeviceGetName", instance),
        parent=whole.uuid,
        memory_total=total,
        memory_used=used,
        processes=_processes(nvml, instance),
    )


def _memory(nvml: Any, handle: Any) -> tuple[int | None, int | None]:
    """Bytes in use and bytes in all.

    What the driver keeps for itself is in use by the first version of the call and not by the
    second, which older drivers do not have.
    """
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
    except nvml.NVMLError as error:
        if error.value not in _values(nvml, _UNSUPPORTED):
            # A GPU that cannot even count its memory is of no use.
            raise error if is_gone(nvml, error) else BrokenGpuError(words_of(error)) from error
        memory = ask(nvml, "nvmlDeviceGetMemoryInfo", handle)
    return (None, None) if memory is None else (memory.used, memory.total)


def _power(nvml: Any, handle: Any) -> tuple[float | None, float | None]:
    used = ask(nvml, "nvmlDeviceGetPowerUsage", handle)
    limit = ask(nvml, "nvmlDeviceGetEnforcedPowerLimit", handle)
    return (
        None if used is None else used / _MILLI,
        None if limit is None else limit / _MILLI,
    )


def _utilization(nvml: Any, handle: Any) -> float | None:
    rates = ask(nvml, "nvmlDeviceGetUtilizationRates", handle)
    return None if rates is None else rates.gpu / 100


def _temperature(nvml: Any, handle: Any) -> float | None:
    sensor = nvml.NVML_TEMPERATURE_GPU
    for function in ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature"):
        degrees = ask(nvml, function, handle, sensor)
        if degrees is not None:
            return float(degrees)
    return None


def _throttle(nvml: Any, handle: Any) -> tuple[str, ...] | None:
    names = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
    for function in names:
        bits = ask(nvml, function, handle)
        if bits is not None:
            return tuple(word for bit, word in _REASONS.items() if bits & bit)
    return None


def _ecc(nvml: Any, handle: Any) -> int | None:
    """Uncorrected errors of memory since the driver was loaded."""
    kind, counter = nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
    count: int | None = ask(nvml, "nvmlDeviceGetTotalEccErrors", handle, kind, counter)
    return count


def _recovery(nvml: Any, handle: Any) -> str | None:
    number = getattr(nvml, "NVML_FI_DEV_GET_GPU_RECOVERY_ACTION", None)
    values = None if number is None else ask(nvml, "nvmlDeviceGetFieldValues", handle, [number])
    if not values or values[0].nvmlReturn != nvml.NVML_SUCCESS:
        return None
    action = values[0].value.uiVal
    return _RECOVERY.get(action, f"action {action} of NVML's")


def _processes(nvml: Any, handle: Any) -> tuple[GpuProcess, ...] | None:
    """Who holds memory; None unless at least the computing ones are known."""
    computing = _listed(nvml, handle, "Compute")
    if computing is None:
        return None
    holders = computing | {
        pid: memory
        for pid, memory in (_listed(nvml, handle, "Graphics") or {}).items()
        if computing.get(pid) is None  # listed twice, the same memory is meant
    }
    return tuple(GpuProcess(pid=pid, memory=holders[pid]) for pid in sorted(holders))


def _listed(nvml: Any, handle: Any, kind: str) -> dict[int, int | None] | None:
    for version in ("v3", "v2"):
        processes = ask(nvml, f"nvmlDeviceGet{kind}RunningProcesses_{version}", handle)
        if processes is not None:
            return {process.pid: process.usedGpuMemory for process in processes}
    return None
