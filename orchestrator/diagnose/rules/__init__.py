"""The rules, one module a family; each is a function from a case to what it finds in it."""

from collections.abc import Callable, Iterator

from orchestrator.diagnose.case import Case
from orchestrator.domain.finding import Finding

RULES: tuple[Callable[[Case], Iterator[Finding]], ...] = ()
