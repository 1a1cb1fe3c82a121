"""What a program written for wandb makes besides numbers: taken, and left out of the record.

A table keeps its rows and an artifact its name, because programs read those back.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from orchestrator.track.warning import warn_once


class Media:
    """A picture, sound, chart or the like; whatever it is made of, nothing of it is kept."""

    def __init__(self, *_parts: Any, **_options: Any) -> None:
        return


NAMES = "Audio Classes Graph Histogram Html Image JoinedTable Molecule Object3D Plotly Video"
KINDS = {name: type(name, (Media,), {"__module__": __name__}) for name in NAMES.split()}


class Table(Media):
    """Rows under `columns`; the program may read them back, the record leaves them out."""

    def __init__(
        self,
        columns: Sequence[Any] | None = None,
        data: Iterable[Sequence[Any]] | None = None,
        dataframe: Any = None,
        **_options: Any,
    ) -> None:
        super().__init__()
        if dataframe is not None:
            columns, data = dataframe.columns, dataframe.values
        self.columns = list(columns or ())
        self.data = [list(row) for row in data] if data is not None else []

    def add_data(self, *row: Any) -> None:
        """Add a row."""
        self.data.append(list(row))

    def add_column(self, name: Any, data: Iterable[Any]) -> None:
        """Add a value to each row, or make the rows if there are none."""
        self.columns.append(name)
        values = list(data)
        self.data = self.data or [[] for _ in values]
        for row, value in zip(self.data, values, strict=False):
            row.append(value)

    def get_column(self, name: Any, **_options: Any) -> list[Any]:
        """The values under `name`.

        Raises:
            ValueError: there is no such column.
        """
        at = self.columns.index(name)
        return [row[at] for row in self.data]


class Artifact(Media):
    """A named set of files; the files stay where they are."""

    def __init__(
        self,
        name: str,
        type: str | None = None,  # noqa: A002 - wandb's name for it
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **_options: Any,
    ) -> None:
        super().__init__()
        self.name, self.type, self.description = name, type, description
        self.metadata = dict(metadata or {})

    def add(self, *_what: Any, **_options: Any) -> None:
        """Take a file, folder, reference or object, and do nothing with it."""

    add_file = add_dir = add_reference = add

    @contextmanager
    def new_file(self, _name: str, mode: str = "w", **_options: Any) -> Iterator[IO[Any]]:
        """A file to write to that keeps nothing."""
        with open(os.devnull, mode) as file:  # noqa: PTH123 - the mode is the caller's
            yield file

    def wait(self, *_options: Any) -> "Artifact":
        """Return at once: nothing is uploaded."""
        return self


class Charts:
    """`wandb.plot`: whatever chart is asked for, it is taken and left out."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return KINDS["Graph"]


def left_out(name: str, value: Any) -> bool:
    """Whether `value` is media, or a list of media; said once a name."""
    first = next(iter(value), None) if isinstance(value, list | tuple) else value
    if not isinstance(first, Media):
        return False
    warn_once(f"media {name}", f"{name!r} is left out: exp keeps no {type(first).__name__}")
    return True
