"""Lines of a log that mean something, found in gigabytes of lines that do not."""

from orchestrator.diagnose.signs.kinds import SIGNS
from orchestrator.diagnose.signs.scan import LogScan

__all__ = ["SIGNS", "LogScan"]
