"""From the words for a metric to the series that was logged.

Order: declared key or alias in the spec → the exact key → the only series whose words match →
unbound, with suggestions. What was read out of other files than the SDK's counts only where nothing
that was logged matches, by the name that the program gave it. A binding is a function of the set of
names and of the declarations, so it never depends on the order in which series appear.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from orchestrator.criteria.predicates.expression import (
    Comparison,
    Family,
    Free,
    Logged,
    Name,
    Pointwise,
    Predicate,
    Reduced,
    Trend,
    leaves,
    scalars,
)
from orchestrator.domain.hardware import SAMPLED, is_sampled
from orchestrator.domain.run import MetricSpec
from orchestrator.domain.series import origin_of, plain_name, surest

_SAMPLE = 5  # rank of a series that is sampled beside the run
_EVALUATION_ACTS = {"eval", "evaluation"}  # the qualifier of "evaluation reports …"

_SPLITS = {
    "train": "train",
    "training": "train",
    "eval": "eval",
    "evaluation": "eval",
    "val": "eval",
    "valid": "eval",
    "validation": "eval",
    "dev": "eval",
    "test": "test",
    "testing": "test",
}
_FILLERS = frozenset({"set", "split", "data", "dataset", "metric", "series", "the"})
_LONGER = {
    "acc": ("accuracy",),
    "ppl": ("perplexity",),
    "lr": ("learning", "rate"),
    "avg": ("mean",),
    "average": ("mean",),
    "util": ("utilization",),
    "grad": ("gradient",),
    "vram": ("gpu", "memory"),
}


_FILES = {
    "tensorboard/": "TensorBoard's files",
    "jsonl/": "lines of JSON",
    "csv/": "a CSV file",
    "log/": "the log",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The series of a name, or why there is none.

    `settled` says that no name logged later can change it; `rivals` are the series that match
    equally well.
    """

    series: str | None
    how: str
    settled: bool = False
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Words:
    split: frozenset[str]
    words: tuple[str, ...]
    last: tuple[str, ...]  # of the last path segment: `arc/pass@1` is also `pass@1`


@lru_cache(maxsize=4096)
def _words_of(name: str) -> _Words:
    segments = [_tokens(segment) for segment in name.split("/")]
    every = [token for segment in segments for token in segment]
    split = frozenset(_SPLITS[token] for token in every if token in _SPLITS)
    if {"held", "out"} <= set(every):
        every = [token for token in every if token not in {"held", "out"}]
        segments[-1] = [token for token in segments[-1] if token not in {"held", "out"}]
        split = split or frozenset({"eval"})
    return _Words(split, _content(every), _content(segments[-1]))


def _tokens(text: str) -> list[str]:
    parts = re.split(r"[\W_]+", text.casefold().replace("@", " at "))
    return [long for part in parts if part for long in _LONGER.get(part, (part,))]


def _content(tokens: Iterable[str]) -> tuple[str, ...]:
    return tuple(
        sorted(token for token in tokens if token not in _SPLITS and token not in _FILLERS)
    )


@dataclass(frozen=True, slots=True)
class Target:
    """What a name looks for, prepared once."""

    spoken: str
    evaluated: bool
    wanted: _Words
    declared: str | None

    def rank(self, name: str) -> int | None:
        """How well a series fits: 0 exactly, 1 by its words, 2 to 5 with less; None not at all."""
        name = name if name == self.spoken else plain_name(name)
        if name == self.spoken:
            return 0
        if is_sampled(name):
            return _SAMPLE if self._means_gpu(name) else None
        found = _words_of(name)
        if not self.wanted.words:
            return None
        same_split = found.split == self.wanted.split
        unsplit = not self.wanted.split or (self.evaluated and not found.split)
        if not same_split and not unsplit:
            return None
        if found.words == self.wanted.words:
            return 1 if same_split else 2
        if found.last == self.wanted.words:
            return 3 if same_split else 4
        return None

    def _means_gpu(self, name: str) -> bool:
        """Whether the words ask for a sample of a GPU: `GPU memory`, `GPU 1 utilization`.

        Samples of the host must be named by their key: "memory" alone could mean anything.
        """
        found = [word for word in _words_of(name).words if word not in {"system", "used"}]
        wanted = [word for word in self.wanted.words if word not in {"used", "usage"}]
        if not any(word.isdecimal() for word in wanted):
            found = [word for word in found if not word.isdecimal()]
        return "gpu" in found and found == wanted and not self.wanted.split


def target_of(name: Name, metrics: Mapping[str, MetricSpec]) -> Target:
    """Prepare the look-up of a name among `metrics` as declared in the spec."""
    phrase, scope = name.text, name.scope or ""
    evaluated = scope.casefold() in _EVALUATION_ACTS
    base, narrow = _words_of(phrase), _words_of(scope.replace("/", " "))
    words = tuple(sorted(base.words + narrow.words))
    wanted = _Words(base.split | narrow.split, words, words)
    spoken = phrase if not scope else f"{phrase} on {scope}"
    return Target(spoken, evaluated, wanted, _declared(spoken, wanted, metrics))


def _declared(spoken: str, wanted: _Words, metrics: Mapping[str, MetricSpec]) -> str | None:
    """The declared key: by the very words, else by the only declaration with the same words.

    A split that was asked for ("validation") must be in the alias or in the key.
    """
    similar = set()
    for name, spec in metrics.items():
        key = spec.key or name
        for alias in (name, key, *spec.aliases):
            if alias.casefold() == spoken.casefold():
                return key
            held = _words_of(alias).split | _words_of(key).split
            # An unqualified word never means the one split that happens to be declared.
            narrower = _words_of(alias).split - wanted.split
            if narrower:
                continue
            if wanted.words and _words_of(alias).words == wanted.words and held >= wanted.split:
                similar.add(key)
    return similar.pop() if len(similar) == 1 else None


def bind(target: Target, names: Collection[str]) -> Binding:
    """Bind to one of the names logged so far."""
    if target.declared is not None:
        return _bind_declared(target.declared, names)
    fitting = surest(name for name in set(names) if target.rank(name) is not None)
    ranked = sorted((rank, name) for name in fitting if (rank := target.rank(name)) is not None)
    if not ranked:
        return Binding(series=None, how=f"no series matches {target.spoken!r}")
    best = [name for rank, name in ranked if rank == ranked[0][0]]
    if ranked[0][0] == 0:
        settled = best[0] == target.spoken
        return Binding(series=best[0], how="exact key" + _read_from(best[0]), settled=settled)
    if ranked[0][0] == 1 and len(best) == 1:
        return Binding(series=best[0], how="the only series with these words")
    if len(ranked) == 1:
        return Binding(series=best[0], how="the only series that matches")
    rivals = tuple(name for _, name in ranked)
    return Binding(series=None, how=f"several series match {target.spoken!r}", rivals=rivals)


def _bind_declared(key: str, names: Collection[str]) -> Binding:
    """The declared series; the same that was read out of a file, while it is not logged."""
    read = surest(name for name in names if plain_name(name) == key)
    series = key if key in names or not read else read[0]
    how = "declared in the spec" + _read_from(series)
    return Binding(series=series, how=how, settled=series == key)


def _read_from(series: str) -> str:
    origin = origin_of(series)
    return f", read out of {_FILES[origin]}" if origin else ""


def names_of(predicate: Predicate) -> Iterator[Name]:
    """Every name of a series, from left to right."""
    for leaf in leaves(predicate):
        test = leaf.test if isinstance(leaf, Family) else leaf
        if isinstance(test, Comparison):
            for side in (test.left, test.right, test.right2):
                found = () if side is None else scalars(side)
                yield from (operand.name for operand in found if isinstance(operand, Reduced))
        elif isinstance(test, Pointwise | Trend | Logged):
            yield test.name
        elif isinstance(test, Free) and test.series is not None:
            yield test.series


@lru_cache(maxsize=4096)  # asked of every series at every look
def in_glob(series: str, glob: str) -> bool:
    """Whether a series is of those that a glob in lower case stands for; samples must be named."""
    named = glob.startswith(SAMPLED) or not is_sampled(series)
    names = (series, plain_name(series))
    return named and any(fnmatchcase(name.casefold(), glob) for name in names)


def is_glob(text: str) -> bool:
    """Whether a name stands for all series that match it."""
    return any(sign in text for sign in "*?[")


def suggestions(target: Target, names: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """Names that share a word with what was looked for, the nearest first."""
    wanted = set(target.wanted.words)
    near = []
    for name in set(names):
        shared = len(wanted & set(_words_of(name).words))
        if shared:
            near.append((-shared, len(_words_of(name).words), name))
    return tuple(name for *_, name in sorted(near)[:limit])


def spec_of(series: str, metrics: Mapping[str, MetricSpec]) -> MetricSpec | None:
    """The declaration of a series: by its key, else by its name or alias."""
    for name, spec in metrics.items():
        if (spec.key or name) in {series, plain_name(series)}:
            return spec
    aliases = {series, plain_name(series)}
    return next((spec for spec in metrics.values() if aliases & set(spec.aliases)), None)
