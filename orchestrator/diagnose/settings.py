"""What a run was set to, by meaning: `accumulate` is `gradient_accumulation_steps` elsewhere.

Settings come from the run's params and from what its programs said through `track` (events named
`config`), which win: they know the defaults that the spec does not spell out. Nested tables are
taken apart. What is told in two ways that differ is unknown.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.diagnose.case import Case
from orchestrator.domain.finding import Quote
from orchestrator.domain.settings import (
    EVAL,
    MEANINGS,
    SCHEDULE,
    Path,
    best_path,
    flat,
    inside,
    number_of,
)

Table = dict[Path, tuple[Any, str, int | None]]  # a value, and the file and line where it stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting that is a number; `name` is what the run calls it: `optim.warmup_steps`.

    `quote` says where it stands.
    """

    name: str
    value: float
    quote: Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A setting that is a word; `name` is what the run calls it."""

    name: str
    value: str


SCHEDULES: tuple[str, ...] = (
    "lr_scheduler_type",
    "lr_schedule",
    "scheduler_type",
    "lr_scheduler",
    "scheduler",
)
SCHEDULES += ("schedule", "decay", "lr_decay", "lr_decay_style", *inside(SCHEDULE, "name", "type"))
WEIGHTS = ("loss_weights", "weights", "loss_weight", "alphas", "coefficients", "lambdas")
# `alpha_kd`, `kd_weight`, `w_kd`, `kd_loss_weight`: the weight of the loss term `kd`.
_WEIGHT_NAME = re.compile(
    r"(?:alpha|lambda|w|weight|coef|coeff|loss_weight)_(?P<behind>[a-z]\w*)"
    r"|(?P<before>[a-z]\w*?)(?:_loss)?_(?:alpha|lambda|weight|coef|coeff)"
)
_NO_TERM = frozenset({"decay", "class", "classes", "sample", "pos", "positive", "tie", "init"})
_TEACHER = ("teacher", "teacher_model")  # its shapes and rates are not those of what is trained
_MEMBERS = "members"  # params of the members of a comparison, by name


def setting(case: Case, meaning: str, member: str = "") -> Setting | None:
    """The number that the run means by it; None if it tells none, or two that differ.

    `member` is that of a series' name (`ours/seed_0`): its own settings win over the shared ones.

    Raises:
        KeyError: MEANINGS has no such meaning.
    """
    aliases = MEANINGS[meaning]
    apart = (*_TEACHER, *(EVAL if meaning == "batch" else ()))
    for table in _tables(case, member):
        numbers = {path: n for path, told in table.items() if (n := number_of(told[0])) is not None}
        if path := best_path(numbers, aliases, apart):
            return _setting(path, table)
    return None


def schedule(case: Case, member: str = "") -> Word | None:
    """The kind of the learning rate's schedule in the run's own word: `cosine`."""
    for table in _tables(case, member):
        words = {path: told[0] for path, told in table.items() if isinstance(told[0], str)}
        if path := best_path(words, SCHEDULES, _TEACHER):
            return Word(name=".".join(path), value=words[path])
    return None


def weights(case: Case, member: str = "") -> dict[str, Setting]:
    """Weights of the terms of the loss by the term's name.

    Without those that change in time, and those below 0: they declare no share.
    """
    found: dict[str, Setting] = {}
    for table in _tables(case, member):
        for path, told in table.items():
            term, number = _term(path), number_of(told[0])
            if term and number is not None and number >= 0:
                found.setdefault(term, _setting(path, table))
    return found


def accumulation(case: Case, member: str = "") -> int:
    """Micro-batches of an optimizer step; 1 if nothing else is told."""
    told = setting(case, "accumulate", member)
    return max(1, round(told.value)) if told else 1


def _setting(path: Path, table: Table) -> Setting:
    value, source, line = table[path]
    name, number = ".".join(path), number_of(value) or 0.0
    return Setting(
        name=name,
        value=number,
        quote=Quote(source=source, line=line, text=f"{name} = {value}"),
    )


def _tables(case: Case, member: str) -> Iterator[Table]:
    """Settings by path, the surest table first: what programs told, then the params."""
    told: Table = {}
    for event in case.events:
        if event.name == "config":
            at = event.at
            told |= {path: (value, at.source, at.line) for path, value in flat(event.data)}
    params: Table = {p: (value, "run.json", None) for p, value in flat(case.record.params)}
    if member:
        own = (_MEMBERS, member.partition("/")[0])
        for table in (told, params):
            yield {path[2:]: value for path, value in table.items() if path[:2] == own}
    for table in (told, params):
        yield {path: value for path, value in table.items() if path[0] != _MEMBERS}


def _term(path: Path) -> str:
    """The loss term whose weight stands at a path; empty if it is no weight of a term."""
    if len(path) > 1 and path[-2] in WEIGHTS:
        return path[-1].removesuffix("_loss")
    named = _WEIGHT_NAME.fullmatch(path[-1])
    if named is None:
        return ""
    term = (named["behind"] or named["before"]).removesuffix("_loss").removesuffix("_weight")
    return "" if term in _NO_TERM else term
