"""`exp run explain`: many attempts stay one screen."""

import io

from rich.console import Console

from orchestrator.actions.explaining import Explanation
from orchestrator.cli.views.story import run_story
from orchestrator.domain.retry import Cause, Retry
from orchestrator.domain.run import Budget
from orchestrator.watch.stories import AttemptStory


def story(number):
    return AttemptStory(
        number=number,
        asked_by="exp",
        asked_why="again",
        delay=0.0,
        phases=("train",),
        started=1.0,
        ended=2.0,
        gpus=0,
        first_step=number,
        last_step=number,
        ending="exit code 1",
        cause=Cause.STORAGE,
        evidence=f"evidence {number:02}",
        decision="again",
        retried=True,
        checkpoint=number,
    )


def test_of_many_attempts_the_last_three_are_told_whole():
    """Earlier ones have a line each, with cause and checkpoint."""
    told = Explanation(
        run="R-000001",
        status="failed",
        why="exit code 1",
        attempts=tuple(map(story, range(1, 11))),
        retry=Retry(),
        budget=Budget(),
        time_limit=None,
        wall=10.0,
        gpu_hours=0.0,
        findings=(),
        next_steps=(),
    )
    screen = io.StringIO()
    Console(file=screen, width=120).print(run_story(told))
    lines = screen.getvalue().splitlines()
    assert (
        "attempt 7: train, steps 7 to 7 in 1 s, exit code 1 (storage), step 7 at its end" in lines
    )
    shown = [n for n in range(1, 11) if any(f"evidence {n:02}" in line for line in lines)]
    assert shown == [8, 9, 10]
