"""What a run has cost, and what it did not because it was ended early."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Hours over all attempts, waiting in the queue not counted; None is unknown.

    `gpus` are those of the newest attempt; `gpu_hours` is None of a run without any.

    `price` is money for an hour of one GPU, or of the machine if the run has none, in `currency`.
    `saved_hours` are hours of wall time that an early end spared, with `saved_gpu_hours` of GPUs.
    """

    hours: float
    gpus: int = 0
    gpu_hours: float | None = None
    budget_gpu_hours: float | None = None
    price: float | None = None
    currency: str = ""
    saved_hours: float | None = None
    saved_gpu_hours: float | None = None

    @property
    def amount(self) -> float | None:
        """Money spent; None without a price."""
        if self.price is None:
            return None
        return self.price * (self.hours if self.gpu_hours is None else self.gpu_hours)
