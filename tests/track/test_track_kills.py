"""Kills, signals and the end of the interpreter: nothing acknowledged is lost, no line is torn."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

WRITER = (
    "import os, threading\n"
    "from orchestrator import track\n"
    "run = track.init()\n"
    "said = os.open('said-%d' % os.getpid(), os.O_WRONLY | os.O_APPEND | os.O_CREAT)\n"
    "def work(name, steps=range(10**9)):\n"
    "    for step in steps:\n"
    "        run.log({name: 1 / 3, 'pad': 'x' if step % 7 == 0 else 0.5}, step=step)\n"
    "        os.write(said, b'%s %d\\n' % (name.encode(), step))\n"
)


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


def whole_lines(home) -> tuple[list[dict], int]:
    """Records of all files, and how many last lines are torn; any other broken line fails."""
    found, torn = [], 0
    for file in home.attempt.glob("events-*.jsonl"):
        *whole, rest = file.read_bytes().split(b"\n")
        found += [json.loads(line) for line in whole]
        torn += bool(rest)
    return found, torn


@pytest.mark.parametrize("seed", range(6))
def test_sigkill_at_any_instant_loses_nothing_acknowledged(home, program, tmp_path, until, seed):
    """Every step noted beside the run after `log` returned is in the file of its process."""
    process = program(WRITER + "work('a')\n", home.variables)
    until(lambda: list(tmp_path.glob("said-*")))
    time.sleep(random.Random(seed).uniform(0, 0.3))
    process.send_signal(signal.SIGKILL)
    process.wait()
    records, _ = whole_lines(home)
    steps = [record["step"] for record in records if "a" in record.get("metrics", {})]
    (file,) = tmp_path.glob("said-*")
    said = [int(line.split()[1]) for line in lines(file)]
    assert steps == list(range(len(steps)))
    assert len(said) <= len(steps) <= len(said) + 1


def test_sigkill_of_forked_workers_with_threads(home, program, tmp_path, until):
    """Each thread of each worker keeps what was acknowledged to it when the whole group dies."""
    process = program(
        WRITER + "for _ in range(2):\n"
        "    if os.fork() == 0: break\n"
        "said = os.open('said-%d' % os.getpid(), os.O_WRONLY | os.O_APPEND | os.O_CREAT)\n"
        "for name in 'ab':\n"
        "    threading.Thread(target=work, args=(name,)).start()\n",
        home.variables,
        start_new_session=True,
    )

    def said() -> list[str]:
        return [line.split()[0] for file in tmp_path.glob("said-*") for line in lines(file)]

    until(lambda: sum(file.stat().st_size > 2000 for file in tmp_path.glob("said-*")) == 3)
    until(lambda: min(map(said().count, "ab")) > 100)  # a thread may wait long for its turn
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    records, _ = whole_lines(home)
    kept = {}
    for record in records:
        for name in record.get("metrics", {}):
            kept[name] = kept.get(name, 0) + 1
    for name in "ab":
        assert said().count(name) <= kept[name] <= said().count(name) + 3


STORM = (
    "import signal, sys\n"
    "from orchestrator import track\n"
    "run = track.init()\n"
    "count = 0\n"
    "def handler(number, frame):\n"
    "    global count\n"
    "    mine, count = count, count + 1\n"  # it is interrupted by itself, too
    "    run.log({'handler': mine, 'note': 'tick'}, step=mine)\n"
    "signal.signal(signal.SIGALRM, handler)\n"
    "signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)\n"
)


def test_log_in_a_handler_that_interrupts_log(home, program):
    """Thousands of interruptions at any place: no deadlock, no torn, lost or doubled line."""
    process = program(
        STORM + "for step in range(20_000):\n"
        "    run.log({'main': step, 'text': 'x'} if step % 5 == 0 else {'main': step}, step=step)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "run.finish()\n"
        "print(count)\n",
        home.variables,
    )
    said, error = process.communicate(timeout=120)
    records, torn = whole_lines(home)
    points = [record["metrics"] for record in records if "metrics" in record]
    assert torn == 0
    assert int(said) > 100, error
    assert [point["main"] for point in points if "main" in point] == list(range(20_000))
    handled = sorted(point["handler"] for point in points if "handler" in point)
    assert handled == list(range(int(said)))


def test_log_in_a_handler_while_the_disk_is_full(home, program):
    """Interruptions of the slow path, where lines wait in memory, cost nothing either."""
    process = program(
        "import resource\n" + STORM + "for step in range(4_000):\n"
        "    room = 20_000 if step % 200 < 100 else 1 << 40\n"
        "    if step % 100 == 0: resource.setrlimit(resource.RLIMIT_FSIZE, (room, 1 << 41))\n"
        "    run.log({'main': step}, step=step)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "run.finish()\n"
        "print(count)\n",
        home.variables,
    )
    said, error = process.communicate(timeout=120)
    records, torn = whole_lines(home)
    points = [record["metrics"] for record in records if "metrics" in record]
    assert (torn, error.count("points wait in memory")) == (0, 1)
    assert [point["main"] for point in points if "main" in point] == list(range(4_000))
    handled = sorted(point["handler"] for point in points if "handler" in point)
    assert handled == list(range(int(said)))


def test_an_interrupt_inside_log_reaches_the_program_and_leaves_tracking_whole(home, program):
    """KeyboardInterrupt at any place of `log` goes on to the caller; later calls work."""
    process = program(
        "import signal\n"
        "from orchestrator import track\n"
        "run = track.init()\n"
        "signal.signal(signal.SIGALRM, signal.default_int_handler)\n"
        "step = caught = returned = 0\n"
        "text = {'text': 'x'}\n"
        "while caught < 300:\n"
        "    try:\n"
        "        signal.setitimer(signal.ITIMER_REAL, 0.0005)  # once, within `try`\n"
        "        while True:\n"
        "            step += 1\n"
        "            run.log({'a': step, **(text if step % 9 == 0 else {})}, step=step)\n"
        "            returned += 1\n"
        "    except KeyboardInterrupt:\n"
        "        caught += 1\n"
        "run.finish()\n"
        "print(returned)\n",
        home.variables,
    )
    said, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    records, torn = whole_lines(home)
    steps = [record["step"] for record in records if "metrics" in record]
    assert torn == 0
    assert len(set(steps)) == len(steps) >= int(said)
    assert steps == sorted(steps)
    assert records[-1]["event"] == "finish"


ENDINGS = {
    "os._exit": ("import os; os._exit(4)\n", 4, None),
    "sys.exit": ("import sys; sys.exit(4)\n", 4, {"code": None, "error": None}),
    "exception": ("raise ValueError('boom')\n", 1, {"code": 1, "error": "ValueError: boom"}),
    "exit in a thread": (
        "import sys, threading; threading.Thread(target=sys.exit, args=(9,)).start()\n",
        0,
        {"code": None, "error": None},
    ),
    "sigterm": ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)\n", -15, None),
    "abort": ("import os; os.abort()\n", -6, None),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_way_to_end_keeps_what_was_logged(home, program, ending):
    """The program ends with its own code; the point is there, the finish event where Python can."""
    source, code, finish = ENDINGS[ending]
    process = program(
        f"from orchestrator import track\ntrack.log({{'a': 1}}, step=1)\n{source}", home.variables
    )
    process.communicate(timeout=60)
    assert process.returncode == code
    assert home.points()[0]["metrics"] == {"a": 1}
    assert [event["data"] for event in home.events("finish")] == ([finish] if finish else [])


def test_log_at_the_end_of_the_interpreter(home, program, tmp_path):
    """From atexit handlers and `__del__`, among modules half taken down: kept, warned of once."""
    process = program(
        "import atexit, sys\n"
        "from orchestrator import track\n"
        "class Late:\n"
        "    def __init__(self, name): self.name, self.track = name, track\n"
        "    def __del__(self): self.track.log({self.name: 1}, step=3)\n"
        "atexit.register(lambda: track.log({'after our finish': 1}, step=2))\n"
        "run = track.init()\n"
        "atexit.register(lambda: track.log({'before our finish': 1}, step=1))\n"
        "late = Late('global')\n"
        "cycle = Late('cycle'); cycle.me = cycle\n"
        "sys.modules['kept'] = Late('module')\n",
        home.variables,
    )
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said.splitlines() == ["exp track: something was logged after finish(); it is kept"]
    names = {name for point in home.points() for name in point["metrics"]}
    assert names == {"before our finish", "after our finish", "global", "cycle", "module"}
    assert len(list(tmp_path.rglob("R-*"))) == 1


def test_a_daemon_thread_logs_into_the_end_of_the_interpreter(home, program):
    """The interpreter ends as if nobody logged: code 0, whole lines, at most our one warning."""
    process = program(
        "import threading, time\n"
        "from orchestrator import track\n"
        "track.init()\n"
        "def spin():\n"
        "    while True: track.log({'thread': 1, 'text': 'x'}, step=0)\n"
        "threading.Thread(target=spin, daemon=True).start()\n"
        "time.sleep(0.05)\n",
        home.variables,
    )
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert set(said.splitlines()[1:]) <= {
        "exp track: something was logged after finish(); it is kept"
    }
    assert len(whole_lines(home)[0]) > 10
