"""What texts of programs, drivers and kernels say of the cause of a failure."""

import re

from orchestrator.domain.retry import Cause

_SAME_AGAIN = (  # it looks like another cause, and would be the same the next time
    "invalid usage, NCCL",
    "ncclInvalid(?:Usage|Argument)",
    "Duplicate GPU detected",
    "device-side assert triggered",
)
CUDA_OOM = (
    r"torch\.(?:cuda\.)?OutOfMemoryError",
    "(?:CUDA|HIP|XPU)(?: error:)? out of memory",
    "MPS backend out of memory",
    r"would exceed allowed memory\. \(out of memory\)",  # cudaMallocAsync
    r"OOM on device \d+ while trying to allocate",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "cudaErrorMemoryAllocation",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "RESOURCE_EXHAUSTED: Out of memory",
)
GPU_LOST = (
    r"\bXid(?: \(|:? \d)",
    "fallen off the bus",
    "GPU is lost",
    "GPU_IS_LOST",
    "uncorrectable (?:ECC|NVLink) error",
    "cudaErrorECCUncorrectable",
    "cudaErrorDevicesUnavailable",
    r"CUDA-capable device\(s\) is/are busy or unavailable",
    "no CUDA-capable device is detected",
)
_STORAGE = (
    "No space left on device",
    "Disk quota exceeded",
    "Stale (?:NFS )?file handle",
    r"\bInput/output error",
    "Read-only file system",
    "PytorchStreamWriter failed writing",
    r"unexpected pos \d+ vs",
)
NCCL = (
    "DistBackendError",
    "DistStoreError",
    "Watchdog caught collective operation timeout",
    "ProcessGroup(?:NCCL|Gloo)",
    r"\bnccl(?:Unhandled|System|Internal|Remote)\w*Error",
    "NCCL (?:error|timeout|watchdog)",
    "gloo/transport",
    r"Connection closed by peer \[",
)
_NETWORK = (
    r"^(?:[\w.]+\.)?(?:Connection\w*Error|ConnectError|Connect(?:ion)?Timeout\w*)\b",
    r"^(?:[\w.]+\.)?(?:ReadTimeout\w*|TimeoutError|MaxRetryError|NewConnectionError)\b",
    r"^(?:[\w.]+\.)?(?:ProtocolError|RemoteDisconnected|gaierror|DistNetworkError|CommError)\b",
    r"^(?:[\w.]+\.)?(?:ClientConnector\w*|EndpointConnectionError)\b",
    "Connection (?:refused|reset|timed out|aborted)",
    "Name or service not known",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "No route to host",
    "Max retries exceeded",
    "Address already in use",
)
_NAN = (r"(?i:\bnans?\b|\bnon-?finite\b|\binf(?:inite|inity)?\b)",)

# The first that matches counts. A line that matches proves the cause wherever it stands;
_PLAIN = {
    Cause.PROGRAM: re.compile("|".join(_SAME_AGAIN)),
    Cause.CUDA_OOM: re.compile("|".join(CUDA_OOM)),
    Cause.GPU_LOST: re.compile("|".join(GPU_LOST)),
    Cause.STORAGE: re.compile("|".join(_STORAGE)),
    Cause.NCCL: re.compile("|".join(NCCL)),
}
# these texts also stand in warnings of programs that go on: only an exception proves anything.
_RAISED = {
    Cause.NETWORK: re.compile("|".join(_NETWORK)),
    Cause.NAN: re.compile("|".join(_NAN)),
}
_KILLED_WORKER = re.compile("killed by signal: Killed")
_GAVE_UP = re.compile(
    r"(?i)(?=.*\b(?:nan|non-?finite|inf)\b).*\b(?:stopping|abort\w*|exiting|giving up)\b"
)


def cause_of_line(text: str) -> Cause | None:
    """The cause that a line of output proves by itself, or None."""
    return next((cause for cause, sign in _PLAIN.items() if sign.search(text)), None)


def cause_of_exception(raised: str) -> Cause:
    """The cause of an exception that ended a program: `kind: message`."""
    if _KILLED_WORKER.search(raised):
        return Cause.KILLED
    signs = (_PLAIN | _RAISED).items()
    return next((cause for cause, sign in signs if sign.search(raised)), Cause.PROGRAM)


def gave_up_over_nan(text: str) -> bool:
    """Whether a line says, as in `Loss is nan, stopping training`, that the program gives up."""
    return _GAVE_UP.search(text) is not None
