"""Findings about memory: which, in which phase, with which sum, and what to do."""

import pytest
from attempts import logs
from diagnose import oom
from diagnose.cases import case, curve, event, found, record

from orchestrator.diagnose.case import Machine
from orchestrator.diagnose.findings import diagnose
from orchestrator.diagnose.rules import memory
from orchestrator.diagnose.signs import LogScan
from orchestrator.domain.attempt import Failure
from orchestrator.domain.finding import Quote, Severity
from orchestrator.domain.hardware import HostReading
from orchestrator.domain.retry import Cause
from orchestrator.domain.run import ExitRecord, Outcome

GIB = 1 << 30
SAGE = {"heads": 8, "seq_len": 5164}
FAILED = ExitRecord(code=1, signal=None, started=0.0, ended=9.0, recorded_by="shim")
CROWDED = """
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.00 GiB. GPU 0 has a total capacity \
of 31.36 GiB of which 2.62 MiB is free. Process 81034 has 30.57 GiB memory in use. Including \
non-PyTorch memory, this process has 784.00 MiB memory in use. Of the allocated memory 179.69 MiB \
is allocated by PyTorch, and 12.31 MiB is reserved by PyTorch but unallocated.
"""
ALONE = CROWDED.replace("Process 81034 has 30.57 GiB memory in use. ", "")


def failed(cause, evidence="evidence"):
    return {1: Failure(cause=cause, evidence=evidence, fingerprint="f", retry=False, why="why")}


def hit(log, *, params=None, events=(), env=None, **fields):
    """A run whose log is `log`; it ended with exit code 1."""
    scan = LogScan()
    scan.feed(1, "attempt-1/out.log", 1, log)
    fields = {"exit": FAILED, "ended": True, "outcome": Outcome.FAILED, **fields}
    told = record(params=params, env=env or {})
    return case(record=told, hits=scan.hits(), events=events, **fields)


def process(phase, **more):
    return event("process", {"phase": phase, "state": "begin", **more})


def only(rule, of):
    (finding,) = rule(of)
    return finding


def test_the_seeds_validation_is_short_and_explained():
    """6.36 GiB with 6.14 free in `validate`: 0.22 short, and the scores of eight samples."""
    told = only(memory.cuda_oom, hit(logs.SEED_VALIDATION, params={**SAGE, "batch_size": 8}))
    assert told.id == "cuda-oom-eval"
    assert told.severity is Severity.ERROR
    assert "0.22 GiB short" in told.title
    assert told.arithmetic.startswith("6.36 GiB = 8 × 8 heads × 5164² × 4 B (batch × heads")
    assert "tried 6.36 > 6.14 free GiB: 0.22 GiB short" in told.arithmetic
    assert "scaled_dot_product_attention" in told.action
    assert told.retry is False
    quoted = [quote.text for quote in told.evidence]
    assert any("Tried to allocate 6.36 GiB" in text for text in quoted)
    assert "heads = 8" in quoted
    assert "seq_len = 5164" in quoted


def test_an_explained_size_beats_the_allocator_setting():
    """3.18 GiB of scores: attention is the cause, fragmentation only the trigger."""
    sick = hit(logs.SEED_TRAINING, params={**SAGE, "batch_size": 4})
    told = only(memory.cuda_oom, sick)
    assert told.id == "cuda-oom-train"
    assert told.arithmetic.startswith("3.18 GiB = 4 × 8 heads × 5164² × 4 B")
    assert "expandable_segments" not in told.action
    assert "Fragmentation was the trigger" in told.meaning
    assert list(memory.fragmentation(sick)) == []


def test_a_size_that_nothing_explains_is_fragmentation():
    """Without shapes the seed's numbers say that there was memory, in pieces."""
    told = only(memory.fragmentation, hit(logs.SEED_TRAINING))
    assert told.arithmetic == (
        "tried 3.18 ≤ 1.53 free + 3.14 reserved but unallocated = 4.67 GiB: fragmentation"
    )
    assert "expandable_segments:True" in told.action
    assert found(diagnose(hit(logs.SEED_TRAINING))) == ["cuda-oom-train", "fragmentation"]


@pytest.mark.parametrize("name", ["PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"])
def test_a_setting_that_is_there_is_not_advised(name):
    """With expandable segments already on, only a smaller batch is left."""
    sick = hit(logs.SEED_TRAINING, env={name: "expandable_segments:True"}, params={"batch": 8})
    assert list(memory.fragmentation(sick)) == []
    assert "--set batch=4" in only(memory.cuda_oom, sick).action


def test_logits_and_parameters_have_actions_of_their_own():
    """What the size is decides what to do."""
    text = "RuntimeError: CUDA out of memory. Tried to allocate {} GiB. 0.10 GiB is free."
    shapes = {"batch": 16, "seq_len": 1024, "vocab_size": 50_257, "n_params": 10**9}
    logits = only(memory.cuda_oom, hit(text.format("3.07"), params=shapes))
    assert "cross-entropy in chunks" in logits.action
    copies = only(memory.cuda_oom, hit(text.format("3.73"), params=shapes))
    assert "optimizer state" in copies.action
    assert "n_params = 1000000000" in [quote.text for quote in copies.evidence]


@pytest.mark.parametrize(
    ("events", "log", "of"),
    [
        ([process("train")], logs.OOM_OLD, "train"),
        ([process("train"), process("eval")], logs.OOM_OLD, "eval"),
        # The program's own word is surer than the command's,
        (
            [process("train"), event("phase", {"phase": "eval", "state": "begin"})],
            logs.OOM_OLD,
            "eval",
        ),
        (
            [
                event("phase", {"phase": "eval", "state": "begin"}),
                event("phase", {"phase": "eval", "state": "end", "error": "CUDA out of memory"}),
                event("phase", {"phase": "checkpoint", "state": "begin"}),
            ],
            logs.OOM_OLD,
            "eval",
        ),
        (
            [
                process("train"),
                event("phase", {"phase": "eval", "state": "begin"}),
                event("phase", {"phase": "eval", "state": "end"}),
            ],
            logs.OOM_OLD,
            "train",
        ),
        # and than the functions of the traceback, which are surer than the command.
        ([process("train")], logs.SEED_VALIDATION, "eval"),
        (
            [process("train"), event("phase", {"phase": "train", "state": "begin"})],
            logs.SEED_VALIDATION,
            "train",
        ),
        ([], logs.OOM_NOW, "train"),
        ([event("phase", {"phase": "eval", "state": "begin"}, attempt=2)], logs.OOM_OLD, "train"),
    ],
)
def test_the_phase_is_that_of_the_moment(events, log, of):
    """Where it happened decides which batch must shrink."""
    assert only(memory.cuda_oom, hit(log, events=events)).id == f"cuda-oom-{of}"


def test_evaluation_never_touches_the_training_batch():
    """The evaluation batch is halved by its own name; training's stays."""
    sick = hit(logs.SEED_VALIDATION, params={"batch_size": 8, "eval_batch_size": 6})
    action = only(memory.cuda_oom, sick).action
    assert "--set eval_batch_size=3" in action
    assert " batch_size=" not in action


@pytest.mark.parametrize(
    ("log", "retry", "word"), [(CROWDED, True, "exp gpu"), (ALONE, False, "accumulation")]
)
def test_a_shared_gpu_is_told(log, retry, word):
    """What other processes hold counts only where the message tells which process is ours."""
    told = only(memory.cuda_oom, hit(log))
    assert told.retry is retry
    assert word in told.action
    assert ("other processes hold 30.57 GiB" in told.arithmetic) is retry


def test_cuda_malloc_async_stands_on_several_lines():
    """Its numbers come behind the exception and stand in the evidence."""
    told = only(memory.cuda_oom, hit(oom.ASYNC))
    assert "tried 0.62 > 0.01 free" in told.arithmetic
    assert "640.00 MiB" in told.evidence[0].text


def test_a_program_that_goes_on_has_caught_it():
    """An attempt that lives, or ended otherwise, is warned of; it did not end by it."""
    living = hit(logs.OOM_OLD, exit=None, ended=False, outcome=None)
    other = hit(logs.OOM_OLD, failures=failed(Cause.NETWORK))
    assert only(memory.cuda_oom, living).severity is Severity.WARN
    assert only(memory.cuda_oom, other).severity is Severity.WARN
    ended = hit(logs.OOM_OLD, failures=failed(Cause.CUDA_OOM))
    assert only(memory.cuda_oom, ended).severity is Severity.ERROR


def test_without_a_log_the_cause_is_enough():
    """failure.json quotes the message; its file is the evidence."""
    evidence = (
        "torch.OutOfMemoryError: Tried to allocate 6.36 GiB. 6.14 GiB free. at t.py:validate, x"
    )
    told = only(memory.cuda_oom, hit("", failures=failed(Cause.CUDA_OOM, evidence)))
    assert told.id == "cuda-oom-eval"
    assert told.evidence[0].source == "attempt-1/failure.json"
    assert "0.22 GiB short" in told.arithmetic


def test_an_earlier_attempt_is_closed():
    """What ended attempt 1 is no finding of attempt 2."""
    assert list(memory.cuda_oom(hit(logs.OOM_OLD, attempt=2))) == []


def killed(*, oom_kill, code=None, number=9, **fields):
    ended = ExitRecord(
        code=code, signal=number, started=0.0, ended=9.0, recorded_by="shim", oom_kill=oom_kill
    )
    return hit(fields.pop("log", ""), exit=ended, **fields)


KERNEL = Quote(source="kernel", text="Out of memory: Killed process 4711 (python) total-vm:9kB")
KERNEL_SAYS = {
    "machine": Machine(kernel=(KERNEL,)),
    "events": [event("start", {"pid": 4711, "rank": 0})],
}
SLURM = "slurmstepd: error: Detected 1 oom_kill event in StepId=12.batch.\n"


@pytest.mark.parametrize(
    ("sick", "says"),
    [
        (killed(oom_kill=2), "oom_kill +2"),
        (killed(oom_kill=1, code=137, number=None), "code 137"),
        (killed(oom_kill=None, log=SLURM), "slurmstepd"),
        (killed(oom_kill=None, **KERNEL_SAYS), "Killed process 4711"),
        (hit("", failures=failed(Cause.HOST_OOM, "worker killed; oom_kill +1")), "oom_kill +1"),
    ],
)
def test_the_host_had_no_memory(sick, says):
    """A kill, and somebody who says that it was for want of memory."""
    told = only(memory.host_oom, sick)
    assert says in told.arithmetic
    assert told.retry is False


@pytest.mark.parametrize(
    "well",
    [
        killed(oom_kill=0, log="Killed\n"),
        killed(oom_kill=None, log="Killed\n"),
        killed(oom_kill=None, machine=Machine(kernel=(KERNEL,))),  # somebody else's process
        killed(oom_kill=3, code=0, number=None),
        killed(oom_kill=1, code=1, number=None),
        killed(oom_kill=None, code=0, number=None, log=SLURM),
    ],
)
def test_a_bare_kill_proves_nothing(well):
    """Without proof that it was memory, and a kill of ours, there is no finding."""
    assert list(memory.host_oom(well)) == []


def test_the_peak_and_the_workers_are_named():
    """What the run held of the machine's memory, and the setting to change."""
    held = curve("system/tree_memory", [10 * GIB, 62 * GIB, 9 * GIB], source="attempt-1/t.jsonl")
    machine = Machine(host=HostReading(time=0.0, memory_total=64 * GIB))
    sick = case(
        record=record(params={"num_workers": 16}),
        curves=[held],
        machine=machine,
        exit=ExitRecord(code=None, signal=9, started=0, ended=1, recorded_by="shim", oom_kill=1),
    )
    told = only(memory.host_oom, sick)
    assert "held 62.00 of 64.00 GiB" in told.title
    assert "--set num_workers=8" in told.action


def test_a_copy_of_the_parameters_leaves_fragmentation_standing():
    """Optimizer state cannot be avoided as scores can: the allocator setting comes first."""
    sick = hit(logs.SEED_TRAINING, params={"n_params": round(3.18 * GIB / 4)})
    told = only(memory.cuda_oom, sick)
    assert "of parameters" in told.title
    assert "fragmentation" in told.action
    assert only(memory.fragmentation, sick).severity is Severity.WARN
