"""How runs end and what they have not saved, and silence where nothing is wrong."""

from dataclasses import replace

import pytest
from diagnose.cases import case, curve, found, hits, record

from orchestrator.diagnose.rules import processes
from orchestrator.domain.attempt import Failure
from orchestrator.domain.criterion import Criterion, Evidence, Kind, Reading, State, Verdict
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.retry import Cause
from orchestrator.domain.run import Command, ExitRecord, Outcome, Phase, PhaseExit

HOUR = 3600.0


def saved(step, *, time=None, valid=True, attempt=1):
    return Checkpoint(
        step=step, path=f"checkpoints/step_{step}/model.pt", bytes=100, files=1,
        time=float(step) if time is None else time, valid=valid, attempt=attempt,
    )  # fmt: skip


def failure(cause=Cause.PROGRAM, *, fingerprint="ValueError at a.py", step=10, checkpoint=None):
    return Failure(
        cause=cause, evidence=f"{cause}: it ended", fingerprint=fingerprint, retry=False, why="",
        step=step, checkpoint=checkpoint,
    )  # fmt: skip


def ending(code=None, signal=None, *phases, oom_kill=None):
    ran = tuple(PhaseExit(phase=each, code=0, signal=None, started=0, ended=1) for each in phases)
    return ExitRecord(
        code=code, signal=signal, started=0, ended=1, recorded_by="shim", oom_kill=oom_kill,
        phases=ran,
    )  # fmt: skip


def trained(hours=1.0, *, step=1000, planned=10_000, gpus=8, limit=None, begun=0.0, **fields):
    """A program that has logged up to `step` in so many hours."""
    resources = {"gpus": gpus, "time_limit": limit}
    thresholds = fields.pop("thresholds", {})
    loss = curve("loss", [1.0] * 11, every=step // 10, times=[n * hours * 360 for n in range(11)])
    loss = replace(loss, steps=[n * step // 10 for n in range(11)])
    fields.setdefault("record", record(planned=planned, resources=resources, thresholds=thresholds))
    return case(curves=[loss], started=begun, now=hours * HOUR, **fields)


def test_a_torn_newest_checkpoint_names_the_one_to_fall_back_to():
    """A torn older one is only a warning."""
    both = [saved(100), saved(50, valid=False), saved(200, valid=False)]
    first, second = processes.torn_checkpoint(case(checkpoints=both))
    assert (first.key, first.severity) == ("torn-checkpoint:step 50", "warn")
    assert (second.key, second.severity) == ("torn-checkpoint:step 200", "error")
    assert second.title == "The checkpoint of step 200 is torn; newest valid one: step 100"
    assert second.retry is True


def test_a_checkpoint_that_cannot_be_loaded_is_told_by_the_log():
    """Without any valid one there is nothing to resume from."""
    line = "RuntimeError: PytorchStreamReader failed finding central directory"
    (one,) = processes.torn_checkpoint(case(hits={"torn_checkpoint": hits(line)}))
    assert one.title == f"A checkpoint cannot be read: {line}; there is no other"
    assert one.retry is False


def test_valid_checkpoints_are_no_finding():
    """Size and files as the manifest says."""
    assert found(processes.torn_checkpoint(case(checkpoints=[saved(1), saved(2)]))) == []


def failed(*failures, **fields):
    fields.setdefault("attempt", len(failures))
    return case(failures=dict(enumerate(failures, 1)), **fields)


def test_three_ends_alike_without_progress_are_a_loop():
    """Each failure is quoted from its record."""
    (one,) = processes.crash_loop(failed(failure(), failure(), failure()))
    assert [quote.source for quote in one.evidence] == [
        f"attempt-{n}/failure.json" for n in (1, 2, 3)
    ]
    assert one.arithmetic == "3 × ValueError at a.py, each from no checkpoint"
    assert one.retry is False


LATER = failure(checkpoint=20)


@pytest.mark.parametrize(
    "made",
    [
        failed(failure(), failure()),
        failed(failure(), failure(), failure(fingerprint="other")),
        failed(failure(), failure(), LATER),
        failed(failure(step=1), failure(step=2), failure(step=3)),
        failed(failure(), failure(), failure(), checkpoints=[saved(30)], attempt=4),
        failed(failure(), failure(), failure(), attempt=5),
        failed(failure(), failure(), failure(), record=record(thresholds={"crash_loop": 4})),
    ],
    ids=["two", "another end", "newer checkpoint", "steps", "saved since", "past", "threshold"],
)
def test_attempts_that_get_further_are_no_loop(made):
    """Another end, a newer checkpoint, or steps where no checkpoint is known."""
    assert found(processes.crash_loop(made)) == []


def test_a_fourth_attempt_that_has_saved_nothing_is_still_in_the_loop():
    """The loop is over with a newer checkpoint, not with another start."""
    made = failed(LATER, LATER, LATER, checkpoints=[saved(20)], attempt=4)
    assert found(processes.crash_loop(made)) == ["crash-loop"]


TWO = (Command(phase=Phase.TRAIN, argv=("a",)), Command(phase=Phase.EVAL, argv=("b",)))


def ended(ran, *, planned=10, outcome=Outcome.INCOMPLETE, code=0):
    made = record(planned=planned)
    return case(
        curves=[curve("loss", [1.0] * 4)],
        record=replace(made, commands=TWO),
        exit=ending(code, None, *ran),
        outcome=outcome,
        ended=True,
    )


@pytest.mark.parametrize(
    ("made", "titles"),
    [
        (ended([Phase.TRAIN, Phase.EVAL]), ["4 of 10 planned steps = 40.0%"]),
        (ended([Phase.TRAIN], planned=4), ["no final evaluation"]),
        (ended([Phase.TRAIN], planned=None), ["no final evaluation"]),
        (ended([Phase.TRAIN, Phase.EVAL], outcome=Outcome.COMPLETED), []),
        (ended([Phase.TRAIN], outcome=Outcome.FAILED, code=1), []),
        (ended([Phase.TRAIN], code=75), []),
    ],
)
def test_exit_code_0_before_the_plan_is_done_is_an_error(made, titles):
    """Fewer steps, or no evaluation; other codes have causes of their own."""
    told = list(processes.incomplete(made))
    assert [one.title for one in told] == [f"Exit code 0, but {title}" for title in titles]


def judged(*states, final=True, required=True, **fields):
    criteria = tuple(
        Criterion(
            key=str(n), text=f"claim {n}", section="", required=required,
            reading=Reading(kind=Kind.THRESHOLD),
        )
        for n in range(len(states))
    )  # fmt: skip
    where = Evidence(kind="point", text="", source="attempt-1/events.jsonl", line=7)
    verdicts = [
        Verdict(state=each, final=final, why="0.9 > 0.5", evidence=where) for each in states
    ]
    made = record(planned=10_000, resources={"gpus": 8})
    return trained(record=replace(made, criteria=criteria), verdicts=verdicts, **fields)


def test_a_known_answer_tells_the_gpu_hours_that_can_be_saved():
    """1 h for 1,000 of 10,000 steps leaves 9 h on 8 GPUs; a failed claim is an answer too."""
    (one,) = processes.answer_known(judged(State.MET, State.FAILED, State.MANUAL))
    assert "1 of 2 criteria met, all final" in one.title
    assert one.arithmetic == "planned rest: 8 GPUs × 9.00 h = 72.00 GPU-hours"
    assert [(quote.source, quote.line) for quote in one.evidence] == [
        ("attempt-1/events.jsonl", 7)
    ] * 2


@pytest.mark.parametrize(
    "made",
    [
        judged(State.MET, final=False),
        judged(State.MANUAL),
        judged(State.MET, required=False),
        judged(State.MET, ended=True),
        judged(),
    ],
    ids=["may turn", "a person judges", "not required", "ended", "no criteria"],
)
def test_an_open_answer_is_none(made):
    """Only required criteria that the machine judges, for good, while it runs."""
    assert found(processes.answer_known(made)) == []


def test_a_preemption_counts_what_must_be_done_again():
    """Steps behind the newest checkpoint; it is nobody's fault."""
    made = trained(failures={1: failure(Cause.PREEMPTED)}, checkpoints=[saved(900)], ended=True)
    (one,) = processes.preempted(made)
    assert (one.severity, one.retry) == ("info", True)
    assert one.arithmetic == "1,000 − 900 saved = 100 steps"


@pytest.mark.parametrize(
    ("made", "keys"),
    [
        (case(exit=ending(None, 15), outcome=Outcome.FAILED), ["preempted"]),
        (case(exit=ending(None, 15), outcome=Outcome.STOPPED), []),
        (case(exit=ending(None, 9), outcome=Outcome.FAILED), []),
        (case(exit=ending(None, 15), failures={1: failure(Cause.STOPPED)}), []),
        (case(), []),
    ],
)
def test_a_signal_to_leave_that_nobody_asked_for_is_a_preemption(made, keys):
    """Of our own stops, and of other signals, nothing is said."""
    assert found(processes.preempted(made)) == keys


def test_an_old_checkpoint_near_the_limit_is_told_with_its_cost():
    """Nine tenths of the limit, and the newest save is older than the usual pause twice."""
    made = trained(9.5, limit=10 * HOUR, checkpoints=[saved(1, time=HOUR), saved(2, time=2 * HOUR)])
    (one,) = processes.time_limit(made)
    assert one.title == "30 min 00 s to the time limit, the last checkpoint 7 h 30 min old"
    assert one.arithmetic.endswith("at stake: 8 GPUs × 7.50 h = 60.00 GPU-hours")


@pytest.mark.parametrize(
    "made",
    [
        trained(8.0, limit=10 * HOUR),
        trained(9.5),
        trained(9.5, limit=10 * HOUR, ended=True),
        trained(9.5, limit=10 * HOUR, planned=1010),
        trained(
            9.5, limit=10 * HOUR, checkpoints=[saved(1, time=8 * HOUR), saved(2, time=9 * HOUR)]
        ),
    ],
    ids=["far away", "no limit", "ended", "done before", "saved lately"],
)
def test_a_limit_that_costs_little_is_not_told(made):
    """Time enough, no limit, a plan that ends before it, or a save not long ago."""
    assert found(processes.time_limit(made)) == []


def test_a_long_run_without_a_checkpoint_is_told_what_a_crash_would_cost():
    """An hour on 8 GPUs, nine more to go."""
    (one,) = processes.no_checkpoint(trained())
    assert one.arithmetic == "8 GPUs × 1.00 h = 8.00 GPU-hours; 1 h 00 min > 30 min 00 s"
    assert "9 h 00 min to go" in one.title


@pytest.mark.parametrize(
    "made",
    [
        trained(0.4),
        trained(planned=1100),
        trained(planned=None),
        trained(checkpoints=[saved(10)]),
        trained(ended=True),
        trained(begun=None),
        trained(thresholds={"unsaved": 2 * HOUR}),
    ],
    ids=["young", "nearly done", "no plan", "saved", "ended", "unknown start", "threshold"],
)
def test_a_run_that_saves_or_is_short_is_left_alone(made):
    """Nothing is at stake, or nothing is known."""
    assert found(processes.no_checkpoint(made)) == []


@pytest.mark.parametrize(
    ("made", "keys"),
    [
        (case(exit=ending(None, 9, oom_kill=0), outcome=Outcome.FAILED), ["killed-unexplained"]),
        (case(exit=ending(None, 9), failures={1: failure(Cause.KILLED)}), ["killed-unexplained"]),
        (case(exit=ending(None, 9, oom_kill=1), outcome=Outcome.FAILED), []),
        (case(exit=ending(None, 9), outcome=Outcome.STOPPED), []),
        (case(exit=ending(1), hits={"killed": hits("Killed")}), []),
        (case(exit=ending(None, 9), failures={1: failure(Cause.GPU_LOST)}), []),
    ],
    ids=["alone", "by its cause", "the kernel says", "stopped", "a word", "another cause"],
)
def test_a_kill_without_proof_stays_unexplained(made, keys):
    """An oom_kill count, a stop or another cause explains it; a word alone says nothing at all."""
    assert found(processes.killed_unexplained(made)) == keys


def test_a_kill_quotes_the_log_that_proves_nothing():
    """Both the exit record and the word stand in the evidence."""
    made = case(exit=ending(None, 9), outcome=Outcome.FAILED, hits={"killed": hits("Killed")})
    (one,) = processes.killed_unexplained(made)
    assert [quote.source for quote in one.evidence] == ["attempt-1/exit.json", "attempt-1/out.log"]
    assert one.arithmetic == "oom_kill of the control group: unknown"
