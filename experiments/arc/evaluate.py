"""Evaluate the checkpoints of a run on the held-out test pairs of its ARC subset.

    python experiments/arc/evaluate.py [checkpoint=PATH] [key=value ...]

Each question is shown in every augmentation that was trained; the predictions are turned back and
vote (models/voting.py). Baselines that need no learning are scored beside. Checkpoints are
evaluated in order of their steps, each with votes of its own. `predictions.txt` in the run's folder
shows the questions, the answers and the first two candidates of the last one.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Waiting threads give way. Spinning saves a third of a step on free cores, and on busy ones made it
# up to a hundred times longer.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# A program is started by its path, so Python looks for packages here and not in the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch

from experiments.arc.pictures import draw_predictions
from experiments.arc.settings import Settings, Study, build, read_settings
from experiments.arc.state import read
from models.arc import Grid, augment, decode, held_out_questions, load_solutions, restore
from models.baselines import BASELINES, Score, cells_right, pooled, score_baseline
from models.recurrent import RecurrentCore
from models.supervision import answer
from models.voting import Ranked, Vote, pass_at, rank
from orchestrator import track

Solutions = Sequence[Sequence[Grid]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Scores of one checkpoint, as shares in 0..1.

    `single` counts predictions that are right before any vote; `cells` right cells inside the
    answers' grids, over the same predictions.
    """

    pass_1: float
    pass_2: float
    single: float
    cells: float
    ranked: Ranked


def main() -> int:
    """Evaluate, log, print a table and write the pictures."""
    arguments = dict(a.split("=", 1) for a in sys.argv[1:] if a.startswith("checkpoint="))
    run = track.init()
    checkpoints = find_checkpoints(run.dir, arguments.get("checkpoint"))
    if not checkpoints:
        print(f"no checkpoint in {run.dir}; train first, or give checkpoint=PATH")
        return 1
    others = [a for a in sys.argv[1:] if not a.startswith("checkpoint=")]
    settings = read_settings(read(checkpoints[-1])["settings"], others)
    torch.set_num_threads(settings.threads)
    study = build(settings)
    solutions = load_solutions(study.subset)
    with run.phase("eval"):
        baselines = {
            name: score_baseline(study.tasks, solutions, predict, study.subset.side)
            for name, predict in BASELINES.items()
        }
        print_header(study, baselines)
        for path in checkpoints:
            step, result = evaluate(path, settings, study, solutions)
            report(run, step, result, baselines)
    pictures = run.dir / "predictions.txt"
    pictures.write_text(draw_predictions(study, solutions, result.ranked, step))
    print(f"predicted grids: {pictures}")
    run.finish(0)
    return 0


def find_checkpoints(folder: Path, given: str | None) -> list[Path]:
    """The given checkpoint, or all sealed ones of the run in order of their steps."""
    if given is not None:
        return [Path(given)]
    manifests = sorted(
        (folder / "checkpoints").glob("*/manifest.json"),
        key=lambda path: json.loads(path.read_bytes())["step"],
    )
    return [path.parent for path in manifests]


def evaluate(
    path: Path, settings: Settings, study: Study, solutions: Solutions
) -> tuple[int, Result]:
    """Score the averaged weights of one checkpoint; (its step, its scores)."""
    content = read(path)
    study.core.load_state_dict(content["weights"])
    study.core.load_state_dict(content["average"], strict=False)
    return content["step"], score(study.core, settings, study, solutions)


def score(core: RecurrentCore, settings: Settings, study: Study, solutions: Solutions) -> Result:
    """Answer every view of every question, then let the answers vote."""
    side = study.subset.side
    questions = held_out_questions(study.tasks, study.variants, side, settings.identity)
    tokens_RS, confidence_R = predict(core, settings, questions.cells_RS, questions.identifiers_RI)
    votes, right, cells = [], 0, []
    for place, (variant, number) in enumerate(
        zip(questions.variants, questions.numbers, strict=True)
    ):
        wanted = solutions[variant.task][number]
        shown = decode(tokens_RS[place], side)
        grid = None if shown is None else restore(shown, variant)
        right += grid is not None and np.array_equal(grid, wanted)
        cells.append(cells_right(tokens_RS[place], augment(wanted, variant), side))
        votes.append(
            Vote(
                task=variant.task,
                question=number,
                grid=grid,
                confidence=float(confidence_R[place]),
            )
        )
    ranked = rank(votes)
    return Result(
        pass_1=pass_at(ranked, solutions, 1),
        pass_2=pass_at(ranked, solutions, 2),
        single=right / len(votes),
        cells=pooled(cells),
        ranked=ranked,
    )


def predict(
    core: RecurrentCore, settings: Settings, cells_RS: np.ndarray, identifiers_RI: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted tokens [R, S] and the halting head's probability of being right [R]."""
    tokens, confidence = [], []
    for first in range(0, len(cells_RS), settings.eval_batch):
        some = slice(first, first + settings.eval_batch)
        said = answer(
            core,
            torch.from_numpy(cells_RS[some]),
            torch.from_numpy(identifiers_RI[some]),
            settings.eval_segments,
        )
        tokens.append(said.logits_BSV.argmax(-1).numpy())
        confidence.append(said.halt_B.sigmoid().numpy())
    return np.concatenate(tokens), np.concatenate(confidence)


def report(run: track.Run, step: int, result: Result, baselines: dict[str, Score]) -> None:
    """Log and print the scores of one checkpoint beside those of the baselines."""
    values: dict[str, Any] = {
        "eval/pass@1": result.pass_1,
        "eval/pass@2": result.pass_2,
        "eval/exact_unvoted": result.single,
        "eval/cell_accuracy": result.cells,
    }
    for name, baseline in baselines.items():
        values[f"baseline/{name}/solved"] = baseline.solved
        values[f"baseline/{name}/cells"] = baseline.cells
    copied = baselines["copy_input"]
    values["eval/cells_above_copy"] = result.cells - copied.cells
    values["eval/solved_above_copy"] = result.pass_1 - copied.solved
    run.log(values, step=step)
    run.summary({"eval/pass@1": result.pass_1, "eval/pass@2": result.pass_2, "eval/step": step})
    print(
        f"step {step:>6}   pass@1={result.pass_1:.4f} pass@2={result.pass_2:.4f} "
        f"unvoted={result.single:.4f} cells={result.cells:.4f}",
        flush=True,
    )


def print_header(study: Study, baselines: dict[str, Score]) -> None:
    """Name what is evaluated, and what no learning reaches."""
    asked = sum(len(task.questions) for task in study.tasks)
    print(f"{study.subset.name}: {len(study.tasks)} tasks, {asked} held-out questions")
    for name, baseline in baselines.items():
        print(f"baseline {name}: solved={baseline.solved:.4f} cells={baseline.cells:.4f}")


if __name__ == "__main__":
    sys.exit(main())
