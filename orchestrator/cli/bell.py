"""The terminal's bell, and its own notification where it has one, for who looks elsewhere."""

import os
import sys
from collections.abc import Callable, Iterable

from orchestrator.actions.notifying import notices_of
from orchestrator.cli.console import clean
from orchestrator.workspace import RunFolder

# They would print the sequence instead of acting on it.
_PLAIN = {"", "dumb", "linux"}


class Bell:
    """Rings once, with its title, for each notice that is new since the last look."""

    def __init__(self, ring: Callable[[str], object]) -> None:
        self._ring = ring
        self._known: set[str] | None = None
        self._sizes: dict[str, int] = {}

    def look(self, folders: Iterable[RunFolder]) -> None:
        """Look at what was told of these runs; the first look only remembers."""
        grown = [folder for folder in folders if self._has_grown(folder)]
        notices = notices_of(grown)
        if self._known is not None:
            for key in notices.keys() - self._known:
                self._ring(notices[key].title)
        self._known = (self._known or set()) | notices.keys()

    def _has_grown(self, folder: RunFolder) -> bool:
        try:
            size = folder.notices_file.stat().st_size
        except FileNotFoundError:
            return False
        before, self._sizes[folder.id] = self._sizes.get(folder.id), size
        return before != size


def ring(title: str) -> None:
    """Ring on the terminal, if there is one; those that know OSC 9 also show the title."""
    if not sys.stderr.isatty():
        return
    shown = "" if os.environ.get("TERM", "") in _PLAIN else f"\x1b]9;{clean(title)}\x1b\\"
    sys.stderr.write(f"{shown}\a")
    sys.stderr.flush()
