"""Train several members with several seeds in one run, one after the other, and compare them.

`members` maps a name to the settings in which it differs, `seeds` lists the seeds (a member may
have `seeds` of its own). Series are named MEMBER/seed_N/..., steps count on from member to member.
At the end MEMBER/METRIC_median is logged for every score that all seeds of a member have, and how
far the leader (`leader`, else the first member) is above each other (LEADER/METRIC_above_OTHER).
A run that is stopped or killed goes on in the middle of the member it was in. A rehearsal trains
every member, with the first of its seeds only.
"""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from experiments.common.member import Member, Voice
from experiments.common.programs import DONE, run_program
from experiments.common.rehearsal import last_step
from experiments.common.scores import headline, is_baseline
from experiments.common.settings import TrainingSettings
from experiments.common.system import System
from experiments.common.world import World
from orchestrator import track

S = TypeVar("S", bound=TrainingSettings)
Scores = dict[str, dict[str, float]]
_OWN = ("members", "seeds", "leader")  # keys of the comparison; all others are settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Generic[S]):
    """One training of the comparison; its steps are counted from `first`."""

    name: str
    settings: S
    first: int

    @property
    def label(self) -> str:
        """The name under which its scores are kept."""
        return f"{self.name}/seed_{self.settings.seed}"

    @property
    def last(self) -> int:
        """The run's step at its end."""
        return self.first + last_step(self.settings.steps)


def compare_members(run: track.Run, system: System[S]) -> NoReturn:
    """Train and score every member that is not done yet, then compare; ends the process."""
    entries: list[Entry[S]] = []

    def first_settings() -> S:
        entries.extend(read_entries(run.config, system))
        return entries[0].settings

    run_program(run, first_settings, lambda _, world: compare(run, system, entries, world))


def read_entries(config: Mapping[str, Any], system: System[S]) -> list[Entry[S]]:
    """The trainings that `members` and `seeds` name, in order: all seeds of a member together.

    Raises:
        ValueError: there is no member or no seed, or a setting is wrong.
    """
    members, seeds = config.get("members"), config.get("seeds")
    if not isinstance(members, dict) or not members or not isinstance(seeds, list) or not seeds:
        raise ValueError("members (a table of settings by name) and seeds (a list) are needed")
    shared = {key: value for key, value in config.items() if key not in _OWN}
    if config.get("leader", "") not in ("", *members):
        raise ValueError(f"leader={config['leader']!r}: one of the members {', '.join(members)}")
    entries: list[Entry[S]] = []
    for name, changes in members.items():
        own = _changes(name, changes, system)
        own_seeds = _own_seeds(name, own.pop("seeds", seeds))
        for seed in own_seeds if track.rehearsal() is None else own_seeds[:1]:
            settings = system.read(shared | own | {"seed": seed}, ())
            first = entries[-1].last if entries else 0
            entries.append(Entry(name=name, settings=settings, first=first))
    if any(entry.settings.epochs for entry in entries):
        raise ValueError("epochs: a comparison counts steps, so that its members train alike")
    return entries


def _changes(name: str, changes: object, system: System[S]) -> dict[str, Any]:
    known = {field.name for field in fields(system.kind)} | {"seeds"}
    if isinstance(changes, dict):
        if unknown := set(changes) - known:
            raise ValueError(f"members.{name}: no such settings: {sorted(unknown)}")
        return dict(changes)
    raise ValueError(f"members.{name}={changes!r}: a table of settings")


def _own_seeds(name: str, seeds: list[int]) -> list[int]:
    good = isinstance(seeds, list) and seeds and all(type(seed) is int for seed in seeds)
    if not good or len(set(seeds)) < len(seeds):
        raise ValueError(f"members.{name}: seeds={seeds}: a list of seeds, each one once")
    return seeds


def compare(run: track.Run, system: System[S], entries: list[Entry[S]], world: World) -> int:
    """Go through the members from the one that the newest checkpoint is of."""
    saved = track.resume_path()
    extra = {} if saved is None else system.state(saved)["extra"]
    scores: Scores = dict(extra.get("scores", {}))
    ends: dict[str, Path] = {}
    for entry in entries:
        if entry.label not in scores:
            kept = {"member": entry.label, "scores": dict(scores)}
            member = Member(prefix=f"{entry.label}/", first=entry.first, extra=kept, ends=ends)
            voice = Voice(run=run, member=member)
            mine = saved if extra.get("member") == entry.label else None
            code = system.train(voice, entry.settings, world, mine)
            if code != DONE:
                return code
            scores[entry.label] = _score(voice, system, entry, world)
        ends[entry.label] = _end(run, entry)
    conclude(run, run.config.get("leader") or entries[0].name, entries, scores)
    return DONE


def _end(run: track.Run, entry: Entry[S]) -> Path:
    """The last checkpoint of a member."""
    return Path(run.dir) / "checkpoints" / f"step_{entry.last}"


def _score(voice: Voice, system: System[S], entry: Entry[S], world: World) -> dict[str, float]:
    run = voice.run
    with run.phase("eval"):
        found = system.scorer(voice, entry.settings, world)(_end(run, entry))
    if run.rank == 0:
        named = {
            name if is_baseline(name) else f"{entry.label}/{name}": value
            for name, value in found.items()
        }
        run.log(named, step=entry.last)
    voice.say(f"scored: {headline(found)}")
    return found


def median_scores(of_seeds: list[dict[str, float]]) -> dict[str, float]:
    """The median of each score that all seeds of a member have.

    Not all have the same: members may be scored after other counts of segments (segments_16/...),
    and where no cell is marked as a path there is no precision. Baselines are the same for all, and
    the interval of one training says nothing of the spread over seeds.
    """
    shared = [kind for kind in of_seeds[0] if all(kind in scores for scores in of_seeds)]
    own = [k for k in shared if not is_baseline(k) and not k.endswith(("/low", "/high"))]
    return {kind: statistics.median(scores[kind] for scores in of_seeds) for kind in own}


def conclude(run: track.Run, leader: str, entries: list[Entry[S]], scores: Scores) -> None:
    """Log and print medians over the seeds, and how far the leader is above the others."""
    if run.rank != 0:
        return
    names = _names(entries)
    medians = {
        name: median_scores([scores[e.label] for e in entries if e.name == name]) for name in names
    }
    values = {f"{n}/{kind}_median": value for n in names for kind, value in medians[n].items()}
    own = medians[leader]
    for other in (name for name in names if name != leader):
        for kind in own.keys() & medians[other].keys():
            values[f"{leader}/{kind}_above_{other}"] = own[kind] - medians[other][kind]
    run.log(values, step=entries[-1].last)
    run.summary({k: v for k, v in values.items() if k.endswith("_median") and k.count("/") == 1})
    for name in names:
        print(f"median {name}: {headline(medians[name])}", flush=True)


def _names(entries: Iterable[Entry[S]]) -> list[str]:
    return list(dict.fromkeys(entry.name for entry in entries))
