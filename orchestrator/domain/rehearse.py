"""[rehearse]: when a run is rehearsed, and what its programs are then asked for."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from orchestrator.domain.strict import STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearse:
    """[rehearse]. `above` is the estimated length of a run from which on a start rehearses first.

    `estimate` is that length; without it an earlier run, a limit or a budget tells it.
    `steps`, `every` and `examples` are what the programs are asked for; `tolerance` is relative,
    between losses after a resume and those of the uninterrupted control; `budget` is the most that
    one step of the rehearsal may take. `eval_every` and `checkpoint_every` are those of the real
    run, in optimizer steps, `keep` how many checkpoints it keeps, `cost` what an hour of one GPU
    costs. Times are in seconds.
    """

    __pydantic_config__: ClassVar = STRICT

    when: Literal["auto", "always", "never"] = "auto"
    above: float = 1800.0
    estimate: float | None = None
    steps: int | None = None
    every: int | None = None
    examples: int = 32
    tolerance: float = 1e-3
    budget: float = 600.0
    eval_every: int | None = None
    checkpoint_every: int | None = None
    keep: int | None = None
    cost: float | None = None
