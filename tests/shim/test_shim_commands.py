"""The commands of a run: in order, with their output, up to the first that fails."""

import json
import os
import signal
import sys

import pytest

from orchestrator.domain.run import ExitRecord, Identity, PhaseExit


def test_success_leaves_a_complete_record(shim, source):
    """Code 0, both phases with their times, the memory of the largest child, nobody left."""
    one = shim().start(source("print('trained')"), source("x = bytearray(50_000_000)"))
    record = one.wait()
    ExitRecord(**record)
    assert [PhaseExit(**phase).phase for phase in record["phases"]] == ["train", "eval"]
    assert (record["code"], record["signal"], record["error"]) == (0, None, None)
    assert record["recorded_by"] == "shim"
    assert record["started"] <= record["phases"][0]["started"] <= record["phases"][0]["ended"]
    assert record["phases"][1]["ended"] <= record["ended"]
    assert 50_000_000 < record["max_rss"] < 2_000_000_000
    assert (record["leftovers"], record["survivors"]) == (0, 0)
    assert one.log() == "trained\n"
    assert one.process.returncode == 0


def test_failure_ends_the_sequence(shim, source):
    """A command that exits 1 is the last one, and its code is that of the attempt and the shim."""
    one = shim().start(source("raise SystemExit(1)"), source("print('never')"))
    record = one.wait()
    assert (record["code"], record["signal"]) == (1, None)
    assert [phase["phase"] for phase in record["phases"]] == ["train"]
    assert one.log() == ""
    assert one.process.returncode == 1


def test_death_by_signal_is_told_apart_from_a_code(shim, source):
    """A command killed by SIGKILL has no code but a signal; the shim ends with 128 + 9."""
    one = shim().start(source("import os; os.kill(os.getpid(), 9)"))
    record = one.wait()
    assert (record["code"], record["signal"]) == (None, 9)
    assert one.process.returncode == 137


@pytest.mark.parametrize(
    ("argv", "code"), [(["no-such-program-x"], 127), (["/no/such/file"], 127), (["/etc"], 126)]
)
def test_command_that_cannot_start_is_named(shim, source, argv, code):
    """127 for a missing program and 126 for one that is no program, with its name in `error`."""
    one = shim().start(argv, source("print('never')"))
    record = one.wait()
    assert record["code"] == code
    assert repr(argv[0]) in record["error"]
    assert len(record["phases"]) == 1


def test_missing_working_folder_is_named(shim, source, tmp_path):
    """If the folder to run in is gone, the record says which."""
    one = shim().start(source("print('never')"), cwd=tmp_path / "gone")
    record = one.wait()
    assert record["code"] == 127
    assert str(tmp_path / "gone") in record["error"]


def test_each_command_knows_its_phase_and_runs_in_the_given_folder(shim, source, tmp_path):
    """EXP_PHASE is set for each command, the rest of the environment is passed on."""
    says = source(
        "import os; print(os.environ['EXP_PHASE'], os.environ['EXP_RUN_ID'], os.getcwd())"
    )
    one = shim().start(says, says, cwd=tmp_path)
    one.wait()
    name = one.run.name
    assert one.log().splitlines() == [f"{phase} {name} {tmp_path}" for phase in ("train", "eval")]


def test_command_has_its_own_session_default_signals_and_no_stdin(shim, source):
    """A program starts as from a fresh login: session leader, nothing blocked, stdin at its end."""
    one = shim().start(
        source(
            "import os, signal, sys\n"
            "print(os.getsid(0) == os.getpid(), sys.stdin.read() == '')\n"
            "print(signal.pthread_sigmask(signal.SIG_BLOCK, []))\n"
            "status = open('/proc/self/status').read()\n"
            "ignored = int(status.partition('SigIgn:')[2].split()[0], 16)\n"
            "print([s.name for s in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)\n"
            "       if ignored >> (s - 1) & 1])\n"
        ),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),  # as nohup does
    )
    one.wait()
    assert one.log().splitlines() == ["True True", "set()", "[]"]


def test_locks_given_to_the_shim_are_not_inherited(shim, source):
    """A descriptor that the launcher passes stays with the shim, so the kernel frees it with it."""
    reader, writer = os.pipe()
    one = shim().start(
        source(
            "import os\n"
            "print(sorted(int(n) for n in os.listdir('/proc/self/fd')\n"
            "      if os.path.exists(f'/proc/self/fd/{n}')))\n"
        ),
        pass_fds=(reader,),
    )
    os.close(reader)
    os.close(writer)
    one.wait()
    assert one.log() == "[0, 1, 2]\n"


def test_log_is_the_commands_own_descriptor(shim, source):
    """Stdout and stderr are one file in append mode: order is kept and nothing goes through us."""
    one = shim().start(
        source(
            "import fcntl, os, sys\n"
            "print('out', flush=True); print('err', file=sys.stderr, flush=True)\n"
            "print('out again', flush=True)\n"
            "print(all(fcntl.fcntl(n, fcntl.F_GETFL) & os.O_APPEND for n in (1, 2)), flush=True)\n"
            "print(os.path.samefile('/proc/self/fd/1', '/proc/self/fd/2'))\n"
        )
    )
    one.wait()
    assert one.log() == "out\nerr\nout again\nTrue\nTrue\n"


def test_large_output_is_whole(shim, source):
    """50 MB of log from a program that never waits arrive to the last byte."""
    one = shim().start(
        source("import os\nfor n in range(500): os.write(1, b'x' * 99_999 + b'\\n')")
    )
    assert one.wait()["code"] == 0
    assert (one.attempt / "out.log").stat().st_size == 50_000_000


def test_unterminated_progress_bar_is_kept(shim, source):
    """Output without a final newline, with carriage returns and raw bytes, is kept as it is."""
    one = shim().start(source(r"import os; os.write(1, b'\r 50%\r100%|\xff\xe2')"))
    one.wait()
    assert (one.attempt / "out.log").read_bytes() == b"\r 50%\r100%|\xff\xe2"


def test_process_events_frame_every_command(shim, source):
    """Begin and end of each command are events, in a file that only the shim writes."""
    one = shim().start(source("pass"), ["no-such-program-x"])
    one.wait()
    seen = [(data["phase"], data["state"], data.get("code")) for data in one.events()]
    assert seen == [
        ("train", "begin", None),
        ("train", "end", 0),
        ("eval", "begin", None),
        ("eval", "end", 127),
    ]
    (file,) = one.attempt.glob("events-*.jsonl")
    assert file.name == f"events-{os.uname().nodename}-shim-{one.process.pid}.jsonl"


def test_identity_is_written_before_the_first_command(shim, source):
    """A command finds proc.json in place, and it names the shim beyond doubt."""
    one = shim()
    one.start([sys.executable, "-c", f"print(open({str(one.attempt / 'proc.json')!r}).read())"])
    one.wait()
    identity = Identity(**json.loads(one.log()))
    assert identity.pid == one.process.pid
    assert identity.host == os.uname().nodename
    assert identity.start_ticks > 0
    assert len(identity.boot_id) == 36


def test_second_shim_of_one_attempt_is_refused(shim, source, until):
    """An attempt that has a process cannot get another; the first one is not disturbed."""
    one = shim().start(source("import time; print('up', flush=True); time.sleep(60)"))
    until(lambda: "up" in one.log())
    first, one.process = one.process, None
    one.start(source("print('second', flush=True)"))
    _, said = one.process.communicate(timeout=60)
    assert one.process.returncode != 0
    assert b"FileExistsError" in said
    assert "second" not in one.log()
    assert first.poll() is None
    one.process = first
    first.send_signal(signal.SIGTERM)
    assert one.wait()["signal"] == signal.SIGTERM
