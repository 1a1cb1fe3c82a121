"""What a start and a resume have in common: can it ever run, what does it wait for, its turn."""

from orchestrator import tickets
from orchestrator.config import load_config
from orchestrator.domain.run import Outcome, RunRecord
from orchestrator.domain.ticket import TicketPhase, TicketStatus
from orchestrator.errors import EnvironmentFailure, NotFoundError, RefusedError
from orchestrator.ids import ticket_id, ticket_number
from orchestrator.store import Reader
from orchestrator.watch.dispatch import Dispatcher
from orchestrator.watch.gpu_pool import GpuPool, seen_by, units
from orchestrator.watch.live import is_finished, live_runs
from orchestrator.watch.queue import cpu_slots, gpus_wanted
from orchestrator.workspace import RunFolder, Workspace


def check_capacity(workspace: Workspace, record: RunRecord) -> tuple[str, ...]:
    """Refuse what this machine can never run; returns warnings.

    Raises:
        EnvironmentFailure: more GPUs or CPU slots are asked for than there are.
    """
    limit, wanted = load_config(workspace.root).queue.cpus, cpu_slots(record)
    if limit is not None and wanted > limit:
        raise EnvironmentFailure(
            f"{record.experiment}: the run takes {wanted} CPU slots, exp.toml has [queue] cpus = "
            f"{limit}",
            hint="ask for less, or raise the limit",
        )
    return _check_gpus(record) if gpus_wanted(record) else ()


def _check_gpus(record: RunRecord) -> tuple[str, ...]:
    wanted, pool = gpus_wanted(record), GpuPool()
    reading = pool.read()
    if reading.gpus is None:
        if pool.leases.ever_used():
            return (f"GPUs cannot be leased now: {reading.problem}",)
        return (f"started without a lease of its GPUs: {reading.problem}",)
    there = units(reading)
    seen = seen_by(record.environment, there)
    count = len(there) if seen is None else len(seen)
    if wanted > count:
        among = "this machine has" if seen is None else "CUDA_VISIBLE_DEVICES leaves"
        raise EnvironmentFailure(
            f"{record.experiment}: resources.gpus = {wanted}, but {among} {count}",
            hint="ask for less, or start it where there are more (nvidia-smi -L)",
        )
    return ()


def runs_before(workspace: Workspace, texts: tuple[str, ...]) -> tuple[str, ...]:
    """The runs that `--after` names; a ticket stands for its newest live run.

    Raises:
        NotFoundError: there is no such run, or the ticket has no live one.
        RefusedError: one has ended already and did not complete.
    """
    names = [name for text in texts for name in text.split(",") if name.strip()]
    return tuple(dict.fromkeys(_run_before(workspace, name.strip()) for name in names))


def _run_before(workspace: Workspace, name: str) -> str:
    if name[:1] in "Tt":
        return _newest_live(workspace, ticket_id(ticket_number(name)))
    folder = workspace.run(name)
    with Reader(workspace.database) as reader:
        row = reader.run(folder.id)
    if row is not None and is_finished(folder, row) and row.outcome != Outcome.COMPLETED:
        raise RefusedError(
            f"--after {folder.id}: it has ended {row.outcome}",
            hint=f"exp run resume {folder.id}, or leave it out",
        )
    return folder.id


def _newest_live(workspace: Workspace, ticket: str) -> str:
    live = [
        folder.id
        for folder, record, _ in live_runs(workspace)
        if record.ticket is not None and record.ticket.id == ticket
    ]
    if not live:
        raise NotFoundError(
            f"--after {ticket}: it has no live run", hint=f"exp run list --ticket {ticket}"
        )
    return live[-1]


def take_turn(workspace: Workspace, run: RunFolder) -> None:
    """Start a queued run if its turn has come, in this process's environment.

    The queue's lock must be held.

    Raises:
        EnvironmentFailure: its turn has come, but it could not be started.
    """
    with Reader(workspace.database) as reader:
        Dispatcher(workspace, reader).dispatch(live_runs(workspace), only=run.id)


def mark_ongoing(document: tickets.Document) -> tickets.Document:
    """A ticket whose run lives or waits for its turn."""
    document = document.set_field("Status", TicketStatus.ONGOING)
    if document.ticket.phase not in set(TicketPhase):
        document = document.set_field("Phase", TicketPhase.IMPLEMENTING)
    return document
