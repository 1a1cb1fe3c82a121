"""`should_stop`: how a training program learns that it should end."""

import json
import signal
import time

from orchestrator import track

LOOP = (
    "import sys, time\n"
    "from orchestrator import track\n"
    "{before}"
    "run = track.init()\n"
    "print('ready' if not run.should_stop() else 'early', flush=True)\n"
    "deadline = time.monotonic() + 60\n"
    "while not run.should_stop() and time.monotonic() < deadline:\n"
    "    time.sleep(0.01)\n"
    "print('saved', flush=True)\n"
    "sys.exit(75)\n"
)


def test_stop_file_is_noticed(home, until):
    """Once stop.json is there, `should_stop` turns true and stays so."""
    run = track.init()
    assert run.should_stop() is False
    (home.attempt / "stop.json").write_text(json.dumps({"by": "a", "why": "b", "time": 1.0}))
    until(run.should_stop, 10)
    (home.attempt / "stop.json").unlink()
    assert run.should_stop() is True


def test_disk_is_looked_at_at_most_twice_a_second(home):
    """Between two looks the answer costs no system call: a stop file is not seen at once."""
    run = track.init()
    begun = time.monotonic()
    assert run.should_stop() is False
    (home.attempt / "stop.json").write_text("{}")
    answer = run.should_stop()
    assert answer is False or time.monotonic() - begun >= 0.5


def test_sigterm_is_a_request_for_a_program_that_asks(home, program):
    """A program that polls `should_stop` survives SIGTERM, saves, and ends with its own code."""
    process = program(LOOP.format(before=""), home.variables)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "saved\n"
    assert process.wait(60) == 75


def test_program_that_never_asks_dies_of_sigterm_as_before(home, program):
    """Without a call of `should_stop` tracking leaves SIGTERM alone."""
    process = program(
        "import time\n"
        "from orchestrator import track\n"
        "run = track.init()\n"
        "run.log({'a': 1})\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n",
        home.variables,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == -signal.SIGTERM


def test_handler_of_the_program_is_never_replaced(home, program):
    """A program with a SIGTERM handler keeps it; ours is not installed over it."""
    before = (
        "import signal, os\n"
        "def own(*_):\n"
        "    print('own handler', flush=True)\n"
        "    os._exit(3)\n"
        "signal.signal(signal.SIGTERM, own)\n"
    )
    process = program(LOOP.format(before=before), home.variables)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "own handler\n"
    assert process.wait(60) == 3


def test_asking_from_another_thread_is_allowed(home, program):
    """Python forbids handlers outside the main thread; the stop file is still looked at."""
    process = program(
        "import threading\n"
        "from orchestrator import track\n"
        "run = track.init()\n"
        "t = threading.Thread(target=lambda: print(run.should_stop()))\n"
        "t.start(); t.join()\n",
        home.variables,
    )
    said, error = process.communicate(timeout=60)
    assert (said, error, process.returncode) == ("False\n", "", 0)
