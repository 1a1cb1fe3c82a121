"""The bundle of an attempt that went wrong: what is in it, what never is, and what it survives."""

import json
import os
import time
from pathlib import Path

import pytest

from orchestrator.domain.attempt import AttemptRequest, Failure
from orchestrator.domain.retry import Cause
from orchestrator.domain.run import AttemptState, Command, ExitRecord, Phase, RunRecord, StopRequest
from orchestrator.watch.forensics import is_worth_keeping, kernel_lines, preserve
from orchestrator.workspace import RunFolder

KEY = 'zq"7\\rö-hidden value-4711'
ELASTIC = {"message": {"message": "ValueError: {0}", "extraInfo": {"timestamp": "1005"}}}


def failure(cause=Cause.PROGRAM, evidence="ValueError: bad"):
    return Failure(cause=cause, evidence=evidence, fingerprint="", retry=False, why="", step=7)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """What dmesg and nvidia-smi say is the test's choice."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def put(name, script):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    put("dmesg", "exit 0")
    put("nvidia-smi", "echo fine")
    return put


class Crime:
    """A run folder in which an attempt has failed."""

    def __init__(self, path):
        self.folder = RunFolder(path / "R-000001")
        self.attempt = self.folder.attempt(1).path
        self.attempt.mkdir(parents=True)
        self.path = path
        self.env = {}
        self.argv = ("/nowhere/bin/python", "a.py")
        self.write("out.log", "step 1\n")

    def write(self, name, text):
        target = self.attempt / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())

    def rank(self, rank, *lines):
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        self.write(f"events-a-host-{rank}-{100 + rank}.jsonl", text)

    def gather(self, why=None):
        commands = (Command(phase=Phase.TRAIN, argv=self.argv),)
        record = RunRecord(
            id="R-000001",
            created=0.0,
            host="h",
            cwd=str(self.path),
            commands=commands,
            env=self.env,
        )
        now = time.time()
        state = AttemptState(
            number=1,
            request=AttemptRequest(by="ada", why="", time=0.0, commands=commands),
            exit=ExitRecord(code=1, signal=None, started=now - 60, ended=now, recorded_by="shim"),
        )
        preserve(self.folder, record, state, why or failure())
        return self.folder.forensics(1)

    def json(self, name):
        return json.loads((self.folder.forensics(1) / name).read_text())


@pytest.fixture
def crime(tmp_path, programs):
    return Crime(tmp_path)


def point(step, **metrics):
    return {"step": step, "time": 1000.0 + step, "metrics": metrics}


def finish(error, at, code=1):
    return {"event": "finish", "time": at, "step": None, "data": {"code": code, "error": error}}


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_each_rank_is_told_with_its_last_records(crime):
    """Last step, last value of each metric with its step, last event."""
    crime.rank(0, point(1, loss=3.0, lr=0.1), point(2, loss=2.0), finish(None, 1010.0, 0))
    crime.rank(1, point(1, loss=3.5))
    crime.gather()
    zero, one = crime.json("ranks.json")["ranks"]
    assert (zero["step"], zero["metrics"]) == (2, {"lr": [1, 0.1], "loss": [2, 2.0]})
    assert (zero["host"], zero["last_event"]["event"], zero["time"]) == ("a-host", "finish", 1010.0)
    assert (one["rank"], one["step"], one["last_event"]) == (1, 1, None)


def test_the_first_rank_to_fail_is_not_the_one_that_met_it(crime):
    """By the times of finish events; what a collective raised comes behind, however early."""
    crime.rank(0, finish("DistBackendError: NCCL peer gone", 1001.0))
    crime.rank(1, finish("ValueError: late", 1009.0))
    crime.rank(2, finish("KeyError: 'first'", 1003.0))
    crime.gather()
    found = crime.json("ranks.json")
    assert [error["rank"] for error in found["errors"]] == [2, 1, 0]
    assert found["first_failing"]["error"] == "KeyError: 'first'"
    summary = (crime.folder.forensics(1) / "summary.md").read_text()
    assert "First failing rank: 2: KeyError: 'first' (events-a-host-2-102.jsonl)" in summary


def test_tracebacks_of_the_log_tell_where_nobody_tracks(crime):
    """The prefix that PyTorch puts before each line names the rank."""
    lines = ["Traceback (most recent call last):", '  File "a.py", line 3, in step', "KeyError: 5"]
    crime.write("out.log", "".join(f"[rank3]: {line}\n" for line in lines))
    crime.gather()
    first = crime.json("ranks.json")["first_failing"]
    assert (first["rank"], first["error"]) == (3, "KeyError: 5 at a.py:step")


def test_error_files_of_torch_are_kept_by_rank(crime):
    """Each worker's, and the one that torchrun takes for the root cause; empty ones are none."""
    crime.write("elastic/none_x/attempt_0/1/error.json", json.dumps(ELASTIC))
    crime.write("elastic/none_x/attempt_0/0/error.json", "")
    crime.write("elastic-error.json", json.dumps(ELASTIC))
    folder = crime.gather()
    kept = sorted(path.name for path in (folder / "elastic").iterdir())
    assert kept == ["attempt_0-rank-1.json", "root-cause.json"]
    assert crime.json("ranks.json")["first_failing"]["rank"] == 1


def test_no_secret_reaches_any_file(crime, programs, monkeypatch):
    """By value in every place and form, by name in what is data, by form in what is text."""
    monkeypatch.setenv("SOME_VALUE", KEY)
    monkeypatch.setenv("OTHER_API_KEY", "other-0123456")
    crime.env = {"CREDENTIAL_FOR_X": "$SOME_VALUE", "DB_PASSWORD": "abc", "MODE": "fast-mode"}
    crime.argv = ("python", "a.py", "--token", "abcdef123", "--lr", "0.5")
    programs("nvidia-smi", f"cat <<'END'\nsmi {KEY}\nEND")
    programs("dmesg", 'awk \'{print "[" $1 "] Xid other-0123456"}\' /proc/uptime')
    crime.write("out.log", f"login {KEY}\nhf_{'a' * 30}\n{KEY!r} other-0123456 kept-word\n")
    crime.write("stacks-1.txt", f"token other-0123456 {KEY}")
    crime.write("elastic-error.json", json.dumps({"message": f"ValueError: {KEY}"}))
    crime.rank(0, {"event": "config", "time": 1.0, "data": {"a": KEY, "api_key": "short"}})
    crime.rank(1, finish(f"ValueError: {KEY}", 2.0))
    folder = crime.gather(failure(evidence="RuntimeError: other-0123456"))
    found = contents(folder)
    assert {"ranks.json", "elastic/root-cause.json", "stacks.txt", "gpus.json"} <= found.keys()
    for name, data in found.items():
        for secret in (b"hidden value-4711", b"other-0123456", b"hf_aaaa", b'"abc"', b"abcdef123"):
            assert secret not in data, name
    told = crime.json("environment.json")
    assert told["variables"]["CREDENTIAL_FOR_X"] == "$SOME_VALUE"
    assert told["variables"]["MODE"] == "fast-mode"
    assert told["commands"] == [["python", "a.py", "--token", "<secret>", "--lr", "0.5"]]
    assert "kept-word" in found["log-tail.txt"].decode()
    assert b"short" not in found["ranks.json"]


def test_a_secret_at_the_cut_of_the_log_is_not_kept_in_part(crime, monkeypatch):
    """The log is one line, and its last 256 KiB begin within the value."""
    monkeypatch.setenv("OTHER_API_KEY", "begin-of-it-0123456789-end-of-it")
    tail = 256 * 1024 - 12
    crime.write("out.log", "x" * 500_000 + "begin-of-it-0123456789-end-of-it" + "y" * tail)
    kept = (crime.gather() / "log-tail.txt").read_text()
    assert "end-of-it" not in kept
    assert kept.endswith("y" * tail)


def test_a_huge_log_costs_its_end_only(crime):
    """A sparse gigabyte: the last lines are kept, within bounds."""
    with (crime.attempt / "out.log").open("r+b") as file:
        file.truncate(1 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\nlast words\n")
    folder = crime.gather()
    kept = (folder / "log-tail.txt").read_text()
    assert kept.endswith("last words\n")
    assert sum(len(data) for data in contents(folder).values()) < 1 << 20


def test_what_cannot_be_read_is_named_and_costs_nothing_else(crime, programs):
    """A log that is a folder, a pipe for events, junk for JSON, no right to ask the kernel."""
    (crime.attempt / "out.log").unlink()
    (crime.attempt / "out.log").mkdir()
    os.mkfifo(crime.attempt / "events-h-0-1.jsonl")
    crime.write("elastic-error.json", b"\xff\x00 not json")
    programs("dmesg", "echo 'dmesg: read kernel buffer failed: Operation not permitted' >&2")
    summary = (crime.gather() / "summary.md").read_text()
    missing = {
        line.split(":")[1].strip() for line in summary.splitlines() if "Not gathered" in line
    }
    assert missing == {"ranks.json", "kernel.log", "log-tail.txt"}
    assert "Operation not permitted" in summary
    assert {"environment.json", "git.json", "gpus.json"} <= contents(
        crime.folder.forensics(1)
    ).keys()


def test_torn_and_strange_event_lines_are_passed_over(crime):
    """A torn line, a line of another shape, a time that is none: the rest counts."""
    good = json.dumps(point(4, loss=1.0))
    text = f'[1]\n{{"metrics": 3}}\n{{"event": "finish", "time": "x", "data": 5}}\n{good}\n{{"st'
    crime.write("events-h-0-1.jsonl", text)
    crime.gather()
    found = crime.json("ranks.json")
    assert found["ranks"][0]["step"] == 4
    assert found["first_failing"] is None


def test_a_bundle_is_made_once(crime):
    """One that is there is left as it is."""
    folder = crime.gather()
    before = contents(folder)
    crime.write("out.log", "later\n")
    crime.gather()
    assert contents(folder) == before


def test_after_a_kill_it_is_made_anew_and_is_the_same(crime):
    """What a killed watcher left beside its place is not taken over."""
    whole = contents(crime.gather())
    crime.folder.forensics(1).rename(crime.folder.path / "forensics/.attempt-1.tmp")
    (crime.folder.path / "forensics/.attempt-1.tmp/half").write_text("of a part")
    again = contents(crime.gather())
    moment = {"gpus.json", "summary.md"}  # they tell the time
    assert again.keys() == whole.keys()
    assert {n: d for n, d in again.items() if n not in moment} == {
        n: d for n, d in whole.items() if n not in moment
    }
    assert [path.name for path in (crime.folder.path / "forensics").iterdir()] == ["attempt-1"]


def test_a_bundle_that_cannot_be_written_is_left_out(crime, caplog):
    """The end of the run goes on; the watcher's log says why."""
    (crime.folder.path / "forensics").write_text("in the way")
    crime.gather()
    assert "no forensics of attempt 1 of R-000001" in caplog.text


@pytest.mark.parametrize(
    ("cause", "stop", "kept"),
    [
        (Cause.PROGRAM, None, True),
        (Cause.LOST, None, True),
        (Cause.SHORT, None, True),
        (Cause.REQUEUE, None, False),
        (Cause.STOPPED, ("ada", "enough"), False),
        (Cause.STOPPED, ("exp", "decided: no required criterion can change"), False),
        (Cause.STOPPED, ("exp", "idle budget of 5 min 00 s is used up"), True),
        (Cause.STOPPED, ("ada", "idle budget"), False),
    ],
)
def test_only_ends_that_nobody_wanted_are_kept(cause, stop, kept):
    """A stop is wanted, but for that of a run that hung."""
    request = StopRequest(by=stop[0], why=stop[1], time=0.0) if stop else None
    assert is_worth_keeping(failure(cause), request) is kept


def test_the_kernels_lines_are_those_of_the_time_and_the_matter(programs):
    """Xid and kills between begin and end; earlier ones and other matters are left out."""
    now = time.clock_gettime(time.CLOCK_MONOTONIC)
    lines = [
        f"[{now - 3600:12.6f}] NVRM: Xid (PCI:0000:01:00): 79, long ago",
        f"[{now - 30:12.6f}] NVRM: Xid (PCI:0000:01:00): 79, now",
        f"[{now - 20:12.6f}] usb 1-1: new device",
        f"[{now - 10:12.6f}] Out of memory: Killed process 7 (python)",
    ]
    programs("dmesg", "cat <<'END'\n" + "\n".join(lines) + "\nEND")
    found = kernel_lines(time.time() - 60, time.time())
    assert [line.partition("] ")[2][:15] for line in found] == [
        "NVRM: Xid (PCI:",
        "Out of memory: ",
    ]


def test_a_program_that_hangs_is_left_after_its_time(crime, programs, monkeypatch):
    """nvidia-smi may hang with the driver: the bundle says so and goes on."""
    monkeypatch.setattr("orchestrator.watch.forensics.surroundings._SMI", 0.2)
    programs("nvidia-smi", "sleep 300")
    crime.gather()
    assert crime.json("gpus.json")["nvidia_smi"] == ["nvidia-smi did not end within 0 s"]


def test_stacks_are_those_of_py_spy_and_of_faulthandler(crime):
    """Whole tracebacks of the log, and nothing of what was printed around them."""
    crash = (
        "before\nFatal Python error: Segmentation fault\n\nThread 0x01 (most recent call first):\n"
        '  File "a.py", line 3 in deep\n  File "a.py", line 9 in <module>\nafter\n'
    )
    crime.write("out.log", crash)
    crime.write("stacks-20260101T000000Z.txt", "Thread 9 (idle)")
    text = (crime.gather() / "stacks.txt").read_text()
    assert "Thread 9 (idle)" in text
    assert "line 3 in deep" in text
    assert "before" not in text
    assert "after" not in text


def test_packages_of_the_runs_own_python_are_listed(crime, tmp_path):
    """As the folders beside its interpreter name them."""
    (tmp_path / "venv/lib/python3.11/site-packages/torch-2.9.1.dist-info").mkdir(parents=True)
    crime.argv = (str(tmp_path / "venv/bin/python"), "a.py")
    crime.gather()
    assert crime.json("environment.json")["packages"] == {"torch": "2.9.1"}


def test_git_is_told_now_and_then(crime):
    """Without a repository both are unknown."""
    crime.gather()
    assert crime.json("git.json") == {"then": None, "now": None, "changed_since": None}
    assert not Path(crime.path / ".git").exists()
