"""Lines of a log that mean something, whatever else stands in it and however it is cut."""

import random
import tracemalloc
from itertools import pairwise

import pytest
from attempts import logs
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.diagnose.signs import SIGNS, LogScan

SICK = {
    "cuda_oom": [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.",
        "[rank1]: RuntimeError: \x1b[31mCUDA error:\x1b[0m out of memory",
        "RuntimeError: HIP out of memory. Tried to allocate 2.00 GiB",
        "torch.OutOfMemoryError: XPU out of memory. Tried to allocate 192.00 MiB.",
        "RuntimeError: MPS backend out of memory (MPS allocated: 17.98 GB, max allowed: 18 GB)",
        "OutOfMemoryError: Allocation on device 0 would exceed allowed memory. (out of memory)",
        "[W801 C.cpp:3933] OOM on device 0 while trying to allocate 580911104 bytes (free: 19)",
    ],
    "host_oom_word": [
        "slurmstepd: error: Detected 1 oom_kill event in StepId=12.batch.",
        "Out of memory: Killed process 4711 (python) total-vm:1kB",
        "RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes",
        "MemoryError",
    ],
    "nan": [
        "Step 1118: [Warning] lm_loss produced non-finite value (nan); clamping to zero.",
        "step 4 | loss=nan | lr 1e-4",
        "{'loss': NaN, 'step': 3}",
        "loss nan lr=0.1",
        "grad_norm: inf",
        "Loss is nan, stopping training",
        "found 3 NaNs in the gradients",
        "best_loss: inf loss: nan",
        "nan_count: 0 loss: -inf",
    ],
    "clamp": ["lm_loss produced non-finite value (nan); clamping to zero."],
    "scaler_skip": [
        "Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to 32768.0",
        "[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 65536",
    ],
    "nccl": [
        "[rank3]:[E1121 11:00:00 P.cpp:616] [Rank 3] Watchdog caught collective operation timeout:",
        "torch.distributed.DistBackendError: NCCL error in: x.cpp:1",
    ],
    "xid": ["NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus."],
    "gpu_lost": ["Unable to determine the device handle: GPU is lost."],
    "killed": [
        "Killed",
        "run.sh: line 3:  4711 Killed   python train.py",
        "exitcode  : -9 (pid: 4)",
    ],
    "no_space": ["OSError: [Errno 28] No space left on device"],
    "lr_zero": [
        "step 1118 lr=0.00e+00",
        "Learning rate: 0.0",
        "{'lr': 0.0, 'x': 1}",
        "train/lr 0 loss 3",
    ],
    "speed": [
        "1.72it/s]",
        "26.5 steps/s",
        "3.1 s/it",
        "Speed: 2.5 batches/sec",
        "{'train_steps_per_second': 2}",
    ],
    "skipped_batch": ["Skipped batch 17: too long", "warning: 3 samples were skipped"],
    "traceback": ["Traceback (most recent call last):"],
    "root_cause": ["Root Cause (first observed failure):"],
    "torn_checkpoint": [
        "RuntimeError: PytorchStreamReader failed reading zip archive: not a ZIP archive",
        "exp: checkpoint skipped, checkpoints/step_5: model.pt: 3 bytes instead of 4",
    ],
    "votes": ["pass@1 with 40 votes: 40.3%"],
    "input_bound_word": ["The 'train_dataloader' does not have many workers: a bottleneck."],
}
HEALTHY = [
    "  0%|          | 0/51905 [00:00<?, ?it/s]",
    "read /data/samples/step/it from s/iter",
    "[2025-10-12 19:46:01] INFO train step 3 | loss 0.51 | lr 2.9e-04 | grad_norm 1.2",
    "step 5 lr=0.0003 loss=0.01 lr_min: 7.96e-06",
    "python train.py --lr 0 --clamp 1",
    "best_val_loss: inf",
    "val_loss improved from inf to 2.31",
    "nan_count=0 skipped=0 found_inf: 0.0",
    "no nan found; checked for NaN",
    "torch.autograd.set_detect_anomaly(check_nan=True)",
    "finance infinite nanmean(x) information: 3",
    "    except torch.OutOfMemoryError:",
    "set this to avoid CUDA out of memory errors",
    "[rank0]:[W1121 11:00:00 ProcessGroupNCCL.cpp:4571] using GPU 0 to perform barrier",
    "h:1:2 [0] NCCL INFO Bootstrap : Using eth0",
    "GPU memory 13.2 GB of 15.6",
    "Skipping the first 3 epochs and 100 batches",
    "oom_kill 0",
    "the process was not Killed by us",
    "1 of 4 bottleneck layers",
    "saved in checkpoints/step_10",
]


def scan(*texts, attempt=1, source="out.log"):
    """What a log in pieces holds; each piece begins where the one before ended."""
    found, line = LogScan(), 1
    for text in texts:
        found.feed(attempt, source, line, text)
        line += text.replace("\r", "\n").count("\n")
    return found.hits()


def kinds_of(line):
    return sorted(scan(f"before\n{line}\nbehind\n"))


@pytest.mark.parametrize(
    ("kind", "line"), [(kind, line) for kind, lines in SICK.items() for line in lines]
)
def test_a_sign_is_found(kind, line):
    """Each kind of line is found where it stands, without its escape sequences."""
    hits = scan(f"before\n{line}\nbehind\n")
    assert [hit.line for hit in hits[kind].shown] == [2]
    assert "\x1b" not in hits[kind].first[0].text


@pytest.mark.parametrize("line", HEALTHY)
def test_a_healthy_line_is_no_sign(line):
    """What reads alike and means nothing is passed over."""
    assert kinds_of(line) == []


def test_every_kind_is_tried():
    """The table above has lines of every kind there is."""
    assert set(SICK) == set(SIGNS)


LOG = "\n".join(
    [line for lines in SICK.values() for line in lines] + HEALTHY + ["x" * 40_000 + " loss=nan", ""]
)
LOG = (
    f"{LOG}{logs.OOM_NOW}{logs.SEED_URM}\r\n█ 50%\r█ 51% 2.0it/s\r{logs.SEED_TRAINING}last loss=nan"
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, len(LOG)), max_size=30))
def test_the_cuts_change_nothing(cuts):
    """The same lines are found however a log is cut into pieces, within words and escapes too."""
    at = [0, *sorted(cuts), len(LOG)]
    assert scan(*(LOG[a:b] for a, b in pairwise(at))) == scan(LOG)


def test_a_letter_at_a_time_is_the_same():
    """The finest cut of all."""
    short = LOG[: LOG.index("xxxx")] + LOG[-2_000:]
    assert scan(*short) == scan(short)


def test_random_bytes_are_survived():
    """Binary junk is no sign, hides none, and lines keep their numbers."""
    made = random.Random(7)
    junk = bytes(made.randrange(256) for _ in range(200_000)).decode("utf-8", "surrogateescape")
    lines = junk.replace("\r", "\n").count("\n")
    hits = scan(f"{junk}\nCUDA out of memory\n{junk}")
    assert [hit.line for hit in hits["cuda_oom"].shown] == [lines + 2]


def test_lines_behind_belong_to_a_message():
    """The seeds' own message stands on three lines; the next failure is one of its own."""
    hits = scan(logs.SEED_VALIDATION + logs.SEED_TRAINING)["cuda_oom"]
    first, second = (hit.text for hit in hits.shown)
    assert "6.14 GiB free.\nProcess using 9.41 GiB" in first
    assert "3.14 GiB reserved" in second
    assert first.count("Tried") == second.count("Tried") == 1


def test_windows_line_ends_do_not_cut_a_message():
    """A carriage return before a newline makes an empty line, which ends nothing."""
    hits = scan(logs.SEED_VALIDATION.replace("\n", "\r\n"))["cuda_oom"]
    assert "6.14 GiB free" in hits.first[0].text


def test_a_last_line_without_its_end_counts_and_may_grow():
    """`hits` shows what stands there, and changes nothing of what comes."""
    found = LogScan()
    found.feed(1, "out.log", 1, "ok\nloss=na")
    assert found.hits() == {}
    found.feed(1, "out.log", 2, "n")
    assert found.hits()["nan"].first[0].line == 2
    assert found.hits()["nan"].total == 1
    found.feed(1, "out.log", 2, "noscale 3\n")
    assert found.hits() == {}


def test_a_gap_ends_a_line():
    """Where text was left out, lines before and behind are not joined."""
    found = LogScan()
    found.feed(1, "out.log", 1, "loss=n")
    found.feed(1, "out.log", 900, "an\nloss=nan\n")
    assert [hit.line for hit in found.hits()["nan"].shown] == [901]


def test_logs_are_kept_apart():
    """Two sources and two attempts that are read in turns do not mix."""
    found = LogScan()
    for attempt, source in ((1, "a"), (1, "b"), (2, "a")):
        found.feed(attempt, source, 1, "loss=n")
    for attempt, source in ((1, "a"), (1, "b"), (2, "a")):
        found.feed(attempt, source, 1, "an\n")
    places = [(hit.attempt, hit.source, hit.line) for hit in found.hits()["nan"].shown]
    assert places == [(1, "a", 1), (1, "b", 1), (2, "a", 1)]


def test_only_the_first_and_the_last_are_kept():
    """All are counted; twenty of each end are kept, none twice."""
    hits = scan("".join(f"step {n} loss=nan\n" for n in range(1, 1001)))["nan"]
    assert hits.total == 1000
    assert [hit.line for hit in hits.shown] == [*range(1, 21), *range(981, 1001)]
    few = scan("loss=nan\n" * 25)["nan"]
    assert [hit.line for hit in few.shown] == list(range(1, 26))


def test_a_hit_is_cut():
    """A hit holds 2,000 characters at most."""
    assert len(scan("loss=nan " + "y" * 9_000 + "\n")["nan"].first[0].text) == 2_000
    assert (
        len(
            scan("Traceback (most recent call last):\n" + "z" * 9_000 + "\n")["traceback"]
            .first[0]
            .text
        )
        == 2_000
    )


def test_memory_is_bounded():
    """A line that never ends, and lines that are all different, take no more and no more."""
    found, words = LogScan(), random.Random(3)
    tracemalloc.start()
    found.feed(1, "out.log", 1, "loss=nan " * 1000)
    for _ in range(4):
        found.feed(1, "out.log", 1, "never ending nan " * 60_000)
    line = 1
    for _ in range(3):
        text = "".join(f"loss=nan {words.getrandbits(400):x}\n" for _ in range(2_000))
        found.feed(1, "log", line, text)
        line += 2_000
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert now < 3e6
    assert found.hits()["nan"].total == 6_001


def test_a_flood_of_rates_is_counted_and_its_ends_are_kept():
    """Of a progress bar's lines the first and the last are there, whatever stands between."""
    scan, at = LogScan(), 1
    for piece in range(3):
        lines = [f"{piece * 1000 + n}/9999 [00:01<00:02, 1.72it/s]" for n in range(1000)]
        lines[500] = "Loss is nan at 1.72it/s"
        scan.feed(1, "out.log", at, "".join(f"{line}\r" for line in lines))
        at += len(lines)
    found = scan.hits()
    assert found["speed"].total == 3000
    assert [hit.line for hit in found["speed"].shown] == [*range(1, 21), *range(2981, 3001)]
    assert [hit.line for hit in found["nan"].shown] == [501, 1501, 2501]
