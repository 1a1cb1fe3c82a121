"""What a run has used up over all its attempts."""

from dataclasses import dataclass, replace

from orchestrator.codec import read_record_if_present
from orchestrator.domain.attempt import Lease
from orchestrator.domain.run import ExitRecord, RunRecord
from orchestrator.workspace import AttemptFolder, RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Times in seconds: of the present attempt, and of all those before it in sum.

    Waiting in the queue costs nothing. `gpus` is the number of GPUs of the present attempt,
    `gpu_seconds` what those before it have used of them.
    """

    attempt: float = 0.0
    earlier: float = 0.0
    gpus: int = 0
    gpu_seconds: float = 0.0

    @property
    def wall(self) -> float:
        """Time in which the run has executed, in seconds."""
        return self.earlier + self.attempt

    @property
    def gpu_hours(self) -> float:
        """Hours times GPUs."""
        return (self.gpu_seconds + self.attempt * self.gpus) / 3600

    def at(self, share: float) -> "Spent":
        """What would be used if a budget of which this is `share` were a whole one."""
        return replace(
            self,
            attempt=self.attempt / share,
            earlier=self.earlier / share,
            gpu_seconds=self.gpu_seconds / share,
        )


def spent(folder: RunFolder, record: RunRecord, number: int, elapsed: float) -> Spent:
    """What a run has used when its attempt `number` has executed for `elapsed` seconds.

    Only the first of these moves once the attempt has its lease.
    """
    earlier = gpu_seconds = 0.0
    for attempt in folder.attempts():
        if attempt.number < number:
            ended = read_record_if_present(ExitRecord, attempt.exit_file)
            seconds = ended.seconds if ended else 0.0
            earlier += seconds
            gpu_seconds += seconds * gpus_of(attempt, record)
    gpus = gpus_of(folder.attempt(number), record)
    return Spent(attempt=elapsed, earlier=earlier, gpus=gpus, gpu_seconds=gpu_seconds)


def gpus_of(attempt: AttemptFolder, record: RunRecord) -> int:
    """GPUs of an attempt: those of its lease, else what the spec asks for."""
    lease = read_record_if_present(Lease, attempt.lease_file)
    if lease is not None and lease.gpus:
        return len(lease.gpus)
    return int(record.resources.get("gpus") or 0)
