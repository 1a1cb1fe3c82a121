"""What a run has cost."""

import logging

from orchestrator.config import CostConfig, load_config
from orchestrator.errors import InvalidFileError
from orchestrator.report.cost import Cost
from orchestrator.watch.reporting.subject import Subject
from orchestrator.watch.saving import is_decided
from orchestrator.watch.spending import spent
from orchestrator.workspace import Workspace

log = logging.getLogger(__name__)


def cost_of(subject: Subject) -> Cost | None:
    """Hours, GPU-hours and money over all attempts; None for a run that never started."""
    attempt = subject.state.attempt
    if attempt.started is None and attempt.number == 1:
        return None
    used = spent(subject.folder, subject.record, attempt.number, _elapsed(subject))
    prices = _prices(subject.workspace)
    stop = attempt.stop
    saved = stop.saved / 3600 if stop is not None and stop.saved and is_decided(stop) else None
    ran_on_gpus = used.gpus > 0 or used.gpu_seconds > 0
    return Cost(
        hours=used.wall / 3600,
        gpus=used.gpus,
        gpu_hours=used.gpu_hours if ran_on_gpus else None,
        budget_gpu_hours=subject.record.budget.gpu_hours,
        price=prices.price_per_gpu_hour if ran_on_gpus else prices.price_per_hour,
        currency=prices.currency,
        saved_hours=saved,
        saved_gpu_hours=saved * used.gpus if saved is not None and used.gpus else None,
    )


def _prices(workspace: Workspace) -> CostConfig:
    """What exp.toml says; a broken one is told of by the commands that start something."""
    try:
        return load_config(workspace.root).cost
    except InvalidFileError as error:
        log.warning("the report has no prices: %s", error)
        return CostConfig()


def _elapsed(subject: Subject) -> float:
    """How long the newest attempt has executed, in seconds."""
    attempt = subject.state.attempt
    if attempt.exit is not None:
        return attempt.exit.seconds
    return 0.0 if attempt.started is None else max(0.0, subject.moment - attempt.started)
