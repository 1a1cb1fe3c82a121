"""What a person sees: Rich renderables made from what the actions return.

Views that need the reader of criteria, which takes 100 ms to load, are imported from their modules.
"""

from orchestrator.cli.views.criteria import criteria_table
from orchestrator.cli.views.queue import queue
from orchestrator.cli.views.runs import run_detail, run_end, run_table
from orchestrator.cli.views.status import dashboard
from orchestrator.cli.views.tickets import findings, ready_table, ticket_detail, ticket_table

__all__ = [
    "criteria_table",
    "dashboard",
    "findings",
    "queue",
    "ready_table",
    "run_detail",
    "run_end",
    "run_table",
    "ticket_detail",
    "ticket_table",
]
