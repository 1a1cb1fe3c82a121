"""What is wrong with a run: causes of ended attempts, and findings about all of it.

Pure functions over what was recorded: the same case gives the same findings. The rules are loaded
on first use: every command that names the cause of a failure would else pay for them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.diagnose.findings import diagnose
    from orchestrator.diagnose.rules import RULES

__all__ = ["RULES", "diagnose"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from orchestrator.diagnose import findings  # noqa: PLC0415 - 40 ms, only who diagnoses

        return getattr(findings, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
