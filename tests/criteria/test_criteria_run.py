"""Verdicts on the run itself: output, commands, exit code, wall time."""

import pytest

from orchestrator.domain.criterion import State

LOG = ("attempt-1/out.log", 1, "step 1\nALL STAGES COMPLETE (3.2 s)\nbye\n")


def _state(verdict):
    return verdict.state, verdict.final


def test_output_is_met_for_good_by_its_first_line(judged):
    """A text in a log is evidence with its line; special characters are text."""
    met = judged('log contains "COMPLETE (3.2 s)"', logs=[LOG])
    assert (*_state(met), met.evidence.line) == (State.MET, True, 2)
    assert judged('log contains "COMPLETE .3.2"', logs=[LOG]).state is State.PENDING
    assert judged('log contains "x"', logs=[LOG], ended=True).state is State.FAILED
    assert judged('log contains "x"', ended=True).state is State.NO_DATA


def test_output_that_must_not_be_is_proved_at_the_end(judged):
    """One hit fails `lacks` for good; without one it is met when the run has ended."""
    assert _state(judged('log lacks "bye"', logs=[LOG])) == (State.FAILED, True)
    assert judged('log lacks "nan"', logs=[LOG]).state is State.PENDING
    met = judged('log lacks "nan"', logs=[LOG], ended=True)
    assert (met.state, met.why) == (State.MET, "0 hits in 3 lines, 1 log")


def test_events_are_there_or_not(judged, event):
    """An event is found by its name; its absence is known at the end."""
    published = event("published")
    assert _state(judged("event published exists", [published])) == (State.MET, True)
    assert _state(judged("event published absent", [published])) == (State.FAILED, True)
    assert judged("event published absent").state is State.PENDING
    assert judged("event published absent", ended=True).state is State.MET


def test_exit_code_is_that_of_the_end(judged, exit_record):
    """The code of the last command; a signal leaves none."""
    assert judged("exit code == 0").state is State.PENDING
    assert _state(judged("exit code == 0", ended=True)) == (State.MET, True)
    assert judged("exit code == 0", ended=True, exit=exit_record(3)).state is State.FAILED
    killed = judged("exit code == 0", ended=True, exit=exit_record(None, signal=9))
    assert killed.state is State.FAILED
    assert "signal 9" in killed.why
    assert judged("exit code == 0", ended=True, exit=exit_record(None)).state is State.NO_DATA


def test_wall_time_fails_as_soon_as_it_is_exceeded(judged, exit_record):
    """An upper bound is failed for good when passed, a lower one met for good."""
    assert judged("duration < 2 h").state is State.PENDING
    assert _state(judged("duration < 2 h", elapsed=7199.0)) == (State.MET, False)
    over = judged("duration < 2 h", elapsed=7380.0)
    assert _state(over) == (State.FAILED, True)
    assert over.margin == pytest.approx(-0.05)
    assert _state(judged("duration > 1 min", elapsed=61.0)) == (State.MET, True)
    took = {"ended": True, "exit": exit_record(started=100.0, ended=3700.0)}
    met = judged("duration < 2 h", **took)
    assert (met.state, met.value, met.unit) == (State.MET, 1.0, "h")


def _ran(event, code, output="", line=1, command="pytest -q"):
    return event("command", {"command": command, "code": code, "output": output}, line)


def test_a_command_is_judged_by_its_newest_run(judged, event):
    """Its last recorded run decides, whatever came before; another command does not count."""
    bad, good = _ran(event, 1), _ran(event, 0, "3 passed", 2)
    predicate = 'command "pytest -q" passes'
    for records in ([bad, good], [good, bad]):
        assert judged(predicate, records, ended=True).state is State.MET
    again = _ran(event, 2, line=3)
    assert judged(predicate, [bad, good, again], ended=True).state is State.FAILED
    prints = 'command "pytest -q" prints "3 passed"'
    assert judged(prints, [good], ended=True).state is State.MET
    assert judged(prints, [_ran(event, 0, "2 passed")], ended=True).state is State.FAILED
    other = [_ran(event, 0, command="pytest")]
    assert judged(predicate, other, ended=True).state is State.MANUAL


def test_a_command_that_nobody_ran_is_asked_for(judged):
    """The next step is named."""
    verdict = judged('command "pytest -q" passes', ended=True)
    assert verdict.state is State.MANUAL
    assert "run `exp ticket check TICKET --run-commands`" in verdict.why


def test_a_predicate_that_cannot_be_read_is_asked_about(judged):
    """A reading of an older version that the language does not hold waits for a person."""
    verdict = judged("loss << 2")
    assert verdict.state is State.MANUAL
    assert "cannot be read" in verdict.why
