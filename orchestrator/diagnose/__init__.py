"""What is wrong with a run: causes of ended attempts, and findings about all of it.

Pure functions over what was recorded: the same case gives the same findings.
"""

from orchestrator.diagnose.findings import diagnose
from orchestrator.diagnose.rules import RULES

__all__ = ["RULES", "diagnose"]
