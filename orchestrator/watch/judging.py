"""How a run is judged, the same for the watcher and for whoever asks again."""

from orchestrator.criteria import Judge
from orchestrator.domain.run import RunRecord


def judge_of(record: RunRecord) -> Judge:
    """A judge of a run by what was fixed at its launch."""
    return Judge(record.criteria, record.metrics)
