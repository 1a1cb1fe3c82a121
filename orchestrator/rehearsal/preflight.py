"""Step 0: what stands in the way before anything is started."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.domain.hardware import Gpu, GpuReading
from orchestrator.domain.rehearsal import Plan, RehearsalStep
from orchestrator.domain.sizes import format_size
from orchestrator.rehearsal.checks.steps import Judgement

_LEAST_DISK = 1024**3  # bytes; logs, temporary files and the index want room too
_LEAST_INODES = 10_000
_LEAST_SHARED = 64 * 1024**2  # bytes; what containers have by default is used up by one worker
_MOST_OF_DISK = 0.95  # of the free space, that the forecast may take
_LEAST_FREE_GPU = 0.90  # of a GPU that is to be the run's alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The machine and the workspace before a rehearsal. Sizes in bytes; None means unknown.

    `disk_free` and `inodes_free` are those of the disk of the run folders. `ports` are those that
    the programs ask for by number, `taken` those of them that somebody listens on. `git` are words
    on what would not be in the snapshot. `mirrors` hold what went wrong by name, None if it
    answers. `missing` are paths that parameters or commands name and that are not there.
    `checkpoint` is the size of one in earlier runs, `checkpoints` how many will lie there at once,
    `log` how large logs and records will become.
    """

    disk_free: int | None = None
    inodes_free: int | None = None
    shared_total: int | None = None
    shared_free: int | None = None
    memory_total: int | None = None
    memory_available: int | None = None
    gpus: GpuReading | None = None
    ports: tuple[int, ...] = ()
    taken: tuple[int, ...] = ()
    git: tuple[str, ...] = ()
    mirrors: Mapping[str, str | None] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    checkpoint: int | None = None
    checkpoints: int | None = None
    log: int | None = None


def check_preflight(around: Surroundings, plan: Plan, seconds: float = 0.0) -> RehearsalStep:
    """Paths, disk, memory, shared memory, GPUs, ports, git, mirrors; a line for each."""
    found = Judgement(0, plan)
    _paths(found, around.missing)
    _disk(found, around)
    _inodes(found, around)
    _memory(found, around, plan)
    _shared(found, around)
    _gpus(found, around.gpus, plan)
    _ports(found, around)
    _git(found, around.git)
    _mirrors(found, around.mirrors)
    return found.step("nothing stands in the way", seconds)


def _paths(found: Judgement, missing: Sequence[str]) -> None:
    if missing:
        found.note(f"paths: {len(missing)} missing")
        found.fail(
            f"missing: {', '.join(missing)}",
            "create them, or correct the parameters and commands that name them",
        )
    else:
        found.note("paths: all there that parameters and commands name")


def _disk(found: Judgement, around: Surroundings) -> None:
    free, log = around.disk_free, around.log or 0
    if free is None:
        found.note("disk: unknown")
        return
    count, size = around.checkpoints, around.checkpoint
    if count is None or size is None:
        found.note(f"disk: {format_size(free)} free; size of checkpoints unknown so far")
    else:
        needed = count * size + log
        terms = f"{count:,} checkpoints of {format_size(size)} and {format_size(log)} of logs"
        line = f"{format_size(needed)} for {terms}, {format_size(free)} free"
        found.note(f"disk: {line}")
        if needed > _MOST_OF_DISK * free:
            found.fail(f"the disk is too small: {line}", "free space, or keep fewer checkpoints")
    if free < _LEAST_DISK:
        found.warn(
            f"only {format_size(free)} are free on the disk of the run folders",
            "free space before the run writes its checkpoints",
        )


def _inodes(found: Judgement, around: Surroundings) -> None:
    if around.inodes_free is None:
        found.note("inodes: unknown")
        return
    line = f"{around.inodes_free:,} inodes free"
    found.note(f"inodes: {line}")
    if around.inodes_free < _LEAST_INODES:
        found.warn(
            f"only {line}", "remove small files: a full table stops writing like a full disk"
        )


def _memory(found: Judgement, around: Surroundings, plan: Plan) -> None:
    total, available, asked = around.memory_total, around.memory_available, plan.memory
    if total is None or available is None:
        found.note("memory: unknown")
        return
    of = f"{format_size(available)} of {format_size(total)} available"
    found.note(f"memory: {of}" + (f", {format_size(asked)} asked for" if asked else ""))
    if asked is not None and asked > total:
        found.fail(
            f"the spec asks for {format_size(asked)} of memory, and there are {format_size(total)}",
            "lower resources.memory, or take another machine",
        )
    elif asked is not None and asked > available:
        found.warn(
            f"the spec asks for {format_size(asked)} of memory, and only {of}",
            "end what holds it, or wait",
        )


def _shared(found: Judgement, around: Surroundings) -> None:
    free, total = around.shared_free, around.shared_total
    if free is None:
        found.note("shared memory: unknown")
        return
    line = f"{format_size(free)} of {format_size(total or free)} of shared memory free"
    found.note(f"shared memory: {line}")
    if free <= _LEAST_SHARED:
        found.warn(
            f"only {line}: workers of a loader pass their batches through it",
            "enlarge it (docker run --shm-size), or load without workers",
        )


def _gpus(found: Judgement, reading: GpuReading | None, plan: Plan) -> None:
    if not plan.gpus:
        found.note("GPUs: none asked for")
        return
    known = None if reading is None else reading.gpus
    if known is None:
        problem = reading.problem if reading is not None else None
        found.note("GPUs: unknown")
        found.warn(
            f"nobody can tell the state of the GPUs: {problem or 'they were not read'}",
            "see that nvidia-smi works",
        )
        return
    wholes = {gpu.parent for gpu in known}
    usable = [gpu for gpu in known if gpu.uuid not in wholes]
    sick = {gpu.index: why for gpu in usable if (why := _sickness(gpu)) is not None}
    busy = [words for gpu in usable if (words := _busy(gpu)) is not None]
    line = f"{len(usable)} there, {len(sick)} sick, {len(busy)} in use; {plan.gpus} asked for"
    found.note(f"GPUs: {line}", *busy)
    if len(usable) - len(sick) < plan.gpus:
        whys = "".join(f"; GPU {index}: {why}" for index, why in sick.items())
        found.fail(f"too few healthy GPUs: {line}{whys}", "restart or exclude what is sick")
    elif len(usable) - len(sick) - len(busy) < plan.gpus:
        found.warn(f"too few free GPUs: {line}: {busy[0]}", "exp gpu names who holds them")


def _sickness(gpu: Gpu) -> str | None:
    if gpu.recovery not in (None, "none"):
        return f"the driver asks for {gpu.recovery}"
    if gpu.ecc_uncorrected:
        return f"{gpu.ecc_uncorrected} uncorrected memory errors"
    return None


def _busy(gpu: Gpu) -> str | None:
    """Who holds memory of a GPU that should be free; None if nobody does or nobody can tell."""
    total, used = gpu.memory_total, gpu.memory_used
    if not total or used is None or total - used >= _LEAST_FREE_GPU * total:
        return None
    pids = ", ".join(str(each.pid) for each in gpu.processes or ())
    by = f" by process {pids}" if pids else ""
    return f"GPU {gpu.index}: {format_size(used)} of {format_size(total)} in use{by}"


def _ports(found: Judgement, around: Surroundings) -> None:
    if not around.ports:
        found.note("ports: none asked for by number")
        return
    found.note(f"ports: {', '.join(map(str, around.ports))}")
    if around.taken:
        found.fail(
            f"port {', '.join(map(str, around.taken))} is in use already",
            "end who listens there, or let the program take a free port",
        )


def _git(found: Judgement, words: Sequence[str]) -> None:
    found.note("git: all of it is in the snapshot" if not words else f"git: {'; '.join(words)}")
    if words:
        found.warn("; ".join(words), "commit what the run depends on")


def _mirrors(found: Judgement, mirrors: Mapping[str, str | None]) -> None:
    for name, problem in sorted(mirrors.items()):
        found.note(f"mirror {name}: {problem or 'answers'}")
        if problem is not None:
            found.warn(
                f"the mirror {name} does not answer: {problem}",
                "the run goes on without it; see to it before its results are wanted there",
            )
