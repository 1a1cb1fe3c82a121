"""The pass rule of each step: pure functions from what programs did to a result with numbers."""

from orchestrator.rehearsal.checks.checkpoint import check_checkpoint
from orchestrator.rehearsal.checks.ending import check_teardown, check_termination
from orchestrator.rehearsal.checks.evaluator import check_alone, check_evaluator
from orchestrator.rehearsal.checks.resume import check_resume
from orchestrator.rehearsal.checks.steps import NAMES, skipped
from orchestrator.rehearsal.checks.training import check_training
from orchestrator.rehearsal.checks.validation import check_validation

__all__ = [
    "NAMES",
    "check_alone",
    "check_checkpoint",
    "check_evaluator",
    "check_resume",
    "check_teardown",
    "check_termination",
    "check_training",
    "check_validation",
    "skipped",
]
