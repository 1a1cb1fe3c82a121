"""Distillation as a study: how a model trains, and how its checkpoints are scored."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from experiments.common.checkpoints import check_same
from experiments.common.fit import fit, read_state
from experiments.common.member import Voice
from experiments.common.system import System
from experiments.common.task import using
from experiments.common.world import World
from experiments.distill.settings import Settings, read_settings
from experiments.distill.task import LanguageTask
from experiments.distill.teachers import of_student
from models.recurrent import count_parameters


def train(voice: Voice, settings: Settings, world: World, saved: Path | None) -> int:
    """Train to the end, to a stop request or to a loss that is not finite; the exit code.

    Raises:
        ValueError: a setting, the text, the teacher or the checkpoint cannot be used.
    """
    with voice.run.phase("setup"):
        task = LanguageTask(settings, world, voice.member.ends)
    parameters = count_parameters(task.module.student)
    text = task.text
    if voice.run.rank == 0:
        if not voice.member.prefix:
            voice.run.config.update(asdict(settings))
        voice.run.summary({f"{voice.member.prefix}parameters": parameters})
    bound = "" if text.bound is None else f", entropy {text.bound:.4f} nats a token"
    voice.say(
        f"{parameters:,} parameters; {settings.corpus}: {task.sizes['train']} blocks of"
        f" {settings.context}, {text.val.targets:,} tokens held out, vocabulary"
        f" {len(text.vocabulary.texts):,}{bound}"
    )
    return fit(voice, task, settings, world, saved)


def scorer(_voice: Voice, settings: Settings, world: World) -> Callable[[Path], dict[str, float]]:
    """Scores of a checkpoint on the text that is held out; its teacher need not be there."""
    alone = replace(settings, teacher="", align=False, weights={"ce": 1.0})
    task = LanguageTask(alone, world, {})

    def score(checkpoint: Path) -> dict[str, float]:
        saved = read_state(checkpoint)
        check_same(saved["facts"], task.facts)
        with using(task.module.student, of_student(saved["average"])):
            return task.scores()

    return score


SYSTEM = System(kind=Settings, read=read_settings, train=train, scorer=scorer, state=read_state)
