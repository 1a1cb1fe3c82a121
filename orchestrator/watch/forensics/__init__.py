"""What is kept of an attempt that went wrong, before anybody cleans up: forensics/attempt-N/."""

from orchestrator.watch.forensics.bundle import is_worth_keeping, preserve
from orchestrator.watch.forensics.kernel import kernel_lines

__all__ = ["is_worth_keeping", "kernel_lines", "preserve"]
