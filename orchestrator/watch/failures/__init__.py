"""Why an attempt failed: from its records and the end of its log to a cause with evidence.

Nothing here reads a file or a clock: the same evidence gives the same cause.
"""

from orchestrator.watch.failures.classify import Diagnosis, Ending, Finish, diagnose
from orchestrator.watch.failures.launchers import name_of
from orchestrator.watch.failures.memory import Shortage, shortage

__all__ = ["Diagnosis", "Ending", "Finish", "Shortage", "diagnose", "name_of", "shortage"]
