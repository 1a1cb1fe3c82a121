"""Ticket-driven experiment tracker and orchestrator.

Training code imports `orchestrator.track`; everything else is reached through the `exp` command.
"""

__version__ = "0.1.0"
