"""Criteria: a line of a ticket → its reading → a verdict with evidence while the run goes on."""

from orchestrator.criteria.judge import Judge, decided
from orchestrator.criteria.predicate import parse_predicate, predicate_text
from orchestrator.criteria.reading import read

__all__ = ["Judge", "decided", "parse_predicate", "predicate_text", "read"]
