"""What usually lies behind an error of a rehearsed program, and what to do about it."""

import re

from orchestrator.domain.rehearsal import PhaseSpan, StageFacts
from orchestrator.rehearsal.measures import EVAL

_OOM = re.compile(r"out of memory|OutOfMemory|bad_alloc|MemoryError", re.IGNORECASE)
# Words of an error → what to do about it.
_KNOWN = {
    r"inference tensor|InferenceMode|inference_mode": (
        "a tensor made under torch.inference_mode() is changed or trained later; evaluate under "
        "torch.no_grad(), or clone() what is kept"
    ),
    r"(?:missing|unexpected) keys?\b|state_dict": (
        "what is saved is not what is loaded; save and load the state of model, optimizer, "
        "scheduler and loader under the same names"
    ),
    r"no space left|ENOSPC|disk quota": (
        "the disk is full; free space, keep fewer checkpoints or save them elsewhere"
    ),
    r"nccl|gloo|collective|timed? ?out waiting": (
        "the processes do not meet; see that each takes the same branches and has the same number "
        "of batches"
    ),
    r"bus error|shared memory|/dev/shm": (
        "the shared memory is too small for the loader's workers; enlarge it or use fewer workers"
    ),
}
_OOM_IN_EVALUATION = (
    "halve the evaluation batch, evaluate under torch.no_grad(), and empty the cache before it; "
    "the training batch can stay as it is"
)
_OOM_IN_TRAINING = (
    "halve the micro-batch and double the accumulation, or use activation checkpointing"
)


def remedy(facts: StageFacts, phase: str) -> str:
    """The next thing to do about the end of a program in this phase."""
    said = facts.error.text if facts.error is not None else ""
    said += "".join(span.error or "" for span in facts.phases)
    if _OOM.search(said):
        return _OOM_IN_EVALUATION if phase == EVAL else _OOM_IN_TRAINING
    for pattern, action in _KNOWN.items():
        if re.search(pattern, said, re.IGNORECASE):
            return action
    return f"read the end of {facts.log}"


def ending(facts: StageFacts, budget: float) -> str | None:
    """How a program ended that did not end well, in words; None for one that did."""
    if facts.ended_by is not None:
        return f"did not end within {budget:.0f} s"
    if facts.exit is None:
        return "vanished without a record of its end"
    if facts.exit.error is not None:
        return f"could not be started: {facts.exit.error}"
    if facts.exit.signal is not None:
        return f"was ended by signal {facts.exit.signal}"
    return None if facts.exit.code == 0 else f"ended with exit code {facts.exit.code}"


def failed_span(facts: StageFacts) -> PhaseSpan | None:
    """The phase in which a program that did not end well was; None if it was in none."""
    broken = [each for each in facts.phases if each.error is not None or each.seconds is None]
    inner = [each for each in broken if each.phase != "train"]
    return inner[-1] if inner else None
