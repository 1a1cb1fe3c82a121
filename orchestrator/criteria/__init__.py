"""Criteria: a line of a ticket → its reading → a verdict with evidence while the run goes on."""

from orchestrator.criteria.reading import read

__all__ = ["read"]
