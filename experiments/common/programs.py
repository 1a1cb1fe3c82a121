"""How a training program begins and ends: settings, processes, exit codes."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch

from experiments.common.member import Member, Voice
from experiments.common.settings import TrainingSettings
from experiments.common.world import World, end_process, join_world, leave_world
from orchestrator import track

DONE, REQUEUE, NO_RETRY, INTERRUPTED = 0, 75, 93, 130

S = TypeVar("S", bound=TrainingSettings)


def train_program(
    defaults: Mapping[str, Any],
    read: Callable[[Mapping[str, Any], Sequence[str]], S],
    train: Callable[[Voice, S, World, Path | None], int],
) -> NoReturn:
    """Train as the run's configuration over `defaults` and the arguments say; ends the process."""
    run = track.init(config=dict(defaults))
    voice = Voice(run=run, member=Member())
    run_program(
        run,
        lambda: read(run.config, sys.argv[1:]),
        lambda settings, world: train(voice, settings, world, track.resume_path()),
    )


def run_program(run: track.Run, read: Callable[[], S], work: Callable[[S, World], int]) -> NoReturn:
    """Read the settings, meet the other processes, work, and end the process with its exit code.

    Codes: what `work` returns (0 done, 75 stopped after saving a checkpoint, 93 a retry would end
    alike), 93 for a ValueError of either function, 130 for Ctrl-C, which saves nothing.
    """
    world = World()
    try:
        settings = read()
        torch.set_num_threads(settings.threads)
        world = join_world(settings.device)
        code = work(settings, world)
    except ValueError as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr, flush=True)
        run.finish(NO_RETRY, str(error))
        end_process(NO_RETRY)
    except KeyboardInterrupt:
        said = f"{Path(sys.argv[0]).name}: interrupted; SIGTERM lets a training save a checkpoint"
        print(said, file=sys.stderr)
        code = INTERRUPTED
    leave_world(world)
    run.finish(code)
    end_process(code)
