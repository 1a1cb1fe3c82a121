"""`run.config` and `run.summary`: dicts that write down their changes."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Self

from orchestrator.track.warning import describe, harmless, warn_once

Write = Callable[[Mapping[str, Any]], None]


class Recorded(dict[str, Any]):
    """A dict that hands every change to `write`; `config.lr` is `config["lr"]`.

    It pickles as a plain ordered dict: people save `run.config` inside checkpoints, and those must
    load where this package is not, and under torch's `weights_only` too.
    """

    __slots__ = ("_write",)
    _write: Write | None

    def __init__(
        self, values: Mapping[str, Any] | None = None, *, write: Write | None = None
    ) -> None:
        super().__init__(values or {})
        object.__setattr__(self, "_write", write)

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __getattr__(self, name: str) -> Any:
        # Python and notebooks ask any object for `_repr_html_` and the like: no values to look for.
        if name in self or not name.startswith("_"):
            try:
                return self[name]
            except KeyError:
                pass
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of `key`, set to `default` first if there is none."""
        if key not in self:
            self.update({key: default})
        return self[key]

    @harmless
    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several values and write them down in one event."""
        values = dict(*args, **kwargs)
        super().update(values)
        if self._write is not None and values:
            self._write(values)

    def __ior__(self, other: Any) -> Self:  # type: ignore[misc, override]  # dict's has overloads
        self.update(other)
        return self

    def __copy__(self) -> Self:
        return type(self)(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)(deepcopy(dict(self), memo))

    def __reduce_ex__(self, _protocol: Any) -> Any:
        return OrderedDict, (), None, None, iter(self.items())


class Config(Recorded):
    """The configuration."""

    __slots__ = ()

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several values in one event, also from an object's attributes.

        wandb's `allow_val_change` is taken and not needed: a value may always change.
        """
        kwargs.pop("allow_val_change", None)
        super().update(*map(as_mapping, args), **kwargs)

    def setdefaults(self, values: Any) -> None:
        """Set those of `values` that have no value yet."""
        self.update({key: item for key, item in as_mapping(values).items() if key not in self})

    def as_dict(self) -> dict[str, Any]:
        """A plain copy."""
        return dict(self)


class Summary(Recorded):
    """Final figures: `summary({"best": 0.9})` or `summary["best"] = 0.9`."""

    __slots__ = ("_look",)
    _look: Callable[[str], float | None] | None

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        write: Write | None = None,
        look: Callable[[str], float | None] | None = None,
    ) -> None:
        super().__init__(values, write=write)
        object.__setattr__(self, "_look", look)

    def __missing__(self, key: str) -> Any:
        """The last value logged under `key`, as in wandb."""
        value = None if self._look is None else self._look(key)
        if value is None:
            raise KeyError(key)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        """The figure called `key`, or the last value logged under it, or `default`."""
        try:
            return self[key]
        except KeyError:
            return default

    def __call__(self, values: Mapping[str, Any]) -> None:
        """Set several figures in one event."""
        self.update(values)


def as_mapping(config: Any) -> dict[str, Any]:
    """A configuration as a dict: of a mapping, pairs, or an object's attributes; never raises."""
    try:
        if isinstance(config, Mapping | list | tuple):
            return dict(config)
        return dict(vars(config)) if config else {}
    except Exception as error:  # noqa: BLE001 - a strange config is no reason to stop training
        warn_once("config", f"config was not understood: {describe(error)}")
        return {}
