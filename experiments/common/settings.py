"""Settings of training programs: what a spec's [params] and the programs' arguments may say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any, TypeVar


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """What every training may be told. `steps` counts optimizer steps; 0: `epochs` decide."""

    # Optimization. `batch` is the global one: all processes, all accumulated parts.
    steps: int = 1200
    epochs: int = 0
    batch: int = 32
    accumulate: int = 1
    optimizer: str = "adamw"  # adam_atan2, muon, muon_urm
    lr: float = 2e-3
    lr_end: float = 0.1  # the last rate as a share of the first; 1: constant after the warm-up
    warmup: int = 50
    weight_decay: float = 0.1
    clip: float = 1.0  # 0: no clipping
    ema: float = 0.99  # 0: none

    # Evaluation while training.
    eval_every: int = 0  # 0: not while training
    eval_batch: int = 256
    best: str = ""  # metric of the validation by which the best checkpoint is kept: val/exact

    # Where and how.
    device: str = "auto"
    precision: str = "auto"  # bf16 on a GPU, else fp32
    checkpoint_every: int = 300
    keep: int = 0  # newest checkpoints that stay, 0: all
    log_every: int = 10
    threads: int = 2
    seed: int = 0


CHOICES = {
    "optimizer": ("adamw", "adam_atan2", "muon", "muon_urm"),
    "precision": ("auto", "fp32", "bf16"),
}
_AT_LEAST_ONE = ("batch", "accumulate", "eval_batch", "checkpoint_every", "log_every", "threads")
_AT_LEAST_ZERO = ("steps", "epochs", "eval_every", "keep", "warmup", "clip", "seed")
_AT_LEAST_ZERO += ("lr", "lr_end", "weight_decay")

S = TypeVar("S", bound=TrainingSettings)


def read_typed(
    kind: type[S], config: Mapping[str, Any], argv: Sequence[str], where: str
) -> dict[str, Any]:
    """The values that a spec's [params] and `key=value` arguments give; arguments win.

    `where` names the file that lists all settings, for the error.

    Raises:
        ValueError: a key is unknown, or a value has the wrong type.
    """
    known = {field.name for field in fields(kind)}
    given = dict(config)
    for argument in argv:
        key, equals, text = argument.partition("=")
        if not equals:
            raise ValueError(f"{argument!r}: write key=value")
        given[key] = text
    if unknown := sorted(given.keys() - known):
        near = get_close_matches(unknown[0], known, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"no such setting: {', '.join(unknown)}{meant}; {where} has all")
    defaults = asdict(kind())
    return {key: _typed(key, value, type(defaults[key])) for key, value in given.items()}


def check_training(settings: TrainingSettings) -> None:
    """Refuse what makes no sense in any training.

    Raises:
        ValueError: a value out of range, or two that exclude each other.
    """
    one_of(settings, CHOICES)
    at_least(settings, 1, _AT_LEAST_ONE)
    at_least(settings, 0, _AT_LEAST_ZERO)
    if (settings.steps > 0) == (settings.epochs > 0):
        raise ValueError(
            f"steps={settings.steps} and epochs={settings.epochs}: say either steps or epochs;"
            " the other one is 0"
        )
    if settings.batch % settings.accumulate:
        raise ValueError(f"batch={settings.batch}: no multiple of accumulate={settings.accumulate}")
    if settings.best and not settings.eval_every:
        raise ValueError(f"best={settings.best}: nothing is evaluated while eval_every is 0")
    if settings.best and not settings.best.startswith("val/"):
        raise ValueError(f"best={settings.best}: a metric of the validation, as in best=val/exact")


def one_of(settings: TrainingSettings, choices: Mapping[str, Sequence[str]]) -> None:
    """Refuse a word that is not among the choices of its setting.

    Raises:
        ValueError: with all of the choices.
    """
    for key, allowed in choices.items():
        if getattr(settings, key) not in allowed:
            raise ValueError(f"{key}={getattr(settings, key)!r}: one of {', '.join(allowed)}")


def at_least(settings: TrainingSettings, least: int, keys: Iterable[str]) -> None:
    """Refuse numbers below `least`, and what is no number.

    Raises:
        ValueError: names the setting.
    """
    for key in keys:
        if not getattr(settings, key) >= least:
            raise ValueError(f"{key}={getattr(settings, key)}: at least {least}")


def _typed(key: str, value: Any, kind: type) -> Any:
    """`value` as `kind`: JSON and TOML know no difference between 1 and 1.0, argv only text."""
    if kind is dict:
        return _table(key, value)
    if kind is tuple:
        several = value.split(",") if isinstance(value, str) else value
        several = several if isinstance(several, (list, tuple)) else [several]
        return tuple(_typed(key, one, int) for one in several)
    try:
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]
        converted = kind(value)
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{key}={value!r}: not {kind.__name__}") from error
    if kind is int and float(value) != converted:
        raise ValueError(f"{key}={value!r}: not int")
    return converted


def _table(key: str, value: Any) -> dict[str, Any]:
    """A table, or as an argument NAME:VALUE,NAME:VALUE with numbers as values."""
    if isinstance(value, Mapping):
        return dict(value)
    pairs = [part.partition(":") for part in str(value).split(",")]
    try:
        return {name: float(number) for name, _, number in pairs}
    except ValueError as error:
        raise ValueError(
            f"{key}={value!r}: write {key}=NAME:NUMBER,…, or a table [params.{key}] in a spec"
        ) from error
