"""HRM, the Hierarchical Reasoning Model (2506.21734), as a configuration of the recurrent core.

    two modules, H (slow, plans) and L (fast, computes)                 sec. 2
    z_L <- L(z_L + z_H + x) L_cycles times, then z_H <- H(z_H + z_L)     sec. 2
    that H_cycles times a segment                                       sec. 2
    one-step gradient: only the last L and the last H call are graded   sec. 2, approximate gradient
    one identity token; answer and q-values are read from z_H           code
    halting: q_halt > q_continue; the target of q_continue takes a      sec. 2, ACT
    second forward (models/supervision.py)

In the plan the state y is z_H, the answer, and z is z_L.
"""

from models.plan import Call, LoopPlan
from models.recurrent import CoreConfig


def hrm_plan(H_cycles: int = 2, L_cycles: int = 2) -> LoopPlan:
    """The calls of one segment of HRM."""
    calls = []
    for cycle in range(H_cycles):
        for step in range(L_cycles):
            last = cycle == H_cycles - 1 and step == L_cycles - 1
            calls.append(Call(module="L", target="z", sources=("y", "x", "z"), graded=last))
        last = cycle == H_cycles - 1
        calls.append(Call(module="H", target="y", sources=("y", "z"), graded=last))
    return LoopPlan(states=("y", "z"), answer="y", calls=tuple(calls))


def original(vocabulary: int = 11, side: int = 9) -> CoreConfig:
    """The published size: 27,275,266 parameters with the 11 tokens of 9 x 9 Sudoku."""
    return CoreConfig(
        vocabulary=vocabulary, side=side, layers={"H": 4, "L": 4}, plan=hrm_plan(2, 2)
    )


def small(vocabulary: int = 12, side: int = 30) -> CoreConfig:
    """4 H and 3 L blocks of width 256: HRM's rules at the size of the seed's plain network.

    The counterpart of models/plain_hrm.py, with 5,963,776 parameters in the blocks.
    """
    return CoreConfig(
        vocabulary=vocabulary,
        side=side,
        layers={"H": 4, "L": 3},
        width=256,
        plan=hrm_plan(2, 2),
    )
