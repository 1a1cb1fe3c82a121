"""Why an attempt failed, told from its exit record and the end of its log."""

from dataclasses import replace

import pytest
from attempts import logs
from attempts.logs import raised

from orchestrator.diagnose.causes import Ending, Finish, name_cause, shortage
from orchestrator.domain.retry import Cause
from orchestrator.domain.run import ExitRecord, Outcome, StopRequest

LIMIT = StopRequest(by="exp", why="time limit of 8 h is used up", time=1.0)
BUDGET = StopRequest(by="exp", why="wall budget of 8 h is used up", time=1.0)
PERSON = StopRequest(by="ada", why="time limit of my patience", time=1.0)


def ending(code=1, *, number=None, log="", outcome=Outcome.FAILED, error=None, **more):
    exit_record = ExitRecord(
        code=code,
        signal=number,
        started=0.0,
        ended=1.0,
        recorded_by="shim",
        error=error,
        oom_kill=more.pop("oom_kill", None),
    )
    values = {"why": "why", "phase": "train", **more}
    return Ending(exit=exit_record, outcome=outcome, log=log, **values)


@pytest.mark.parametrize(
    ("end", "cause", "said"),
    [
        (ending(75), Cause.REQUEUE, "exit code 75 in train"),
        (ending(93), Cause.NO_RETRY, "exit code 93 in train"),
        (ending(75, stop=LIMIT, outcome=Outcome.STOPPED), Cause.REQUEUE, "time limit of 8 h"),
        (ending(75, stop=BUDGET, outcome=Outcome.STOPPED), Cause.STOPPED, "wall budget"),
        (ending(75, stop=PERSON, outcome=Outcome.STOPPED), Cause.STOPPED, "ada asked for"),
        (ending(None, number=15, stop=LIMIT, outcome=Outcome.STOPPED), Cause.STOPPED, "limit"),
        (ending(0, stop=LIMIT, outcome=Outcome.STOPPED), Cause.STOPPED, "limit"),
        (ending(None, number=15), Cause.PREEMPTED, "SIGTERM in train, which nobody asked exp for"),
        (ending(None, number=1), Cause.PREEMPTED, "SIGHUP"),
        (ending(None, number=10), Cause.PREEMPTED, "SIGUSR1"),
        (ending(143), Cause.PREEMPTED, "SIGTERM"),
        (ending(129), Cause.PREEMPTED, "SIGHUP"),
        (ending(138), Cause.PREEMPTED, "SIGUSR1"),
        (ending(1, log=logs.SIGNALLED), Cause.PREEMPTED, "SIGTERM"),
        (ending(130), Cause.STOPPED, "SIGINT"),
        (ending(None, number=9), Cause.KILLED, "the kernel does not tell of oom kills here"),
        (ending(137, oom_kill=0), Cause.KILLED, "nothing says who or why (oom_kill +0)"),
        (ending(137, log="Killed\n", oom_kill=0), Cause.KILLED, "oom_kill +0"),
        (ending(137, oom_kill=2), Cause.HOST_OOM, "oom_kill +2"),
        (ending(1, log=logs.TORCHRUN.format(code=-9), oom_kill=1), Cause.HOST_OOM, "SIGKILL"),
        (ending(1, log=logs.TORCHRUN.format(code=-9)), Cause.KILLED, "killed by SIGKILL"),
        (ending(1, log=logs.TORCHRUN.format(code=-15)), Cause.PREEMPTED, "SIGTERM"),
        (ending(1, log=logs.TORCHRUN.format(code=75)), Cause.REQUEUE, "75"),
        (ending(1, log=logs.TORCHRUN.format(code=93)), Cause.NO_RETRY, "93"),
        (ending(1, finished=(Finish(code=75, error=None),)), Cause.REQUEUE, "75"),
        (ending(1, log=logs.KILLED_WORKER, oom_kill=1), Cause.HOST_OOM, "DataLoader worker"),
        (ending(1, log=logs.KILLED_WORKER), Cause.KILLED, "DataLoader worker"),
        (ending(0, why="80 steps of 100 planned"), Cause.SHORT, "80 steps of 100 planned"),
        (ending(127, error="cannot start 'x': no such file"), Cause.PROGRAM, "cannot start 'x'"),
        (ending(None, number=11, log="step 1\n"), Cause.PROGRAM, "SIGSEGV in train"),
        (ending(3), Cause.PROGRAM, "exit code 3 in train; it printed nothing"),
    ],
)
def test_codes_and_signals(end, cause, said):
    """What an exit code or a signal proves, behind torchrun and a shell too."""
    found = name_cause(end)
    assert found.cause is cause, found.evidence
    assert said in found.evidence


@pytest.mark.parametrize(
    ("log", "cause", "said"),
    [
        (logs.SEED_VALIDATION, Cause.CUDA_OOM, "tried 6.36 > 6.14 free GiB: 0.22 GiB short"),
        (logs.SEED_TRAINING, Cause.CUDA_OOM, "tried 3.18 ≤ 1.53 free + 3.14 reserved"),
        (logs.OOM_NOW, Cause.CUDA_OOM, "(rank0) at train.py:step, in train; tried 3.18 ≤ 1.53"),
        (logs.OOM_OLD, Cause.CUDA_OOM, "+ 3.14 reserved but unallocated = 4.67 GiB: fragmentation"),
        (logs.SEED_URM, Cause.PROGRAM, "outside InferenceMode is not allowed. at arc.py:result"),
        (logs.TWO_RANKS, Cause.PROGRAM, "ValueError: bad sample 4711 (rank1) at train.py:load"),
        (
            logs.TWO_RANKS + logs.TORCHRUN.format(code=1),
            Cause.PROGRAM,
            "ValueError: bad sample 4711 (rank1) at train.py:load",
        ),
        (logs.GLOO + logs.TORCHRUN.format(code=1), Cause.NCCL, "Connection closed by peer"),
        (raised("KeyError: 'x'") + logs.GLOO, Cause.PROGRAM, "KeyError: 'x'"),
        (logs.WATCHDOG, Cause.NCCL, "Watchdog caught collective operation timeout"),
        (logs.WORKER, Cause.STORAGE, "OSError: [Errno 116] Stale file handle"),
        (raised("OSError: [Errno 28] No space left on device"), Cause.STORAGE, "Errno 28"),
        (raised("OSError: [Errno 5] Input/output error"), Cause.STORAGE, "Errno 5"),
        (
            raised("RuntimeError: CUDA error: uncorrectable ECC error encountered"),
            Cause.GPU_LOST,
            "",
        ),
        (raised("RuntimeError: CUDA error: device-side assert triggered"), Cause.PROGRAM, ""),
        ("NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.\n", Cause.GPU_LOST, "Xid"),
        (
            raised("torch.distributed.DistBackendError: NCCL error in: x, invalid usage, NCCL 2.1"),
            Cause.PROGRAM,
            "invalid usage",
        ),
        (
            raised("requests.exceptions.ReadTimeout: (read timeout=10)"),
            Cause.NETWORK,
            "ReadTimeout",
        ),
        (raised("ConnectionRefusedError: [Errno 111] Connection refused"), Cause.NETWORK, "111"),
        (
            raised("urllib.error.URLError: <urlopen error Network is unreachable>"),
            Cause.NETWORK,
            "",
        ),
        (
            "warning: Connection reset, trying again\nno data: exit\n",
            Cause.PROGRAM,
            "no data: exit",
        ),
        (raised("FloatingPointError: loss is NaN at step 7"), Cause.NAN, "NaN at step 7"),
        ("step 8\nLoss is nan, stopping training\n", Cause.NAN, "Loss is nan"),
        ("lm_loss produced non-finite value (nan); clamping to zero\n", Cause.PROGRAM, "clamping"),
        (
            raised("ZeroDivisionError: division by zero"),
            Cause.PROGRAM,
            "at train.py:main, in train",
        ),
        (raised("AssertionError"), Cause.PROGRAM, "AssertionError at train.py:main"),
        ("\x1b[31m" + raised("ValueError: red"), Cause.PROGRAM, "ValueError: red at train.py"),
    ],
)
def test_words(log, cause, said):
    """The exception of the program decides, with numbers and place, not its echo."""
    found = name_cause(ending(1, log=log))
    assert found.cause is cause, found.evidence
    assert said in found.evidence


def test_a_lost_shim_is_a_reboot_if_the_boot_differs():
    """The same missing record is a lost shim while the machine stayed up."""
    lost = ending(None, outcome=Outcome.LOST, error="vanished", boots=("a", "a"))
    assert name_cause(lost).cause is Cause.LOST
    assert name_cause(replace(lost, boots=("a", None))).cause is Cause.LOST
    rebooted = name_cause(replace(lost, boots=("a", "b")))
    assert (rebooted.cause, rebooted.evidence) == (Cause.PREEMPTED, "the machine was restarted")


def test_an_exception_that_was_survived_is_not_blamed():
    """A kill, and an exit that the program itself names, leave an older traceback aside."""
    old = raised("ConnectionError: wandb is away") + "step\n" * 300
    assert name_cause(ending(None, number=9, log=old)).cause is Cause.KILLED
    assert name_cause(ending(None, number=11, log=old)).cause is Cause.PROGRAM
    named = name_cause(ending(1, log=old, finished=(Finish(code=1, error="ValueError: no"),)))
    assert (named.cause, named.evidence) == (Cause.PROGRAM, "ValueError: no, in train")


def test_telemetry_explains_an_end_that_the_log_does_not():
    """A GPU that fell off the bus meanwhile causes CUDA errors, no ValueError."""
    lost = ("GPU-1: NVML does not list it",)
    odd = raised("RuntimeError: CUDA error: unspecified launch failure")
    assert name_cause(ending(1, log=odd)).cause is Cause.PROGRAM
    assert name_cause(ending(1, log=odd, lost_gpus=lost)).cause is Cause.GPU_LOST
    assert name_cause(ending(None, number=9, lost_gpus=lost)).cause is Cause.GPU_LOST
    assert name_cause(ending(None, number=6, lost_gpus=lost)).cause is Cause.GPU_LOST
    assert name_cause(ending(1, log=raised("ValueError"), lost_gpus=lost)).cause is Cause.PROGRAM


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("ValueError: bad sample 17 of 0x7f1c", "ValueError: bad sample 4 of 0xaa00", True),
        ("OSError: no /a/b/x.npy", "OSError: no /tmp/x.npy", True),
        ("OSError: no /a/b/x.npy", "OSError: no /a/b/y.npy", False),
        ("ValueError: a", "KeyError: a", False),
        ("ValueError: a", "ValueError: b", False),
    ],
)
def test_fingerprints(one, other, alike):
    """Failures that differ in numbers, addresses and folders are the same; others are not."""
    first, second = (name_cause(ending(1, log=raised(text))).fingerprint for text in (one, other))
    assert (first == second) is alike
    elsewhere = name_cause(ending(1, log=raised(one, function="load"))).fingerprint
    assert first != elsewhere


@pytest.mark.parametrize(
    ("text", "fragmented"),
    [
        ("Tried to allocate 3.18 GiB. 1.53 GiB is free. 3.14 GiB is reserved", True),
        ("Tried to allocate 3.18 GiB. 1.53 GiB is free. 1.00 GiB is reserved", False),
        ("Tried to allocate 20.00 MiB. 1.53 GiB is free. 3.14 GiB is reserved", True),
        ("Tried to allocate 6.36 GiB. GPU has 6.14 GiB free", None),
        ("Tried to allocate 6.36 GiB", None),
    ],
)
def test_fragmentation_is_arithmetic(text, fragmented):
    """tried ≤ free + reserved but unallocated; without these numbers nobody can tell."""
    assert shortage(text).fragmented is fragmented


def test_no_numbers_are_no_shortage():
    """A message without the size that was tried says nothing about memory."""
    assert shortage("CUDA error: out of memory") is None


@pytest.mark.parametrize(
    ("link", "first", "cause"),
    [
        ("direct cause", "torch.OutOfMemoryError: CUDA out of memory.", Cause.CUDA_OOM),
        ("handling", "RuntimeError: CUDA out of memory.", Cause.CUDA_OOM),
        ("handling", "ConnectionError: no mirror", Cause.PROGRAM),
        ("unrelated", "torch.OutOfMemoryError: CUDA out of memory.", Cause.PROGRAM),
    ],
)
def test_a_wrapped_lack_of_memory_stays_one(link, first, cause):
    """An exception raised from it, twice even, or while it is handled; not one that follows it."""
    words = {
        "direct cause": "The above exception was the direct cause of the following exception:",
        "handling": "During handling of the above exception, another exception occurred:",
        "unrelated": "epoch 2",
    }[link]
    head = 'Traceback (most recent call last):\n  File "a.py", line 1, in step\n    x\n'
    told = f"{first} Tried to allocate 2.00 GiB"
    links = [told, "ValueError: validation failed", "SystemError: again"]
    found = name_cause(ending(1, log=f"\n\n{words}\n\n".join(head + each for each in links)))
    assert found.cause is cause
    assert ("2.00 GiB" in found.evidence) is (cause is Cause.CUDA_OOM)
