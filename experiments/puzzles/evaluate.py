"""Evaluate the checkpoints of a run on all test puzzles of its set.

    python experiments/puzzles/evaluate.py [checkpoint=PATH] [key=value ...]

The averaged weights are scored; baselines that need no learning stand beside. Checkpoints are
evaluated in order of their steps, each with votes of its own; votes=pooled adds scores of all votes
so far, named `pooled/…`. `predictions.txt` in the run's folder shows puzzles, answers and
predictions of the last one. Exit codes: 0 all evaluated, 1 there is no checkpoint, 93 a checkpoint
or a setting cannot be used.
"""

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

# As in train.py.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.common.evaluate import checkpoints_of
from experiments.common.programs import DONE, run_program
from experiments.common.scores import headline
from experiments.puzzles.data import data_folder
from experiments.puzzles.evaluation import Evaluation, evaluate, shortened
from experiments.puzzles.pictures import draw_predictions
from experiments.puzzles.settings import Settings, read_settings
from experiments.puzzles.state import described, load_average, read
from experiments.puzzles.study import Study, build
from models.arc_leakage import check_evaluation
from models.puzzles import Split, answers_in_common, read_meta, read_split
from models.voting import Pool
from orchestrator import track


def main() -> NoReturn:
    """Evaluate, log, print and write the pictures."""
    run = track.init()
    checkpoints, others = checkpoints_of(run, sys.argv[1:])
    run_program(
        run,
        lambda: read_settings(read(checkpoints[-1])["settings"], others),
        lambda settings, world: evaluate_all(run, checkpoints, build(settings, world), settings),
    )


def evaluate_all(run: track.Run, checkpoints: list[Path], study: Study, settings: Settings) -> int:
    """Score each checkpoint on the whole test split; pictures of the last one.

    Raises:
        ValueError: a checkpoint is of another model or other data.
    """
    split = shortened(read_split(study.folder, "test"), settings.seed)
    if run.rank == 0:
        puzzles = len(split.group_indices_G1) - 1
        print(f"{study.meta.name}: {puzzles} test puzzles, {split.examples} examples", flush=True)
    pool = Pool() if settings.votes == "pooled" else None
    with run.phase("eval"):
        for path in checkpoints:
            saved = read(path)
            check_data(saved, study)
            load_average(study, saved)
            average = dict(study.core.named_parameters())
            found = evaluate(study, average, split, settings, pool)
            if run.rank == 0:
                report(run, saved["step"], found)
    if run.rank == 0:
        write_pictures(run, study, split, found, saved["step"])
    return DONE


def check_data(saved: dict[str, Any], study: Study) -> None:
    """Refuse to score a checkpoint on puzzles whose answers it may have been trained on.

    Raises:
        ValueError: the set is of another kind, or holds what the model has seen.
    """
    if saved["data"] == described(study.meta):
        return
    folder = data_folder(Settings(**saved["settings"]))
    trained = read_meta(folder)
    if trained.kind != study.meta.kind:
        raise ValueError(f"the checkpoint was trained on {trained.name}, not on {study.meta.kind}")
    if trained.kind == "arc":
        check_evaluation(trained, study.meta)
    elif seen := answers_in_common(read_split(folder, "train"), read_split(study.folder, "test")):
        raise ValueError(
            f"the checkpoint was trained on {trained.name}, which has {seen} of the answers that"
            f" {study.meta.name} asks for: sets of one data_seed share their grids. Evaluate on the"
            " set that was trained on, or on one of another data_seed"
        )


def report(run: track.Run, step: int, found: Evaluation) -> None:
    """Log and print the scores of one checkpoint."""
    named = {f"eval/{name}": value for name, value in found.scores.items()}
    run.log(named, step=step)
    run.summary({k: v for k, v in named.items() if k.count("/") == 1} | {"eval/step": step})
    print(f"step {step:>6}   {headline(found.scores)}", flush=True)


def write_pictures(
    run: track.Run, study: Study, split: Split, found: Evaluation, step: int
) -> None:
    """Puzzles, answers and predictions as text that a person can look at."""
    pictures = run.dir / "predictions.txt"
    pictures.write_text(draw_predictions(study.meta, split, found.predicted, step))
    print(f"predictions: {pictures}")


if __name__ == "__main__":
    main()
