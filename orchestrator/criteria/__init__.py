"""Criteria: a line of a ticket → its reading → a verdict with evidence while the run goes on.

`lines` reads what people write, `predicates` is the language in between, `judging` watches a run.
"""

from orchestrator.criteria.judging.judge import Judge, decided
from orchestrator.criteria.lines.document import read_document
from orchestrator.criteria.lines.reading import read
from orchestrator.criteria.predicates.parse import parse_predicate, predicate_text

__all__ = ["Judge", "decided", "parse_predicate", "predicate_text", "read", "read_document"]
