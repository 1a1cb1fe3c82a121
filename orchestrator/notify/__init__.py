"""Telling people who do not look: channels, what was told already, and what is still to be sent.

A channel runs in a process of its own with a deadline, so that nothing it does can hold up whoever
sends. What is to be told is written down first and crossed out afterwards.
"""

from orchestrator.notify.ledger import Told, read_ledger
from orchestrator.notify.outbox import Outbox
from orchestrator.notify.sending import Delivery, Sender
from orchestrator.notify.settings import (
    SUBJECT,
    Settings,
    digest_of_notify,
    load_settings,
    notify_config,
    user_file,
)

__all__ = [
    "SUBJECT",
    "Delivery",
    "Outbox",
    "Sender",
    "Settings",
    "Told",
    "digest_of_notify",
    "load_settings",
    "notify_config",
    "read_ledger",
    "user_file",
]
