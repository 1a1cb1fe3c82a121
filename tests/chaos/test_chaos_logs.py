"""Logs that others rotate, that never end a line, and that are half a gigabyte."""

import json
import re
from pathlib import Path

import pytest
from conftest import PATIENT, wait_for

# Prints steps, and a line with NAN as soon as a file asks for it; ends when another one does.
TALKS = """
import time
from pathlib import Path
step = 0
while not Path("go").exists():
    step += 1
    print("step", step, flush=True)
    if Path("break").exists():
        print("loss is nan", flush=True)
        Path("break").unlink()
    time.sleep(0.01)
"""
BAR = """
import sys, time
from pathlib import Path
step = 0
while not Path("go").exists():
    step += 1
    word = "nan" if Path("break").exists() else "0.5"
    sys.stdout.write(f"\\r {step}/1000 loss={word}" + " " * 20)
    sys.stdout.flush()
    time.sleep(0.01)
"""
CLEAN = 'Log does not contain "nan"'
HALF_A_GIGABYTE = """
import os
from pathlib import Path
text = b"x" * 99 + b"\\n"
for n in range(512):
    os.write(1, text * 10_486)
Path("printed").touch()
"""


def rename(log):
    """What logrotate does: another name, and a new file that nobody writes to."""
    log.rename(log.with_name("out.log.1"))
    log.touch()


def copy_and_truncate(log):
    log.with_name("out.log.1").write_bytes(log.read_bytes())
    with log.open("r+b") as file:
        file.truncate(0)


def truncate(log):
    with log.open("r+b") as file:
        file.truncate(0)


def verdicts(lab):
    """State of each criterion of the ticket's newest run, as the index holds it."""
    shown = json.loads(lab.exp("run", "show", "1", "--json").stdout)
    return {row["text"]: (row["verdict"] or {}).get("state") for row in shown["criteria"]}


@pytest.mark.parametrize("rotate", [rename, copy_and_truncate, truncate])
def test_a_log_that_somebody_rotates_is_read_on(lab, rotate):
    """What a program prints after the rotation is judged, in the same run, and nothing ends."""
    lab.ticket(criteria=f"- [ ] {CLEAN}")
    lab.experiment(TALKS)
    lab.commit()
    lab.exp("ticket", "start", "1")
    log = lab.run() / "attempt-1/out.log"
    wait_for(lambda: log.exists() and "step 20" in log.read_text(), what="some lines")
    wait_for(lambda: verdicts(lab) != {CLEAN: None}, what="a verdict")
    rotate(log)
    lab.write("break", "")
    wait_for(lambda: verdicts(lab) == {CLEAN: "failed"}, what="the verdict")
    lab.write("go", "")
    assert lab.published()["problems"] == []
    assert lab.json("attempt-1/exit.json")["code"] == 0
    assert f"- [ ] {CLEAN}" in lab.text()
    assert "loss is nan" in lab.exp("run", "logs", "1").stdout
    assert "step" in lab.exp("run", "logs", "1", "--tail", "1").stdout
    before = verdicts(lab)
    wait_for(lambda: not lab.processes(), what="the watcher to leave")
    assert lab.exp("db", "rebuild").returncode == 0
    assert verdicts(lab) == before


def test_who_follows_a_log_goes_on_behind_its_rotation(lab):
    """What is printed into the renamed file is shown as it comes, and nothing twice."""
    lab.ticket()
    lab.experiment(TALKS)
    lab.commit()
    lab.exp("ticket", "start", "1")
    follower = lab.popen("run", "logs", "-f", "1")
    log = lab.run() / "attempt-1/out.log"
    wait_for(lambda: log.exists() and "step 20" in log.read_text(), what="some lines")
    rename(log)
    lab.write("break", "")
    wait_for(lambda: not (lab.root / "break").exists(), what="the line to be printed")
    lab.write("go", "")
    shown, _ = follower.communicate(timeout=60)
    assert shown.count("loss is nan\n") == 1
    assert shown.count("step 1\n") == 1


def test_a_bar_that_never_ends_its_line_is_judged_and_is_no_idleness(lab):
    """Each return counts as the end of a line: seen at once, and the run is not taken for idle."""
    lab.ticket(criteria=f"- [ ] {CLEAN}")
    lab.experiment(BAR, "[budget]\nidle = 4\n")
    lab.commit()
    lab.exp("ticket", "start", "1")
    log = lab.run() / "attempt-1/out.log"
    wait_for(lambda: log.exists() and log.stat().st_size > 25_000, what="five seconds of a bar")
    assert not (lab.run() / "attempt-1/stop.json").exists()
    lab.write("break", "")
    wait_for(lambda: verdicts(lab) == {CLEAN: "failed"}, what="the verdict")
    assert b"\n" not in log.read_bytes()
    lab.write("go", "")
    assert lab.published()["commit"]


def test_half_a_gigabyte_of_log_holds_up_nobody(lab):
    """While one run's log is read, another one's box is ticked; watcher and shim stay small."""
    lab.ticket(1, criteria=f"- [ ] {CLEAN}", experiment="e/loud.toml")
    lab.ticket(2)
    lab.experiment(HALF_A_GIGABYTE, path="e/loud.toml")
    lab.experiment(PATIENT)
    lab.commit()
    lab.exp("ticket", "start", "1")
    wait_for((lab.root / "printed").exists, seconds=120, what="half a gigabyte")
    lab.exp("ticket", "start", "2")
    log = lab.run(2) / "attempt-1/out.log"
    wait_for(lambda: log.exists() and "step 30" in log.read_text(), what="the other run")
    wait_for(
        lambda: (
            "<!--" not in lab.text(2)
            and json.loads(lab.exp("run", "show", "2", "--json").stdout)["criteria"][0]["verdict"]
        ),
        what="its verdict",
    )
    still_reading = not (lab.run() / "published.json").exists()
    peaks = [_peak(pid) for pid in lab.processes()]
    lab.write("go", "")
    assert lab.published(2, seconds=120)["commit"]
    assert lab.published(1, seconds=240)["commit"]
    assert still_reading
    assert max(peaks) < 400_000_000
    assert (lab.run() / "attempt-1/out.log").stat().st_size > 500_000_000
    (lab.run() / "attempt-1/out.log").unlink()


def _peak(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) * 1024 if found else 0
