"""One way of training one case, measured in a process of its own: `benchmarks/gpu.py` starts it.

    python -m benchmarks.gpu_variant '{"case": "TRM-mlp 9x9", "way": "ours", "compiled": "blocks",
                                       "mode": "default", "device": "cuda"}'

It takes the first 20 steps, which compile what is to be compiled and whose losses are compared,
prints "ready", waits for a line, measures alone, and prints one line of JSON. A process each: a
way that fails or hangs takes nothing with it, and several compile at once.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from statistics import median

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.cases import Case, OurTraining, batches, twin
from benchmarks.comparator_step import ComparatorTraining
from models import hrm, trm, urm
from models.recurrent import RecurrentCore, count_parameters

CHECKED, ROUNDS, ROUND = 20, 5, 6
# Kernels that multiply matrices, by what libraries and compilers call them.
MATMUL = re.compile(r"gemm|nvjet|cutlass|xmma|cublas|flash|fmha|attention|triton_tem|::mm|::bmm")
_SUDOKU = {"rows": 768, "identifiers": 1}
CASES = {
    case.name: case
    for case in (
        Case(name="TRM-mlp 9x9", config=trm.mlp(), kind="trm_mlp", **_SUDOKU),
        Case(name="HRM 9x9", config=hrm.original(), kind="hrm", **_SUDOKU),
        Case(name="URM ARC", config=urm.original(), kind="urm", rows=96, identifiers=80_000),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What a process measures. `compiled`: off, segment (with its loss) or blocks, one by one."""

    case: str
    way: str
    compiled: str
    mode: str
    device: str

    @property
    def name(self) -> str:
        how = {"off": "eager", "blocks": f"blocks, {self.mode}"}.get(self.compiled, self.mode)
        return f"{self.way}, {how}"


def chosen(variant: Variant) -> Case:
    """The case at its size, or where there is no GPU the same code on a few numbers."""
    case = CASES[variant.case]
    if variant.device == "cuda":
        return case
    small = {"trm_mlp": trm.trm_plan(2, 1), "urm": urm.urm_plan(2, 1), "hrm": hrm.hrm_plan(2, 1)}
    tiny = case.tiny()
    return replace(tiny, config=replace(tiny.config, plan=small[case.kind]))


def training(variant: Variant, case: Case) -> Callable[[dict[str, torch.Tensor]], object]:
    """The step of a variant, from weights that are the same for all variants of a case."""
    torch.manual_seed(0)
    core = RecurrentCore(case.config).to(variant.device)
    if variant.way == "comparator":
        model = twin(case, core, torch.bfloat16)
        return ComparatorTraining(model, _first(case), _wrap(variant)).step
    if variant.compiled == "blocks":
        for block in (block for net in core.nets.values() for block in net):
            block.compile(**_how(variant))
    return OurTraining(case, core, torch.bfloat16, _wrap(variant)).step


def _first(case: Case) -> dict[str, torch.Tensor]:
    return batches(case, 1, torch.device("cpu"))[0]


def _wrap(variant: Variant) -> Callable[[nn.Module], Callable]:
    if variant.compiled != "segment":
        return lambda part: part
    return lambda part: torch.compile(part, **_how(variant))


def _how(variant: Variant) -> dict[str, str]:
    """On a processor everything but the writing of machine code, which would take minutes."""
    return {"mode": variant.mode} if variant.device == "cuda" else {"backend": "aot_eager"}


def fed(variant: Variant, case: Case) -> list[dict[str, torch.Tensor]]:
    """Rows for 20 steps: ours lie on the device, the comparator's are pinned and copied."""
    on_gpu = variant.device == "cuda"
    if variant.way == "ours":
        return batches(case, CHECKED, torch.device(variant.device))
    made = batches(case, CHECKED, torch.device("cpu"))
    return [{n: v.pin_memory() if on_gpu else v for n, v in batch.items()} for batch in made]


def first_steps(variant: Variant, case: Case):
    """The step and the losses of the first 20; where memory is short, tried again a little later.

    Others compile and try their first steps at the same time, and each may need half the memory.
    """
    for patience in (5, 10, 20, None):
        try:
            step, rows = training(variant, case), fed(variant, case)
            return step, [float(step(batch)) for batch in rows]
        except torch.OutOfMemoryError:
            if patience is None:
                raise
        torch.cuda.empty_cache()
        time.sleep(patience)
    raise AssertionError


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def measured(variant: Variant, case: Case, step: Callable) -> dict[str, object]:
    """Seconds a step (median of rounds), peak memory, and seconds a step in matrix products."""
    rows = fed(variant, case)[:ROUND]
    if variant.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    spent = []
    for _ in range(ROUNDS):
        wait(variant.device)
        begun = time.perf_counter()
        for batch in rows:
            step(batch)
        wait(variant.device)
        spent.append((time.perf_counter() - begun) / len(rows))
    on_gpu = variant.device == "cuda"
    return {
        "seconds": median(spent),
        "peak": torch.cuda.max_memory_reserved() if on_gpu else None,
        "matmul": matmul_seconds(variant, step, rows[:3]),
    }


def matmul_seconds(variant: Variant, step: Callable, rows: list) -> float | None:
    """Device seconds a step in kernels that multiply matrices; None if none was seen."""
    on_gpu = variant.device == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as seen:
        for batch in rows:
            step(batch)
        wait(variant.device)
    kernels = [event for event in seen.key_averages() if MATMUL.search(event.key.lower())]
    if on_gpu:
        micros = sum(event.self_device_time_total for event in kernels)
    else:
        micros = sum(event.self_cpu_time_total for event in kernels)
    return micros / 1e6 / len(rows) if micros else None


def main() -> int:
    variant = Variant(**json.loads(sys.argv[1]))
    case = chosen(variant)
    if variant.device == "cpu":
        torch.set_num_threads(1)
    begun = time.perf_counter()
    step, losses = first_steps(variant, case)
    if variant.device == "cuda":
        torch.cuda.empty_cache()
    prepared = time.perf_counter() - begun
    print("ready", flush=True)
    sys.stdin.readline()
    found = {
        "variant": asdict(variant),
        "prepared": prepared,
        "losses": losses,
        "rows": case.rows,
        "parameters": count_parameters(RecurrentCore(case.config)),
        "flops": case.flops.total,
        "layer_flops": case.flops.layers,
        **measured(variant, case, step),
    }
    print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
