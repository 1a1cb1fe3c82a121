"""Who has which GPU of this machine: one lock file a UUID, shared by all workspaces and users.

The lock is the lease. It is held through a descriptor that a run's shim inherits, so that the
kernel frees it with the shim, however that ends. What stands in the file only tells people who has
it; it means nothing once the lock is free.
"""

import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.errors import EnvironmentFailure

# Not Python's temporary folder: TMPDIR differs between users, and the GPUs do not.
_SHARED = Path("/tmp/exp-leases")  # noqa: S108 - shared on purpose; every file in it is checked
_TURN_LIMIT = 2.0  # seconds that a dispatcher waits for that of another workspace
_POLL = 0.02  # seconds


class Leases:
    """The lock files of one machine."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use `folder`, else the one that EXP_LEASES names, else the machine's own."""
        self._folder = folder or Path(os.environ.get("EXP_LEASES") or _SHARED)

    def ever_used(self) -> bool:
        """Whether any GPU was leased on this machine since its temporary files were cleared."""
        return any(self._folder.glob("*.lock"))

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Hold the right to take leases; False if another dispatcher does not give it up.

        One at a time: two that want two GPUs each must not take one each.

        Raises:
            EnvironmentFailure: the folder cannot be used.
        """
        descriptor = self._lock("turn", patience=_TURN_LIMIT)
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def take(self, uuid: str) -> int | None:
        """Lease a GPU: returns the descriptor that holds it, None if somebody else has it.

        Raises:
            EnvironmentFailure: its file cannot be opened, or is none of ours.
        """
        return self._lock(f"{_file_name(uuid)}.lock")

    def sign(self, descriptor: int, holder: str) -> None:
        """Leave in the file of a lease who has it."""
        with suppress(OSError):  # a full disk: nobody can read who has it, that is all
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, holder.encode("utf-8", "replace"), 0)

    def holder(self, uuid: str) -> str:
        """Who has the lease of a GPU that could not be taken, in words."""
        try:
            text = (self._folder / f"{_file_name(uuid)}.lock").read_text(errors="replace")
        except OSError:
            return "somebody"
        return text[:200] or "somebody"

    def _lock(self, name: str, *, patience: float = 0.0) -> int | None:
        path = self._folder / name
        try:
            descriptor = self._open(path)
        except OSError as error:
            raise EnvironmentFailure(
                f"cannot use {path}: {error.strerror}",
                hint=f"ls -ld {self._folder}; GPUs are leased there, with mode 1777 for all users",
            ) from error
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    return None
                time.sleep(_POLL)
            else:
                return descriptor

    def _open(self, path: Path) -> int:
        """Open a lock file, making it if it is not there.

        Kernels refuse O_CREAT for a file of somebody else in a folder like this one
        (fs.protected_regular): so it is only asked for if there is none. A link could make us write
        into somebody's file.
        """
        with suppress(FileExistsError):
            path.parent.mkdir(parents=True)
            path.parent.chmod(0o1777)
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        with suppress(FileExistsError):
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            os.fchmod(descriptor, 0o666)
            return descriptor
        descriptor = os.open(path, flags)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            os.close(descriptor)
            raise PermissionError(1, "no plain file of its own")
        return descriptor


def _file_name(uuid: str) -> str:
    return re.sub(r"[^\w.-]", "_", uuid)
