"""The rules, one module a family; each is a function from a case to what it finds in it."""

from collections.abc import Callable, Iterator

from orchestrator.diagnose.case import Case
from orchestrator.diagnose.rules import disk, machine, processes, ranks
from orchestrator.domain.finding import Finding

RULES: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    machine.gpu_lost,
    machine.gpu_fault,
    machine.gpu_throttled,
    machine.gpu_unhealthy,
    machine.gpu_idle,
    machine.gpu_spinning,
    machine.zombie_holder,
    disk.disk_full,
    disk.disk_low,
    ranks.nccl_timeout,
    ranks.rank_behind,
    processes.torn_checkpoint,
    processes.crash_loop,
    processes.incomplete,
    processes.answer_known,
    processes.preempted,
    processes.time_limit,
    processes.no_checkpoint,
    processes.killed_unexplained,
)
