"""The direct transformer: the same blocks applied once, with nothing recurrent (2506.21734 sec. 3).

The baseline beside every recurrent model: `equal_to` has the same parameters to the last one, so
that what differs is the loop. y <- net(x); the state it starts from is not used, so more segments
than one give the same answer again.
"""

from dataclasses import replace

from models.plan import Call, LoopPlan
from models.recurrent import CoreConfig


def direct_plan() -> LoopPlan:
    """One call on the question."""
    call = Call(module="net", target="y", sources=("x",), graded=True)
    return LoopPlan(states=("y",), answer="y", calls=(call,))


def equal_to(config: CoreConfig) -> CoreConfig:
    """A direct transformer with all blocks of `config`, one after the other."""
    return replace(config, layers={"net": sum(config.layers.values())}, plan=direct_plan())


def original(vocabulary: int = 11, side: int = 9) -> CoreConfig:
    """The eight blocks of width 512 that HRM's paper compares with."""
    return CoreConfig(vocabulary=vocabulary, side=side, layers={"net": 8}, plan=direct_plan())
