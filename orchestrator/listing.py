"""What lies in a folder, read again only when the folder changed."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import EnvironmentFailure

_SETTLED = 2.0  # seconds after which a folder's time of change tells of every later change


@dataclass(frozen=True, slots=True)
class Listing:
    """Names in a folder, sorted; links to folders and files are in `names` alone.

    `changed` tells the folder and its last change: inode and times in ns, of which the last cannot
    be set back (rsync does so with the first). `settled` says that the same, found later, stands
    for the same names.
    """

    changed: tuple[int, int, int]
    settled: bool
    names: tuple[str, ...]
    folders: tuple[str, ...]
    files: tuple[str, ...]


NOTHING = Listing((0, 0, 0), False, (), (), ())


class Listings:
    """Listings of folders from one look to the next; a look at an unchanged one costs a `stat`.

    As long as the same object comes back, no name has appeared in the folder, gone, or been put in
    the place of another.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[Path, Listing]] = {}

    def list(self, folder: str) -> Listing:
        """What lies in a folder; `NOTHING` if it is gone or forbidden.

        Raises:
            EnvironmentFailure: what lies there cannot be told now: no descriptor is left, a disk or
                a share fails.
        """
        path, known = self._known.get(folder) or (Path(folder), NOTHING)
        try:
            status = path.stat()
            changed = status.st_ino, status.st_mtime_ns, status.st_ctime_ns
            if known.changed == changed and known.settled:
                return known
            known = _listed(folder, changed)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            self._known.pop(folder, None)
            return NOTHING
        except OSError as error:
            raise EnvironmentFailure(
                f"cannot list {folder}: {error.strerror}", hint=f"ls -ld {folder}; ulimit -n"
            ) from error
        self._known[folder] = path, known
        return known


def _listed(folder: str, changed: tuple[int, int, int]) -> Listing:
    # Two changes within one tick of the file system's clock have the same time.
    settled = changed[-1] / 1e9 < time.time() - _SETTLED
    with os.scandir(folder) as entries:
        kinds = [
            (entry.name, entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False))
            for entry in entries
        ]
    return Listing(
        changed,
        settled,
        tuple(sorted(name for name, _, _ in kinds)),
        tuple(sorted(name for name, is_folder, _ in kinds if is_folder)),
        tuple(sorted(name for name, _, is_file in kinds if is_file)),
    )
