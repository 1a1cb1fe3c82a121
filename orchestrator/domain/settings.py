"""Parameters of training programs by what they mean: the usual names of one and the same setting.

Nested parameters count by their last word (`optim.grad-accum` is `grad_accum`), the least nested
first. Where two that are equally deep differ, nobody can tell which counts: unknown.
"""

from collections.abc import Iterator, Mapping
from typing import Any

# What is meant → names in order, without capitals, with underscores. The first found counts.
NAMES: dict[str, tuple[str, ...]] = {
    "accumulation": (
        "gradient_accumulation_steps",
        "accumulate_grad_batches",
        "gradient_accumulation",
        "grad_accumulation_steps",
        "grad_accumulation",
        "grad_accum_steps",
        "grad_accum",
        "accumulation_steps",
        "accumulation",
        "accumulate",
        "accum_steps",
        "accum",
    ),
    "eval_every": (
        "eval_every",
        "evaluate_every",
        "eval_interval",
        "eval_steps",
        "validate_every",
        "validation_every",
        "val_every",
        "val_interval",
        "val_check_interval",
    ),
    "checkpoint_every": (
        "checkpoint_every",
        "checkpoint_interval",
        "save_every",
        "save_interval",
        "save_steps",
        "ckpt_every",
        "ckpt_interval",
    ),
    "keep": ("keep", "keep_checkpoints", "keep_last", "save_total_limit", "max_checkpoints"),
}


def setting(params: Mapping[str, Any], meaning: str) -> Any | None:
    """The value that the parameters give what is meant, a key of NAMES; None where none does."""
    found = sorted(_flat(params), key=lambda each: each[0])
    for name in NAMES[meaning]:
        same = [(depth, value) for depth, key, value in found if key == name]
        values = [value for depth, value in same if depth == same[0][0]]
        if values:
            return values[0] if all(value == values[0] for value in values) else None
    return None


def count_of(params: Mapping[str, Any], meaning: str) -> int | None:
    """A setting that counts something; None unless it is a whole number above 0."""
    value = setting(params, meaning)
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
    return int(value) if whole and value is not None and value > 0 else None


def _flat(params: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[int, str, Any]]:
    """Depth, plain name and value of every parameter that is no table."""
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from _flat(value, depth + 1)
            continue
        *tables, name = str(key).split(".")
        yield depth + len(tables), name.lower().replace("-", "_"), value
