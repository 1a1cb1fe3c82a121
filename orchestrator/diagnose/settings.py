"""What a run was set to, by meaning: `accumulate` is `gradient_accumulation_steps` elsewhere.

Settings come from the run's params and from what its programs said through `track` (events named
`config`), which win: they know the defaults that the spec does not spell out. Nested tables are
taken apart. What is told in two ways that differ is unknown.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from orchestrator.diagnose.case import Case
from orchestrator.domain.finding import Quote

Path = tuple[str, ...]
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


_EVAL = ("eval", "evaluation", "evaluate", "val", "valid", "validation", "test")
_SCHEDULE = ("scheduler", "lr_scheduler", "schedule", "lr_schedule")


def _of(parents: tuple[str, ...], *names: str) -> tuple[str, ...]:
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
        *_of(_EVAL, "batch_size", "batch"),
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
        *_of(_SCHEDULE, "total_steps", "max_steps", "total_iters", "steps", "num_steps"),
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
        *("evaluation_steps", "test_every", *_of(_EVAL, "every", "interval", "frequency")),
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
        *_of(("checkpoint", "checkpoints", "save"), "every", "interval", "steps"),
    ),
    "ema": (
        *("ema_decay", "ema_rate", "ema_beta", "ema_momentum", "ema", "model_ema_decay"),
        *_of(("ema", "model_ema"), "decay", "rate", "beta", "momentum"),
    ),
    "workers": ("num_workers", "dataloader_num_workers", "data_workers", "n_workers", "workers"),
}
SCHEDULES: tuple[str, ...] = (
    "lr_scheduler_type",
    "lr_schedule",
    "scheduler_type",
    "lr_scheduler",
    "scheduler",
)
SCHEDULES += ("schedule", "decay", "lr_decay", "lr_decay_style", *_of(_SCHEDULE, "name", "type"))
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
    apart = (*_TEACHER, *(_EVAL if meaning == "batch" else ()))
    for table in _tables(case, member):
        numbers = {path: n for path, told in table.items() if (n := _number(told[0])) is not None}
        if path := _best(numbers, aliases, apart):
            return _setting(path, table)
    return None


def schedule(case: Case, member: str = "") -> Word | None:
    """The kind of the learning rate's schedule in the run's own word: `cosine`."""
    for table in _tables(case, member):
        words = {path: told[0] for path, told in table.items() if isinstance(told[0], str)}
        if path := _best(words, SCHEDULES, _TEACHER):
            return Word(name=".".join(path), value=words[path])
    return None


def weights(case: Case, member: str = "") -> dict[str, Setting]:
    """Weights of the terms of the loss by the term's name.

    Without those that change in time, and those below 0: they declare no share.
    """
    found: dict[str, Setting] = {}
    for table in _tables(case, member):
        for path, told in table.items():
            term, number = _term(path), _number(told[0])
            if term and number is not None and number >= 0:
                found.setdefault(term, _setting(path, table))
    return found


def accumulation(case: Case, member: str = "") -> int:
    """Micro-batches of an optimizer step; 1 if nothing else is told."""
    told = setting(case, "accumulate", member)
    return max(1, round(told.value)) if told else 1


def _setting(path: Path, table: Table) -> Setting:
    value, source, line = table[path]
    name, number = ".".join(path), _number(value) or 0.0
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
            told |= {path: (value, at.source, at.line) for path, value in _flat(event.data)}
    params: Table = {p: (value, "run.json", None) for p, value in _flat(case.record.params)}
    if member:
        own = (_MEMBERS, member.partition("/")[0])
        for table in (told, params):
            yield {path[2:]: value for path, value in table.items() if path[:2] == own}
    for table in (told, params):
        yield {path: value for path, value in table.items() if path[0] != _MEMBERS}


def _flat(table: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    for key, value in table.items():
        path = (*above, *(_plain(part) for part in str(key).replace("/", ".").split(".")))
        if isinstance(value, Mapping):
            yield from _flat(value, path)
        else:
            yield path, value


@lru_cache(maxsize=4096)  # asked of every setting by every rule
def _plain(name: str) -> str:
    """`warmupSteps`, `warmup-steps` and `warmup_steps` are the same name."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"\W+", "_", spaced).strip("_").lower()


def _best(found: Mapping[Path, Any], aliases: tuple[str, ...], apart: tuple[str, ...]) -> Path:
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


def _number(value: object) -> float | None:
    """A number that is finite, also one that YAML took for a text (`1e-4`)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(str(value).replace("_", ""))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _term(path: Path) -> str:
    """The loss term whose weight stands at a path; empty if it is no weight of a term."""
    if len(path) > 1 and path[-2] in WEIGHTS:
        return path[-1].removesuffix("_loss")
    named = _WEIGHT_NAME.fullmatch(path[-1])
    if named is None:
        return ""
    term = (named["behind"] or named["before"]).removesuffix("_loss").removesuffix("_weight")
    return "" if term in _NO_TERM else term
