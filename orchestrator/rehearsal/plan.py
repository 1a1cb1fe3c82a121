"""What the programs of a run are asked for in its rehearsal."""

import re
from collections.abc import Sequence

from orchestrator.domain.rehearsal import Plan
from orchestrator.domain.rehearse import Rehearse
from orchestrator.domain.run import Phase, RunRecord
from orchestrator.domain.settings import count_of
from orchestrator.domain.sizes import parse_size

_FEWEST_STEPS = 6
_ACCUMULATIONS = 3  # a scheduler that is stepped in micro-batches shows within three updates
_WORKERS = re.compile(r"--nproc[-_]per[-_]node(?:=(\d+))?")


def plan_of(record: RunRecord, rehearse: Rehearse) -> Plan:
    """The plan of a rehearsal: what [rehearse] says, else what the parameters are usually called.

    `steps` is at least three times the accumulation, even, at least two times `every`, and not
    more than the run itself plans; `grace`, world size and GPUs are those of the run.
    """
    accumulation = count_of(record.params, "accumulate") or 1
    steps = _steps(record, rehearse, accumulation)
    gpus, memory = record.resources.get("gpus"), record.resources.get("memory")
    return Plan(
        steps=steps,
        every=min(rehearse.every or steps, max(1, steps // 2)),
        examples=rehearse.examples,
        accumulation=accumulation,
        world=_world(record),
        planned_steps=record.planned_steps,
        eval_every=rehearse.eval_every or count_of(record.params, "eval_every"),
        checkpoint_every=rehearse.checkpoint_every or count_of(record.params, "checkpoint_every"),
        keep=rehearse.keep or count_of(record.params, "keep"),
        grace=record.grace,
        tolerance=rehearse.tolerance,
        budget=rehearse.budget,
        memory=parse_size(memory) if isinstance(memory, str) else None,
        gpus=gpus if isinstance(gpus, int) else 0,
        cost=rehearse.cost,
    )


def _steps(record: RunRecord, rehearse: Rehearse, accumulation: int) -> int:
    if rehearse.steps is not None:
        return rehearse.steps
    steps = max(_FEWEST_STEPS, _ACCUMULATIONS * accumulation, 2 * (rehearse.every or 0))
    if record.planned_steps is not None and record.planned_steps >= 2:
        steps = min(steps, record.planned_steps // 2 * 2)
    return steps + steps % 2


def _world(record: RunRecord) -> int:
    """How many processes train: torchrun's workers, else one."""
    for command in record.commands:
        if command.phase is Phase.TRAIN:
            return _workers(command.argv)
    return 1


def _workers(argv: Sequence[str]) -> int:
    for at, word in enumerate(argv):
        match = _WORKERS.fullmatch(word)
        if match is not None:
            count = match[1] or "".join(argv[at + 1 : at + 2])
            return int(count) if count.isdecimal() else 1
    return 1
