"""SAGE as a study: how it trains, and how its checkpoints are scored."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from experiments.common.checkpoints import check_same
from experiments.common.fit import fit, read_state
from experiments.common.member import Voice
from experiments.common.system import System
from experiments.common.task import using
from experiments.common.world import World
from experiments.sage.settings import Settings, read_settings
from experiments.sage.task import SageTask
from models.recurrent import count_parameters


def train(voice: Voice, settings: Settings, world: World, saved: Path | None) -> int:
    """Train to the end, to a stop request or to a loss that is not finite; the exit code.

    Raises:
        ValueError: a setting, the data or the checkpoint cannot be used.
    """
    with voice.run.phase("setup"):
        task = SageTask(settings, world)
    parts = {name: len(pairs.examples) for name, pairs in task.data.parts.items()}
    parameters = count_parameters(task.module)
    if voice.run.rank == 0:
        if not voice.member.prefix:
            voice.run.config.update(asdict(settings) | {"examples": parts})
        voice.run.summary({f"{voice.member.prefix}parameters": parameters})
    voice.say(
        f"{settings.model} with {parameters:,} parameters; examples: "
        + ", ".join(f"{name} {count}" for name, count in parts.items())
    )
    return fit(voice, task, settings, world, saved)


def scorer(_voice: Voice, settings: Settings, world: World) -> Callable[[Path], dict[str, float]]:
    """Scores of a checkpoint: on the test tasks; asked/..., on test questions of trained tasks.

    reported/... is what the member's own validation says.
    """
    task = SageTask(settings, world)
    task.data = task.data.shortened({"test", "asked"})

    def score(checkpoint: Path) -> dict[str, float]:
        saved = read_state(checkpoint)
        check_same(saved["facts"], task.facts)
        with using(task.module, saved["average"]):
            found = task.scores_of("test")
            found |= {f"asked/{name}": value for name, value in task.scores_of("asked").items()}
            found |= {f"reported/{name}": value for name, value in task.reported().items()}
            for rows in (1, 64):
                found[f"milliseconds/batch_{rows}"] = task.milliseconds(rows)
        return found

    return score


SYSTEM = System(kind=Settings, read=read_settings, train=train, scorer=scorer, state=read_state)
