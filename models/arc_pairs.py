"""Pairs of ARC tasks as single examples, and their division into trained on and held out.

A student of this kind sees one question and is asked for its answer: a pair is an example, and the
demonstrations of a task are examples as its test pairs are. Dividing pairs puts a task's rule on
both sides; dividing tasks does not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from models.arc import LARGEST, Grid, Pair, Task, augment, draw_variants, generator
from models.arc_leakage import Overlap, Place, overlap, pairs_of
from models.arc_set import load_tasks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Example:
    """Pair `number` (from 0) of a task's `part`, "train" or "test"; grids are uint8 [h, w].

    `form` counts its augmented forms; 0 is the pair as it was published.
    """

    task: str
    part: str
    number: int
    question: Grid
    answer: Grid
    form: int = 0

    @property
    def name(self) -> str:
        """The example's own name, which is also good for a file."""
        return f"{self.task}_{self.part}_{self.number}" + (f"_{self.form}" if self.form else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """Examples to train on and examples held out, each in the order they had.

    `moved` says which held-out tasks went to training because a pair of theirs is like a training
    pair, with that pair.
    """

    train: tuple[Example, ...]
    held_out: tuple[Example, ...]
    moved: tuple[Overlap, ...]


def load_examples(side: int, family: str = "arc1") -> tuple[Example, ...]:
    """Pairs of the training tasks of one ARC whose two grids fit in side x side, by task.

    Raises:
        ValueError: no side of 1 to 30, no pair that fits, or as `load_tasks` says.
    """
    if not 1 <= side <= LARGEST:
        raise ValueError(f"side={side}; grids are 1 to {LARGEST} cells wide and high")
    training, _ = load_tasks(family)
    found = examples_of(training, side)
    if not found:
        raise ValueError(f"side={side}: no pair of {family} fits in it; take a larger side")
    return found


def examples_of(tasks: Sequence[Task], side: int) -> tuple[Example, ...]:
    """The pairs of these tasks whose two grids fit in side x side."""
    return tuple(
        Example(
            task=place.task, part=place.part, number=place.number, question=question, answer=answer
        )
        for task in tasks
        for part in ("train", "test")
        for place, (question, answer) in pairs_of(task, part)
        if max(*question.shape, *answer.shape) <= side
    )


def divide(examples: Sequence[Example], *, by: str, share: float, seed: int) -> Division:
    """Hold out a share of the tasks, or of the pairs, that the seed draws.

    `by` is "task" (no task is on both sides, and none that is held out has a pair like a training
    pair, turned or recoloured) or "pair" (the original's way, which leaks: for comparison only).
    Whether a task is held out depends on its name, the seed and how many others there are, and on
    nothing that its grids show, but for the pairs that are alike.

    Raises:
        ValueError: no such `by`, a share that is not between 0 and 1, or an empty side.
    """
    if by not in {"task", "pair"}:
        raise ValueError(f'by={by!r}; examples are divided by "task" or by "pair"')
    if not 0 < share < 1:
        raise ValueError(f"share={share}; a share held out is between 0 and 1, as 0.1")
    keys = [example.task if by == "task" else example.name for example in examples]
    drawn = sorted(set(keys), key=lambda key: (generator(key, seed, "held out").random(), key))
    out = set(drawn[: round(share * len(drawn))])
    moved: tuple[Overlap, ...] = ()
    if by == "task":
        moved = _alike(examples, out)
        out -= {found.evaluated.task for found in moved}
    division = Division(
        train=tuple(e for e, key in zip(examples, keys, strict=True) if key not in out),
        held_out=tuple(e for e, key in zip(examples, keys, strict=True) if key in out),
        moved=moved,
    )
    for where, part in (("to train on", division.train), ("held out", division.held_out)):
        if not part:
            raise ValueError(
                f"share={share} of {len(drawn)} {by}s ({len(moved)} moved to training): none is"
                f" {where}; take another share or a larger side"
            )
    return division


def _alike(examples: Sequence[Example], held_out: set[str]) -> tuple[Overlap, ...]:
    """Why tasks cannot be held out: one pair of each that is like one of another trained on."""
    out, moved = set(held_out), list[Overlap]()
    # A task that is moved brings its own pairs to training, and others may be like those.
    while found := _first_alike(examples, out):
        moved += found
        out -= {each.evaluated.task for each in found}
    return tuple(moved)


def _first_alike(examples: Sequence[Example], out: set[str]) -> list[Overlap]:
    trained = [_placed(example) for example in examples if example.task not in out]
    asked = [_placed(example) for example in examples if example.task in out]
    first: dict[str, Overlap] = {}
    for found in overlap(trained, asked):
        first.setdefault(found.evaluated.task, found)
    return list(first.values())


def _placed(example: Example) -> tuple[Place, Pair]:
    place = Place(task=example.task, part=example.part, number=example.number)
    return place, (example.question, example.answer)


def augmented(examples: Sequence[Example], forms: int, seed: int) -> tuple[Example, ...]:
    """Each example in up to so many forms: turned, reflected and recoloured, the first unchanged.

    Question and answer of a form are changed alike; small grids have fewer different forms.

    Raises:
        ValueError: forms is below 1.
    """
    if forms < 1:
        raise ValueError(f"forms={forms}; 1 is the examples as they are")
    return tuple(form for example in examples for form in _forms(example, forms, seed))


def _forms(example: Example, forms: int, seed: int) -> Iterator[Example]:
    pairs = ((example.question, example.answer),)
    task = Task(name=example.name, train=pairs, test=())
    variants = draw_variants(task, forms, recolour=True, seed=seed)
    drawn = zip(variants.symmetry_V.tolist(), variants.colours_VC.tolist(), strict=True)
    for form, (symmetry, colours) in enumerate(drawn):
        yield replace(
            example,
            form=form,
            question=augment(example.question, symmetry, colours),
            answer=augment(example.answer, symmetry, colours),
        )


def permute_answers(examples: Sequence[Example], seed: int) -> tuple[Example, ...]:
    """The same questions in the same order, each with the answer of an example drawn by the seed.

    Every answer is used once. What a model learns from these is what it knows without a question.
    """
    order = generator("all", seed, "answers").permutation(len(examples))
    return tuple(
        replace(example, answer=examples[other].answer)
        for example, other in zip(examples, order.tolist(), strict=True)
    )


def describe(division: Division) -> dict[str, Any]:
    """The division in JSON values, for a run's record: sizes, held-out tasks, what was moved."""
    return {
        "train": len(division.train),
        "held_out": len(division.held_out),
        "held_out_tasks": sorted({example.task for example in division.held_out}),
        "moved": [
            f"{found.evaluated.task}: {found.evaluated.part} pair {found.evaluated.number} is like"
            f" {found.trained.part} pair {found.trained.number} of {found.trained.task}"
            for found in division.moved
        ],
    }
