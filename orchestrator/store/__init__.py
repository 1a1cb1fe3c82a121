"""The index over tickets and run folders: one process writes it, every command reads it.

Files are the truth and the index can always be rebuilt from them. `Reader` needs nothing but the
standard library; `Index`, the writer, brings SQLModel and is therefore loaded on first use.
"""

from typing import TYPE_CHECKING, Any

from orchestrator.store.reader import Reader

if TYPE_CHECKING:
    from orchestrator.store.index import Index

__all__ = ["Index", "Reader"]


def __getattr__(name: str) -> Any:
    if name == "Index":
        from orchestrator.store.index import Index  # noqa: PLC0415 - half a second, writer only

        return Index
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
