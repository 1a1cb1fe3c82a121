"""exp.toml of a workspace: what is the same for all its experiments."""

import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from orchestrator.codec import decode
from orchestrator.errors import InvalidFileError


@dataclass(frozen=True, slots=True, kw_only=True)
class GitConfig:
    """[git]: when the tool commits tickets and reports; it never pushes."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    commit: Literal["milestones", "manual", "never"] = "milestones"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueConfig:
    """[queue]: `cpus` is how many CPU slots the runs of this workspace share; None is no limit."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    cpus: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryConfig:
    """[telemetry]: seconds between two samples of the hardware; 0 takes none."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    interval: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CostConfig:
    """[cost]: what an hour of one GPU costs, and one of the machine for runs without GPUs.

    `currency` is written behind the amount: `EUR`, `$`.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    price_per_gpu_hour: float | None = None
    price_per_hour: float | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceConfig:
    """exp.toml; every key has a default, the file may be absent.

    `notify` is read by orchestrator.notify, which also knows the user's own file.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    git: GitConfig = field(default_factory=GitConfig)
    queue: QueueConfig = field(default_factory=QueueConfig)
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    cost: CostConfig = field(default_factory=CostConfig)
    notify: dict[str, Any] = field(default_factory=dict)


def load_config(root: Path) -> WorkspaceConfig:
    """Read exp.toml of the workspace at `root`.

    Raises:
        InvalidFileError: names the line, or the key and value.
    """
    path = root / "exp.toml"
    if not path.exists():
        return WorkspaceConfig()
    config = decode(WorkspaceConfig, read_toml(path), source=str(path))
    if config.queue.cpus is not None and config.queue.cpus < 1:
        raise InvalidFileError(
            f"{path}: queue.cpus = {config.queue.cpus}: no run could ever start",
            hint="set it to 1 or more, or remove it",
        )
    if not config.telemetry.interval >= 0:
        raise InvalidFileError(
            f"{path}: telemetry.interval = {config.telemetry.interval}: less than 0 seconds",
            hint="set it to 5, or to 0 for no samples",
        )
    for name in ("price_per_gpu_hour", "price_per_hour"):
        price = getattr(config.cost, name)
        if price is not None and not 0 <= price < math.inf:
            raise InvalidFileError(
                f"{path}: cost.{name} = {price}: no price", hint="set it to 0 or more"
            )
    return config


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InvalidFileError: no UTF-8 or no TOML; names line and column.
        FileNotFoundError: there is none.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InvalidFileError(
            f"{path}: byte {error.start} is not UTF-8", hint=f"save {path} as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidFileError(f"{path}: no valid TOML: {error}", hint=f"edit {path}") from error
