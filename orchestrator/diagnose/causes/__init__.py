"""Why an attempt failed: from its records and the end of its log to a cause with evidence.

Nothing here reads a file or a clock: the same evidence gives the same cause.
"""

from orchestrator.diagnose.causes.classify import Diagnosis, Ending, Finish, name_cause
from orchestrator.diagnose.causes.launchers import name_of
from orchestrator.diagnose.causes.memory import Shortage, shortage

__all__ = ["Diagnosis", "Ending", "Finish", "Shortage", "name_cause", "name_of", "shortage"]
