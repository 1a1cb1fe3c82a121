"""Score the checkpoints of a run on what it was not trained on."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

from experiments.common.checkpoints import MANIFEST, sealed
from experiments.common.member import Member, Voice
from experiments.common.programs import DONE, run_program
from experiments.common.scores import headline
from experiments.common.settings import TrainingSettings
from experiments.common.system import System
from experiments.common.world import World
from orchestrator import track

NONE = 1

S = TypeVar("S", bound=TrainingSettings)


def checkpoints_of(run: track.Run, argv: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The checkpoint that `checkpoint=PATH` names, else all of the run; and the other arguments.

    A rehearsal scores the newest. Ends the program where there is none.
    """
    given = [Path(a.removeprefix("checkpoint=")) for a in argv if a.startswith("checkpoint=")]
    found = given[-1:] or sealed(run.dir)
    if not found:
        print(f"no checkpoint in {run.dir}; train first, or give checkpoint=PATH")
        run.finish(NONE)
        sys.exit(NONE)
    if track.rehearsal() is not None:
        found = found[-1:]
    return found, [a for a in argv if not a.startswith("checkpoint=")]


def _run_step(path: Path, system: System[S]) -> int:
    """The step of a checkpoint in its run; a member's own steps begin anew."""
    manifest = path / MANIFEST
    holder = json.loads(manifest.read_bytes()) if manifest.exists() else system.state(path)
    return int(holder["step"])


def evaluate_run(run: track.Run, system: System[S], argv: Sequence[str]) -> NoReturn:
    """Score every checkpoint in order of its step, as eval/NAME; ends the process."""
    checkpoints, others = checkpoints_of(run, argv)

    def settings_of(path: Path) -> S:
        return system.read(system.state(path)["settings"], others)

    def work(settings: S, world: World) -> int:
        voice, score = Voice(run=run, member=Member()), None
        with run.phase("eval"):
            for path in checkpoints:
                if score is None or settings_of(path) != settings:  # of a comparison's next member
                    settings = settings_of(path)
                    score = system.scorer(voice, settings, world)
                step = _run_step(path, system)
                found = score(path)
                points = {f"eval/{name}": value for name, value in found.items()}
                run.log(points, step=step)
                run.summary({k: v for k, v in points.items() if k.count("/") == 1})
                print(f"step {step:>6}   {headline(found)}", flush=True)
        return DONE

    run_program(run, lambda: settings_of(checkpoints[0]), work)
