"""TRM, the Tiny Recursive Model (2510.04871), as a configuration of the recurrent core.

    one network of two blocks for both states                     sec. 4.3, 4.4
    z <- f(z + y + x) n times, then y <- f(y + z)                  sec. 4.2
    that T times a segment, gradient through the whole last time  sec. 4.1
    T = 3; n = 6 for Sudoku, 4 for mazes and ARC                  sec. 5, scripts
    attention, or a SwiGLU over positions for short canvases      sec. 4.5
    halting by q_halt > 0, so no second forward                   sec. 4.6, models/supervision.py
    16 identity tokens: the identity vector, then zeros           code

Where the paper is silent and the code is not, both are options:

    norm after the position mixer   over positions, as the code does (default), or over channels,
                                    as after attention: `mixer_norm`
"""

from dataclasses import replace

from models.plan import Call, LoopPlan
from models.recurrent import CoreConfig


def trm_plan(T: int = 3, n: int = 6) -> LoopPlan:
    """The calls of one segment of TRM."""
    calls = []
    for cycle in range(T):
        last = cycle == T - 1
        scratch = Call(module="net", target="z", sources=("y", "x", "z"), graded=last)
        calls += [scratch] * n
        calls.append(Call(module="net", target="y", sources=("y", "z"), graded=last))
    return LoopPlan(states=("y", "z"), answer="y", calls=tuple(calls))


def attention(vocabulary: int = 12, side: int = 30, n: int = 4) -> CoreConfig:
    """The published network with attention: 2 x 3,407,872 parameters and heads (ARC, mazes)."""
    return CoreConfig(
        vocabulary=vocabulary,
        side=side,
        layers={"net": 2},
        identity_tokens=16,
        plan=trm_plan(3, n),
    )


def mlp(vocabulary: int = 11, side: int = 9, n: int = 6) -> CoreConfig:
    """The published network that mixes positions: 5,016,576 parameters and heads at 9 x 9."""
    return replace(
        attention(vocabulary, side, n), mixer="mlp", mixer_norm="positions", positions="none"
    )
