"""Reports: the facts of a ticket and its newest run, gathered, and the pages put in their place."""

from orchestrator.watch.reporting.gather import report_facts, review_words
from orchestrator.watch.reporting.since import since_of
from orchestrator.watch.reporting.write import write_report

__all__ = ["report_facts", "review_words", "since_of", "write_report"]
