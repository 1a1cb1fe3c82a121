"""What a person sees: Rich renderables made from what the actions return."""

from orchestrator.cli.views.check import ticket_check
from orchestrator.cli.views.criteria import criteria_table
from orchestrator.cli.views.queue import queue
from orchestrator.cli.views.reading import lint_readings, start_readings
from orchestrator.cli.views.runs import run_detail, run_end, run_table
from orchestrator.cli.views.status import dashboard
from orchestrator.cli.views.tickets import findings, ready_table, ticket_detail, ticket_table

__all__ = [
    "criteria_table",
    "dashboard",
    "findings",
    "lint_readings",
    "queue",
    "ready_table",
    "run_detail",
    "run_end",
    "run_table",
    "start_readings",
    "ticket_check",
    "ticket_detail",
    "ticket_table",
]
