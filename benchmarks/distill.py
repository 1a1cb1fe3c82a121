"""A step of distillation with all of the vocabulary and with the teacher's 256 likeliest tokens.

    python -m benchmarks.distill            the table, on the GPU if there is one

A step is forward and backward from hidden states through the student's head and the term, at
T = 2. The ways, each in processes of its own, in turns:

    textbook     log_softmax of both, then F.kl_div; the teacher's logits lie in memory
    full         models.distill.kd_full of the same
    k=256 made   the same logits, of which each step keeps 256 a token
    k=256 cached only the 256 are there, as from a cache; no logits of the teacher
    labels       cross-entropy alone: what a step without a teacher costs

The teacher itself is not run: `full` owes its forward pass, `k=256 cached` does not. Peak memory
is over what stood before the teacher's data: these, the logits, and the gradients.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

# Threads that wait give way, as in benchmarks/models.py.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.models import peak_memory
from models.distill import cross_entropy, kd_full, kd_top_k, top_k

WAYS = ("textbook", "full", "k=256 made", "k=256 cached", "labels")
VOCABULARIES, WIDTH, TEMPERATURE = (50_000, 150_000), 256, 2.0
ROUNDS, STEPS = 2, 3
LADDER = (16, 64, 256, 1024)
TOLERANCE = 1e-3  # between the values of the textbook way and ours, of float32
ROOT = Path(__file__).resolve().parents[1]

Term = Callable[[Tensor], Tensor]  # from the student's logits [N, V] to values [N]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What is measured: tokens of a step, tokens of the vocabulary, and how many are kept."""

    tokens: int
    vocabulary: int
    k: int = 256


def teacher_logits(sizes: Sizes, seed: int = 0) -> Tensor:
    """Synthetic: frequencies after Zipf's law, and what the context adds to them, [N, V]."""
    source = torch.Generator().manual_seed(seed)
    ranks_V = torch.randperm(sizes.vocabulary, generator=source) + 2.0
    noise_NV = torch.randn(sizes.tokens, sizes.vocabulary, generator=source)
    return noise_NV.mul_(2).sub_(ranks_V.log())


def textbook(student_NV: Tensor, teacher_NV: Tensor) -> Tensor:
    """The term as it is usually written, with F.kl_div."""
    log_q_NV = F.log_softmax(student_NV.float() / TEMPERATURE, -1)
    log_p_NV = F.log_softmax(teacher_NV.float() / TEMPERATURE, -1)
    apart_NV = F.kl_div(log_q_NV, log_p_NV, log_target=True, reduction="none")
    return TEMPERATURE**2 * apart_NV.sum(-1)


def term_of(way: str, sizes: Sizes, device: torch.device) -> tuple[Term, int]:
    """The term of a way, and how many bytes it has of the teacher."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    teacher_NV = teacher_logits(sizes).to(device, dtype)
    kept = top_k(teacher_NV, sizes.k, TEMPERATURE)
    labels_N = kept.ids_NK[:, 0].clone()
    terms: dict[str, Term] = {
        "textbook": lambda x_NV: textbook(x_NV, teacher_NV),
        "full": lambda x_NV: kd_full(x_NV, teacher_NV, TEMPERATURE),
        "k=256 made": lambda x_NV: kd_top_k(x_NV, top_k(teacher_NV, sizes.k, TEMPERATURE)),
        "k=256 cached": lambda x_NV: kd_top_k(x_NV, kept),
        "labels": lambda x_NV: cross_entropy(x_NV, labels_N),
    }
    cached = kept.ids_NK.nbytes + kept.logprobs_NK.nbytes + kept.left_over_N.nbytes
    held = {"k=256 cached": cached, "labels": labels_N.nbytes}
    return terms[way], held.get(way, teacher_NV.nbytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Seconds of the steps, and of the term alone from logits on; bytes at the peak of a step."""

    way: str
    step: list[float]
    term: list[float]
    peak: int | None
    value: float


def measure(way: str, sizes: Sizes, device: torch.device) -> Measured:
    """Steps from hidden states on, then the term by itself, in this process."""
    torch.manual_seed(0)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    head = nn.Linear(WIDTH, sizes.vocabulary, bias=False, device=device, dtype=dtype)
    hidden_ND = torch.randn(sizes.tokens, WIDTH, device=device, dtype=dtype, requires_grad=True)
    term, held = term_of(way, sizes, device)

    def step() -> Tensor:
        head.weight.grad = hidden_ND.grad = None
        loss = term(head(hidden_ND)).mean()
        loss.backward()
        return loss.detach()

    value = float(step())
    seconds = timed(step, device)
    head.weight.grad = hidden_ND.grad = None
    peak = peak_of(step, device)
    with torch.no_grad():
        logits_NV = head(hidden_ND)

    def alone() -> None:
        term(logits_NV.detach().requires_grad_()).mean().backward()

    alone()
    return Measured(
        way=way,
        step=seconds,
        term=timed(alone, device),
        peak=None if peak is None else peak + held,
        value=value,
    )


def timed(work: Callable[[], object], device: torch.device) -> list[float]:
    """Seconds of each of a few times."""
    seconds = []
    for _ in range(STEPS):
        wait(device)
        begun = time.perf_counter()
        work()
        wait(device)
        seconds.append(time.perf_counter() - begun)
    return seconds


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_of(work: Callable[[], object], device: torch.device) -> int | None:
    """Bytes that `work` needs at its peak over what stood before."""
    if device.type != "cuda":
        return peak_memory(work)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    work()
    return torch.cuda.max_memory_allocated(device) - before


def in_a_process(way: str, sizes: Sizes) -> Measured:
    """One way, measured by a fresh process, whose memory is nobody else's."""
    argv = [sys.executable, "-m", "benchmarks.distill", "--way", way]
    argv += ["--tokens", str(sizes.tokens), "--vocabulary", str(sizes.vocabulary)]
    printed = subprocess.run(argv, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
    return Measured(**json.loads(printed))


def rows_of(sizes: Sizes, rounds: list[list[Measured]]) -> list[str]:
    """A line of the table for each way; speed and memory are beside those of `full`."""
    lines, full = [], next(runs for runs in zip(*rounds, strict=True) if runs[0].way == "full")
    base, most = median_of(full, "step"), peak_in(full)
    for runs in zip(*rounds, strict=True):
        step, term, peak = median_of(runs, "step"), median_of(runs, "term"), peak_in(runs)
        share = f"{peak / most:6.0%}" if peak and most else "unknown"
        lines.append(
            f"{sizes.vocabulary:>10,} {runs[0].way:<13} {step * 1e3:8.0f} {term * 1e3:8.0f} "
            f"{'unknown' if peak is None else f'{peak / 2**20:,.0f}':>8} "
            f"{base / step:6.2f}x {share:>7} {runs[0].value:9.4f}"
        )
    return lines


def median_of(runs: Sequence[Measured], name: str) -> float:
    return median(seconds for run in runs for seconds in getattr(run, name))


def peak_in(runs: Sequence[Measured]) -> int | None:
    """The least of what the runs needed: what else is in memory can only add to it."""
    return min((run.peak for run in runs if run.peak is not None), default=None)


def faults(measured: list[Measured]) -> list[str]:
    """What does not hold: the values of both full ways agree, those of 256 tokens are a bound."""
    value = {one.way: one.value for one in measured}
    peak = {one.way: one.peak for one in measured}
    said = []
    if not abs(value["full"] / value["textbook"] - 1) <= TOLERANCE:
        said.append(f"full is {value['full']}, the textbook's {value['textbook']}")
    if not value["k=256 cached"] == value["k=256 made"] <= value["full"] * (1 + TOLERANCE):
        said.append(f"k=256 is {value['k=256 cached']}, above the full {value['full']}")
    if None not in peak.values() and not peak["k=256 cached"] < peak["full"]:
        said.append("k=256 cached needs no less memory than full")
    return said


def closeness(sizes: Sizes) -> list[str]:
    """How much of the full value a few tokens show, of a student between noise and the teacher."""
    teacher_NV, other_NV = teacher_logits(sizes), teacher_logits(sizes, seed=1)
    student_NV = 0.7 * teacher_NV + 0.3 * other_NV
    lines = []
    for temperature in (1.0, TEMPERATURE):
        full = float(kd_full(student_NV, teacher_NV, temperature).mean())
        for k in LADDER:
            kept = top_k(teacher_NV, k, temperature)
            value = float(kd_top_k(student_NV, kept).mean())
            mass = 1 - float(kept.left_over_N.exp().mean())
            lines.append(
                f"{sizes.vocabulary:>10,} {temperature:4.1f} {k:6,} {mass:7.1%} {value / full:7.1%}"
            )
    return lines


def main() -> int:
    """Print the tables; 1 if values or memory are not as they must be."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tokens = 4096 if device.type == "cuda" else 512
    print(f"{tokens} tokens a step, width {WIDTH}, T = {TEMPERATURE}, {device.type}, medians")
    print(
        f"{'vocabulary':>10} {'way':<13} {'step ms':>8} {'term ms':>8} {'peak MiB':>8} "
        f"{'speed':>7} {'memory':>7} {'value':>9}"
    )
    missed = []
    for vocabulary in VOCABULARIES:
        sizes = Sizes(tokens=tokens, vocabulary=vocabulary)
        rounds = [[in_a_process(way, sizes) for way in WAYS] for _ in range(ROUNDS)]
        print("\n".join(rows_of(sizes, rounds)), flush=True)
        missed += faults(rounds[0])
    print("\nspeed and memory: beside `full`. term: forward and backward of it, from logits on")
    print(
        "\nSynthetic logits: how much of the teacher's mass, and of the full value, k tokens show"
    )
    print(f"{'vocabulary':>10} {'T':>4} {'k':>6} {'mass':>7} {'value':>7}")
    for vocabulary in VOCABULARIES:
        print("\n".join(closeness(Sizes(tokens=64, vocabulary=vocabulary))))
    print(
        "\n" + "\n".join(missed or ["values agree, k=256 is a lower bound and needs less memory"])
    )
    return int(bool(missed))


def child(argv: list[str]) -> int:
    """Measure one way here and print it as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--way", choices=WAYS, required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--vocabulary", type=int, required=True)
    given = parser.parse_args(argv)
    sizes = Sizes(tokens=given.tokens, vocabulary=given.vocabulary)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(json.dumps(asdict(measure(given.way, sizes, device))))
    return 0


if __name__ == "__main__":
    sys.exit(child(sys.argv[1:]) if len(sys.argv) > 1 else main())
