"""Train several models with several seeds on the same puzzles, in one run, and compare them.

    python experiments/puzzles/compare.py        under exp: the spec's [params] name the members

`members` maps a name to the settings in which it differs; `seeds` lists seeds. The members train
one after the other, each to its end, and are scored on all test puzzles. Series are named
MEMBER/seed_N/..., steps count on from member to member. At the end MEMBER/METRIC_median is logged
for every score, and for each other member how far the first one is ahead of it, where both have
the score. A run that is stopped or killed goes on in the middle of the member it was in. Exit
codes as train.py.
"""

import os
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# As in train.py.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from experiments.puzzles.evaluation import evaluate, headline
from experiments.puzzles.job import Member
from experiments.puzzles.settings import Settings, read_settings
from experiments.puzzles.state import load_average, read
from experiments.puzzles.study import build
from experiments.puzzles.train import DONE, refuse, train
from experiments.puzzles.world import World, end_process, join_world, leave_world
from models.puzzles import read_split
from models.recurrent import count_parameters
from orchestrator import track

Scores = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One training of the comparison."""

    name: str
    seed: int
    settings: Settings

    @property
    def label(self) -> str:
        """The name under which its scores are kept."""
        return f"{self.name}/seed_{self.seed}"


def main() -> int:
    """Train and score every member that is not done yet, then compare."""
    run = track.init(config=asdict(Settings()))
    try:
        entries = read_entries(run.config)
        torch.set_num_threads(entries[0].settings.threads)
        world = join_world(entries[0].settings.device)
        code = compare(run, entries, world)
    except ValueError as error:
        return refuse(run, error)
    leave_world(world)
    run.finish(code)
    return code


def read_entries(config: dict[str, Any]) -> list[Entry]:
    """The trainings that `members` and `seeds` name, in order: all seeds of a member together.

    Raises:
        ValueError: there is no member or no seed, or a setting is wrong.
    """
    members, seeds = config.get("members"), config.get("seeds")
    if not isinstance(members, dict) or not members or not isinstance(seeds, list) or not seeds:
        raise ValueError("members (a table of settings by name) and seeds (a list) are needed")
    for name, changes in members.items():
        unknown = set(changes) - set(asdict(Settings())) if isinstance(changes, dict) else {changes}
        if unknown:
            raise ValueError(f"members.{name}: no such settings: {sorted(map(str, unknown))}")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds={seeds}: each one once")
    shared = {key: value for key, value in config.items() if key not in ("members", "seeds")}
    entries = [
        Entry(name=name, seed=seed, settings=read_settings(shared | changes | {"seed": seed}))
        for name, changes in members.items()
        for seed in seeds
    ]
    if any(entry.settings.epochs for entry in entries):
        raise ValueError("epochs: a comparison counts steps, so that its members train alike")
    return entries


def compare(run: track.Run, entries: list[Entry], world: World) -> int:
    """Go through the members from the one that the newest checkpoint is of."""
    saved = track.resume_path()
    scores: Scores = {} if saved is None else read(saved)["extra"]["scores"]
    for place, entry in enumerate(entries):
        if entry.label in scores:
            continue
        first = sum(e.settings.steps for e in entries[:place])
        member = Member(
            prefix=f"{entry.label}/",
            first=first,
            extra={"member": entry.label, "scores": dict(scores)},
        )
        mine = saved if saved is not None and _label(saved) == entry.label else None
        code = train(run, entry.settings, world, member, mine)
        if code != DONE:
            return code
        scores[entry.label] = score(run, entry, world, first)
    conclude(run, entries, scores)
    return DONE


def _label(saved: Path) -> str:
    return str(read(saved)["extra"]["member"])


def score(run: track.Run, entry: Entry, world: World, first: int) -> dict[str, float]:
    """The scores of a member that has just ended, on all test puzzles."""
    study = build(entry.settings, world)
    step = first + entry.settings.steps
    load_average(study, read(run.dir / "checkpoints" / f"step_{step}"))
    split = read_split(study.folder, "test")
    with run.phase("eval"):
        weights = dict(study.core.named_parameters())
        found = evaluate(study, weights, split, entry.settings).scores
    if run.rank == 0:
        named = {
            name if name.startswith("baseline/") else f"{entry.label}/{name}": value
            for name, value in found.items()
        }
        run.log(named | {f"{entry.name}/parameters": count_parameters(study.core)}, step=step)
        print(f"{entry.label} all test puzzles: {headline(found)}", flush=True)
    return found


def median_scores(of_seeds: list[dict[str, float]]) -> dict[str, float]:
    """The median of each score that all seeds of a member have.

    Not all have the same: members may be scored after other counts of segments (segments_16/...),
    and where no cell is marked as a path there is no precision. Baselines are the same for all, and
    the interval of one training says nothing of the spread over seeds.
    """
    shared = [kind for kind in of_seeds[0] if all(kind in scores for scores in of_seeds)]
    own = [k for k in shared if not k.startswith("baseline/") and not k.endswith(("/low", "/high"))]
    return {kind: statistics.median(scores[kind] for scores in of_seeds) for kind in own}


def conclude(run: track.Run, entries: list[Entry], scores: Scores) -> None:
    """Log and print medians over the seeds, and the lead of the first member."""
    if run.rank != 0:
        return
    names = list(dict.fromkeys(entry.name for entry in entries))
    medians = {
        name: median_scores([scores[e.label] for e in entries if e.name == name]) for name in names
    }
    values = {f"{n}/{kind}_median": value for n in names for kind, value in medians[n].items()}
    first = medians[names[0]]
    for other in names[1:]:
        for kind in first.keys() & medians[other].keys():
            values[f"{names[0]}/{kind}_above_{other}"] = first[kind] - medians[other][kind]
    run.log(values, step=sum(entry.settings.steps for entry in entries))
    run.summary({k: v for k, v in values.items() if k.endswith("/exact_median")})
    for name in names:
        print(f"median {name}: {headline(medians[name])}", flush=True)


if __name__ == "__main__":
    end_process(main())
