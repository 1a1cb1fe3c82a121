"""Settings by what they mean: `accumulate` is `gradient_accumulation_steps` elsewhere.

Nested tables are taken apart. What is told in two ways that differ is unknown.
"""

import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

Path = tuple[str, ...]

EVAL = ("eval", "evaluation", "evaluate", "val", "valid", "validation", "test")
SCHEDULE = ("scheduler", "lr_scheduler", "schedule", "lr_schedule")


def inside(parents: tuple[str, ...], *names: str) -> tuple[str, ...]:
    """Names that mean this only inside one of those tables."""
    return tuple(f"{parent}.{name}" for name in names for parent in parents)


# Meaning: the names for it, the surest first. `parent.name` must stand in that table. Names are
# lower case; `-` and camelCase count as `_`.
MEANINGS: Mapping[str, tuple[str, ...]] = {
    "accumulate": (
        *("gradient_accumulation_steps", "grad_accumulation_steps", "accumulate_grad_batches"),
        *("gradient_accumulation", "grad_accumulation", "grad_accum_steps", "grad_accum"),
        *(
            "accumulation_steps",
            "accumulation",
            "accumulate",
            "accum_steps",
            "accum",
            "update_freq",
        ),
        *("iters_to_accumulate", "accum_iter"),
    ),
    "batch": (
        *("micro_batch_size", "micro_batch", "per_device_train_batch_size", "per_gpu_batch_size"),
        *(
            "device_batch_size",
            "batch_size_per_gpu",
            "train_batch_size",
            "batch_size",
            "batch",
            "bs",
        ),
    ),
    "global_batch": (
        "global_batch_size",
        "global_batch",
        "total_batch_size",
        "effective_batch_size",
    ),
    "eval_batch": (
        *("per_device_eval_batch_size", "eval_batch_size", "eval_batch", "val_batch_size"),
        *("val_batch", "valid_batch_size", "validation_batch_size", "test_batch_size"),
        *inside(EVAL, "batch_size", "batch"),
    ),
    "heads": (
        *("num_heads", "n_heads", "n_head", "num_attention_heads", "attention_heads", "nhead"),
        *("nheads", "heads"),
    ),
    "sequence": (
        *("max_seq_len", "max_seq_length", "max_sequence_length", "seq_len", "seq_length"),
        *("sequence_length", "sequence", "max_length", "block_size", "context_length"),
        *("context_size", "context", "n_ctx", "n_positions", "max_position_embeddings"),
    ),
    "vocab": ("vocab_size", "vocabulary_size", "n_vocab", "vocabulary", "vocab"),
    "classes": ("num_classes", "n_classes", "classes", "num_labels", "num_colors", "colors"),
    "hidden": (
        *("hidden_size", "hidden_dim", "d_model", "n_embd", "embed_dim", "embedding_dim"),
        *("model_dim", "dim", "width", "hidden"),
    ),
    "layers": (
        *("num_layers", "n_layers", "n_layer", "num_hidden_layers", "layers", "depth"),
        "num_blocks",
    ),
    "parameters": ("num_parameters", "n_parameters", "num_params", "n_params", "parameters"),
    "lr": ("peak_lr", "max_lr", "learning_rate", "lr"),
    "lr_min": (
        *("min_lr", "lr_min", "eta_min", "final_lr", "end_lr", "min_learning_rate", "lr_final"),
    ),
    "lr_end": ("lr_end", "min_lr_ratio", "lr_min_ratio", "final_lr_ratio"),  # share of the peak
    "warmup": (
        *("warmup_steps", "num_warmup_steps", "warmup_iters", "lr_warmup_steps", "n_warmup_steps"),
        *("warmup_updates", "warmup"),
    ),
    "warmup_share": (
        *("warmup_ratio", "warmup_fraction", "warmup_share", "warmup_pct", "warmup_proportion"),
        "pct_start",
    ),
    "schedule_steps": (
        *(
            "scheduler_steps",
            "total_scheduler_steps",
            "scheduler_total_steps",
            "num_training_steps",
        ),
        *("lr_decay_iters", "lr_decay_steps", "decay_steps", "schedule_steps", "t_max"),
        *inside(SCHEDULE, "total_steps", "max_steps", "total_iters", "steps", "num_steps"),
    ),
    "optimizer_steps": (
        *("optimizer_steps", "total_optimizer_steps", "num_optimizer_steps", "num_update_steps"),
        *("total_updates", "num_updates", "max_updates"),
    ),
    "batches": ("total_batches", "num_batches", "total_micro_batches"),
    "steps": (
        "max_steps",
        "total_steps",
        "num_steps",
        "max_iters",
        "train_steps",
        "n_steps",
        "steps",
    ),
    "epochs": ("num_train_epochs", "num_epochs", "max_epochs", "n_epochs", "epochs"),
    "eval_every": (
        *("eval_every", "eval_steps", "eval_interval", "eval_frequency", "eval_freq", "val_every"),
        *("val_interval", "val_check_interval", "validate_every", "validation_interval"),
        *("validation_every", "evaluate_every"),
        *("evaluation_steps", "test_every", *inside(EVAL, "every", "interval", "frequency")),
    ),
    "checkpoint_every": (
        *(
            "checkpoint_every",
            "checkpoint_steps",
            "checkpoint_interval",
            "save_every",
            "save_steps",
        ),
        *("save_interval", "save_frequency", "save_freq", "ckpt_every", "ckpt_interval"),
        *inside(("checkpoint", "checkpoints", "save"), "every", "interval", "steps"),
    ),
    "keep": (
        *("keep", "keep_checkpoints", "keep_last", "save_total_limit", "max_checkpoints"),
        *inside(("checkpoint", "checkpoints", "save"), "keep"),
    ),
    "ema": (
        *("ema_decay", "ema_rate", "ema_beta", "ema_momentum", "ema", "model_ema_decay"),
        *inside(("ema", "model_ema"), "decay", "rate", "beta", "momentum"),
    ),
    "workers": ("num_workers", "dataloader_num_workers", "data_workers", "n_workers", "workers"),
}


def count_of(params: Mapping[str, Any], meaning: str) -> int | None:
    """What parameters say of something that is counted; None unless a whole number above 0.

    Raises:
        KeyError: MEANINGS has no such meaning.
    """
    numbers = {p: n for p, value in flat(params) if (n := number_of(value)) is not None}
    path = best_path(numbers, MEANINGS[meaning], ())
    number = numbers[path] if path else 0.0
    return int(number) if number > 0 and number.is_integer() else None


def flat(table: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Path and value of every setting that is no table; a dot in a key counts as a table too."""
    for key, value in table.items():
        path = (*above, *(_plain(part) for part in str(key).replace("/", ".").split(".")))
        if isinstance(value, Mapping):
            yield from flat(value, path)
        else:
            yield path, value


@lru_cache(maxsize=4096)  # asked of every setting by every rule
def _plain(name: str) -> str:
    """`warmupSteps`, `warmup-steps` and `warmup_steps` are the same name."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"\W+", "_", spaced).strip("_").lower()


def best_path(found: Mapping[Path, Any], aliases: tuple[str, ...], apart: tuple[str, ...]) -> Path:
    """The path of the surest alias that any has; the outermost, if deeper ones differ.

    Those below a table named in `apart` mean something else. Empty if none is left, or two differ.
    """
    for alias in aliases:
        parent, dot, name = alias.rpartition(".")
        paths = [
            path
            for path in found
            if path[-1] == name and not set(path[:-1]) & set(apart)
            if not dot or (path[-2] if len(path) > 1 else "") == parent
        ]
        outermost = [path for path in paths if len(path) == min(map(len, paths))]
        if outermost:
            same = len({found[path] for path in outermost}) == 1
            return outermost[0] if same else ()
    return ()


def number_of(value: object) -> float | None:
    """A number that is finite, also one that YAML took for a text (`1e-4`)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(str(value).replace("_", ""))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
