"""The rules, one module a family; each is a function from a case to what it finds in it."""

from collections.abc import Callable, Iterator

from orchestrator.diagnose.case import Case
from orchestrator.diagnose.rules import (
    claims,
    components,
    disk,
    lost_time,
    machine,
    processes,
    ranks,
    schedule,
)
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
    schedule.scheduler_accumulation,
    schedule.schedule_off,
    schedule.ema_horizon,
    components.component_imbalance,
    components.unnamed_residual,
    claims.speed_counts_skipped,
    claims.contradiction,
    lost_time.input_bound,
    lost_time.crash_before_save,
    lost_time.noticed_late,
)
