"""URM, the Universal Reasoning Model (2512.14693), as a configuration of the recurrent core.

    one module of four blocks, one state: y <- net(y + x) in each loop   sec. 3
    short convolution (k = 2) after the expansion of the gated layer     sec. 3, ConvSwiGLU
    the first loops of a segment run forward only                        sec. 3, truncation
    one identity token; halting by q_halt > 0                            code, models/supervision.py

Where code and paper differ, both are options:

    loops, of which forward only   12, 6 (scripts; default)   8, 2 (paper): urm_plan(8, 2)
    heads are read                 after the last (default)   after each graded loop, losses are
                                                              summed (paper): read_each=True
"""

from models.plan import Call, LoopPlan
from models.recurrent import Convolution, CoreConfig


def urm_plan(loops: int = 12, forward_only: int = 6, *, read_each: bool = False) -> LoopPlan:
    """The calls of one segment of URM."""
    calls = []
    for loop in range(loops):
        graded = loop >= forward_only
        read = graded and read_each
        calls.append(Call(module="net", target="y", sources=("y", "x"), graded=graded, read=read))
    return LoopPlan(states=("y",), answer="y", calls=tuple(calls))


def original(vocabulary: int = 12, side: int = 30) -> CoreConfig:
    """The published size and the scripts' loops: 13,649,920 parameters and heads."""
    return CoreConfig(
        vocabulary=vocabulary,
        side=side,
        layers={"net": 4},
        convolution=Convolution(kind="row", place="mlp_expansion", kernel=2),
        plan=urm_plan(12, 6),
    )
