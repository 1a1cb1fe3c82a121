"""A hang is silence that is long by the run's own measure; it is told with its arithmetic, once."""

import shutil
import time

import pytest
from conftest import wait_for
from notify.people import kill_watcher, told, watchers

from orchestrator.diagnose.hang import Pulse, arithmetic, claim, limit_of, pulse_of, silence_of
from orchestrator.domain.point import Event, Position

# Logs, stops when `stop` appears and goes on when `on` does.
STOPS = """
import time
from pathlib import Path
from orchestrator import track
run = track.init()
step = 0
while not Path("go").exists():
    step += 1
    run.log({"train/loss": 1 / step}, step=step)
    time.sleep(0.02)
    if Path("stop").exists():
        print("still printing", flush=True)
        while Path("stop").exists():
            time.sleep(0.02)
run.finish()
"""


def event(time, name, *, source="attempt-1/events-h-0-1.jsonl", **data):
    at = Position(attempt=1, segment=0, step=0, time=time, source=source, line=1)
    return Event(name=name, data=data, at=at)


def begins(time, phase="train"):
    return event(time, "process", phase=phase, state="begin")


def marks(time, phase, state, **more):
    return event(time, "phase", phase=phase, state=state, **more)


EVAL, AGAIN = marks(52, "eval", "begin"), marks(54, "eval", "begin")


@pytest.mark.parametrize(
    ("points", "events", "phase", "longest"),
    [
        ([], [], "start-up", None),
        ([], [begins(0), event(40, "start")], "start-up", 40),
        ([50], [begins(0)], "train", None),
        ([50, 51, 63, 64], [begins(0)], "train", 12),
        # The pause of an evaluation is not one of training, nor that of the start.
        ([50, 51, 900, 901], [begins(0), EVAL, marks(899, "eval", "end")], "train", 1),
        ([50, 51], [begins(0), EVAL, marks(53, "eval", "end"), AGAIN], "eval", 1),
        # Ranks mark the same phase each for itself.
        (
            [50, 51],
            [
                begins(0),
                EVAL,
                marks(52.5, "eval", "begin", source="attempt-1/events-h-1-2.jsonl"),
                marks(53, "eval", "end"),
            ],
            "eval",
            0.5,
        ),
        # The next program starts up again, and an open phase of a crashed attempt is over.
        ([50, 51], [begins(0), EVAL, begins(500, "eval")], "start-up", 50),
        ([50, 51, 600, 603], [begins(0), begins(500, "eval")], "eval", 3),
    ],
)
def test_pauses_are_measured_by_phase(points, events, phase, longest):
    """Start-up, training, evaluation and saving each have a longest pause of their own."""
    for order in (events, events[::-1]):
        pulse = pulse_of(points, order)
        assert (pulse.phase, pulse.longest) == (phase, longest)
        assert pulse.records == len(points) + len(events)


@pytest.mark.parametrize(
    ("longest", "limit"), [(None, 600), (1.0, 120), (24.0, 120), (25.0, 125), (300.0, 1500)]
)
def test_the_limit_is_five_times_the_longest_pause(longest, limit):
    """At least the floor; five floors where there is nothing to compare with."""
    assert limit_of(Pulse(phase="train", longest=longest, records=1), 120) == limit


@pytest.mark.parametrize(
    ("phase", "longest", "silence"),
    [("train", 2.0, 300), ("train", None, 10), ("eval", 2.0, 10), ("start-up", None, 10)],
)
def test_log_lines_are_progress_except_in_training(phase, longest, silence):
    """A training that only prints makes no steps; an evaluation that prints is at work."""
    pulse = Pulse(phase=phase, longest=longest, records=9)
    assert silence_of(pulse, quiet=300, idle=10) == silence


def test_the_arithmetic_is_said():
    """Both numbers, the factor and the floor; or that there was nothing to compare with."""
    known = Pulse(phase="train", longest=12.0, records=9)
    said = "no progress for 5 min 10 s, the longest pause before was 12 s"
    assert claim(known, 310) == said
    limit = "limit: 5 times the longest pause of train, at least 2 min 00 s"
    assert arithmetic(known, 120) == limit
    unknown = Pulse(phase="eval", longest=None, records=9)
    assert "no earlier pause of eval to compare with" in claim(unknown, 700)
    assert arithmetic(unknown, 120) == "limit: 10 min 00 s where nothing is known"


def hangs(person):
    return [notice for notice in person.heard() if notice["kind"] == "hang"]


def test_a_program_that_stops_is_told_once(lab, person):
    """Told once though the watcher is killed meanwhile; a run that goes on is not told again."""
    person.listen()
    lab.write("exp.toml", "[notify]\nhang_floor = 2\n")
    lab.ticket()
    lab.experiment(STOPS)
    lab.exp("ticket", "start", "1")
    wait_for(lambda: "train/loss" in lab.exp("run", "show", "1").stdout, what="a point")
    stop = lab.write("stop", "")
    first = person.hears("hang")
    assert first["title"].startswith("T-0001 hangs in train: no progress for ")
    assert ", the longest pause before was " in first["title"]
    assert "limit: 5 times the longest pause of train, at least 2 s" in first["text"]
    wait_for(lambda: any(line.get("done") for line in told(lab)), what="the result")
    assert "exp run stop R-000001" in first["text"]
    kill_watcher(lab)
    lab.exp("status")
    wait_for(lambda: watchers(lab), what="the next watcher")
    # Long enough for it to tell again, if it did not know.
    later = time.monotonic() + 5
    wait_for(lambda: time.monotonic() > later, what="the next watcher to see the silence")
    stop.unlink()
    before = lab.exp("run", "show", "1").stdout
    wait_for(lambda: lab.exp("run", "show", "1").stdout != before, what="progress")
    lab.write("go", "")
    lab.published()
    keys = [line["notice"]["key"] for line in told(lab) if "notice" in line]
    assert sum(":hang:" in key for key in keys) == len(hangs(person)) == 1
    assert "Traceback" not in (lab.root / ".exp/watcher.log").read_text()


@pytest.mark.skipif(shutil.which("py-spy") is None, reason="py-spy is not installed")
def test_where_it_hangs_is_written_down(lab, person):
    """With py-spy on the path the stacks of the run's programs are beside its log."""
    person.listen()
    lab.write("exp.toml", "[notify]\nhang_floor = 2\n")
    lab.ticket()
    lab.experiment(STOPS)
    lab.exp("ticket", "start", "1")
    wait_for(lambda: "train/loss" in lab.exp("run", "show", "1").stdout, what="a point")
    lab.write("stop", "")
    text = person.hears("hang")["text"]
    name = text.split("stacks: ")[1].splitlines()[0]
    path = lab.root / name
    wait_for(path.exists, what="the stacks")
    assert path.parent == lab.run() / "attempt-1"
    assert "a.py:" in path.read_text()
