"""What happens to a run reaches a person, once, whoever was killed meanwhile."""

import json
import os
import signal
import sys

from conftest import PATIENT, wait_for
from notify.people import CRASH, KEEP, is_gone, kill_watcher, told, watchers


def crash(lab, number=1):
    """Start a ticket whose program crashes once `go` is there."""
    lab.ticket(number)
    lab.experiment(CRASH)
    assert lab.exp("ticket", "start", str(number)).returncode == 0


def test_a_crash_is_told_with_its_cause_and_the_next_command(lab, person):
    """Title for a phone; evidence, step, criteria and the next command below it."""
    person.listen()
    crash(lab)
    lab.write("go", "")
    notice = person.hears("crash")
    assert notice["title"].startswith("T-0001 crashed after ")
    assert notice["title"].endswith(": CUDA out of memory in train")
    assert "> RuntimeError: CUDA out of memory. Tried to allocate 6.36 GiB" in notice["text"]
    assert "step 30, 1 of 1 criteria met" in notice["text"]
    assert notice["text"].endswith("exp run logs R-000001")
    assert (notice["ticket"], notice["level"]) == ("T-0001", "error")


def test_a_notice_arrives_when_only_the_shim_is_left(lab, person):
    """Watcher killed, then the training crashes: the shim wakes the next one, which tells."""
    person.listen()
    crash(lab)
    kill_watcher(lab)
    lab.write("go", "")
    assert person.hears("crash")["run"] == "R-000001"
    wait_for(lambda: not watchers(lab), what="the watcher to leave")
    assert person.kinds() == ["crash"]
    assert not (lab.root / ".exp/unsent").exists()


def test_what_was_told_is_not_told_again_by_the_next_watcher(lab, person):
    """A restart replays the run's events; the notices of them are known by their keys."""
    person.listen()
    lab.ticket()
    alert = 'run.alert("Odd", "very", level="warn")\nrun.alert("Fine", level="info")\n'
    lab.experiment(PATIENT.replace("step = 0\n", f"step = 0\n{alert}"))
    lab.exp("ticket", "start", "1")
    person.hears("alert")
    wait_for(lambda: any("done" in line for line in told(lab)), what="the result")
    for _ in range(2):
        kill_watcher(lab)
        lab.exp("status")
        wait_for(lambda: watchers(lab), what="the next watcher")
    lab.write("go", "")
    lab.published()
    is_gone(lab)
    assert person.kinds() == ["alert", "decided"]
    assert person.heard()[0]["title"] == "T-0001: Odd"
    assert person.heard()[1]["title"].startswith("T-0001 is DONE after ")


def test_a_notice_whose_fate_nobody_knows_is_sent_again_under_its_key(lab, person):
    """Killed between intent and result, and after the run's last file: the next watcher goes on."""
    slow = '#!/bin/sh\ncd "$(dirname "$0")"\ncat >> heard.jsonl\ntest -e quick || sleep 60\n'
    person.configure(f'[notify]\ncommand = ["{person.program(slow)}"]\n')
    crash(lab)
    lab.write("go", "")
    lab.published()
    person.hears("crash")
    kill_watcher(lab)
    assert (lab.root / ".exp/unsent").exists()
    (person.home / "quick").touch()
    lab.exp("status")
    wait_for(lambda: not (lab.root / ".exp/unsent").exists(), what="the result")
    first, second = person.heard()
    assert first["key"] == second["key"] == "R-000001:crash:1"
    assert [line["done"] for line in told(lab) if "done" in line] == [True]


def test_a_failing_channel_is_tried_again_and_the_others_are_not(lab, person):
    """A program that fails at first gets the notice at the second try; each try is on record."""
    flaky = KEEP.replace(
        "\n", '\ncd "$(dirname "$0")"; test -e tried || { touch tried; exit 3; }\n', 1
    )
    person.configure(f'[notify]\ncommand = ["{person.program(flaky)}"]\n')
    keep = person.program('#!/bin/sh\ncat >> "$(dirname "$0")/workspace.jsonl"\n', "keep")
    lab.write("exp.toml", f'[notify]\ncommand = ["{keep}"]\n')
    assert lab.exp("trust").returncode == 0
    crash(lab)
    lab.write("go", "")
    person.hears("crash")
    is_gone(lab)
    tries = [line["channels"] for line in told(lab) if "channels" in line]
    failed = f"{person.home}/tell: exit code 3"
    assert tries == [
        {"own command": failed, "workspace command": "sent"},
        {"own command": "sent"},
    ]
    assert len((person.home / "workspace.jsonl").read_text().splitlines()) == 1


def test_a_hanging_channel_holds_up_neither_ticks_nor_the_end(lab, person):
    """Runs end and are written down while a channel hangs; a watcher that must go ends it."""
    daemon = "(setsid sh -c 'trap \"\" TERM; sleep 1000') & sleep 1000"
    hang = f'#!/bin/sh\ntouch "$(dirname "$0")/began"\n{daemon} # {lab.root}\n'
    person.configure(
        f'[notify]\ncommand = ["{person.program(hang)}", {json.dumps(str(lab.root))}]\n'
    )
    crash(lab)
    lab.ticket(2, experiment="e/b.toml")
    lab.experiment(PATIENT, path="e/b.toml")
    lab.exp("ticket", "start", "2")
    lab.write("go", "")
    lab.published()
    wait_for((person.home / "began").exists, what="the command to begin")
    lab.published(2)
    assert "**Status**: DONE" in lab.text(2)
    (watcher,) = watchers(lab)
    os.kill(watcher, signal.SIGTERM)
    is_gone(lab)
    wait_for(lambda: not lab.processes(), what="the command to be gone")


def test_many_at_once_are_one_notice(lab, person):
    """More than three of a kind in one tick are summed up; each is done with under its own key."""
    person.listen('on = ["crash"]\n')
    lab.experiment(CRASH)
    for number in range(1, 6):
        lab.ticket(number)
        lab.exp("ticket", "start", str(number))
    (watcher,) = watchers(lab)
    os.kill(watcher, signal.SIGSTOP)
    lab.write("go", "")
    for number in range(1, 6):
        wait_for((lab.run(number) / "attempt-1/exit.json").exists, what="the crash")
    os.kill(watcher, signal.SIGCONT)
    notice = person.hears("crash")
    is_gone(lab)
    assert notice["title"] == "5 runs crashed: T-0001, T-0002, T-0003 and 2 more"
    assert len(notice["text"].splitlines()) == 5
    assert person.kinds() == ["crash"]
    for number in range(1, 6):
        done = [line for line in told(lab, number) if "channels" in line]
        assert [line["key"] for line in done] == [f"R-00000{number}:crash:1"]


def test_without_a_channel_it_is_on_record_and_nobody_waits(lab):
    """notices.jsonl holds what would have been told; the watcher leaves."""
    crash(lab)
    lab.write("go", "")
    lab.published()
    is_gone(lab)
    intent, result = told(lab)
    assert intent["notice"]["key"] == result["key"] == "R-000001:crash:1"
    assert (result["channels"], result["done"]) == ({}, True)


def test_a_torn_line_hides_nothing(lab, person):
    """A line that a power cut tore is skipped, and the next one begins on a line of its own."""
    person.listen()
    lab.ticket()
    lab.experiment(CRASH)
    lab.exp("ticket", "start", "1")
    kill_watcher(lab)
    (lab.run() / "notices.jsonl").write_bytes(b'{"key": "R-000001:al')
    lab.write("go", "")
    person.hears("crash")
    is_gone(lab)
    lines = (lab.run() / "notices.jsonl").read_text().splitlines()
    assert lines[0] == '{"key": "R-000001:al'
    assert [json.loads(line).get("key") for line in lines[1:]] == [None, "R-000001:crash:1"]


def test_no_secret_and_no_home_leaves_the_machine(lab, person, monkeypatch):
    """Tokens by shape or by the name of their variable, home folders, and escape sequences."""
    monkeypatch.setenv("MY_API_TOKEN", "blue-horse-47")
    person.listen()
    lab.ticket()
    said = "at /home/ada/x: blue-horse-47 password=hunter22 \x1b[31mred\x1b]0;x\x07 end"
    lab.experiment(f"raise ValueError({said!r})")
    lab.exp("ticket", "start", "1")
    notice = person.hears("crash")
    text = notice["title"] + notice["text"] + (lab.run() / "notices.jsonl").read_text()
    for secret in ("blue-horse", "hunter22", "/home/ada", "\x1b", str(lab.root), sys.prefix):
        assert secret not in text
    assert "ValueError: at ~/x: <secret> password=<secret>" in notice["title"]
