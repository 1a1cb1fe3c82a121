"""Files that hold the state of a training, which of them stay, and the random generators."""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

FILE = "state.pt"
MANIFEST = "manifest.json"


def seed_everything(seed: int) -> None:
    """Seed torch on all devices; refuse operations that are not deterministic.

    Data and exploration take no random state: they are functions of seed, pass and step.
    """
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(mode=True, warn_only=torch.cuda.is_available())


def generators() -> dict[str, Any]:
    """The state of torch's random generators, for `set_generators`."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}


def set_generators(saved: Mapping[str, Any]) -> None:
    """Put the generators back; on other hardware those of the GPUs stay as they are."""
    torch.set_rng_state(saved["cpu"])
    if len(saved["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(saved["cuda"])


def save(folder: Path, saved: dict[str, Any]) -> Path:
    """Write the content into `folder`, whole or not at all.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    temporary = folder / f".{FILE}.tmp"
    try:
        with temporary.open("wb") as file:
            torch.save(saved, file)
    except RuntimeError as error:  # torch hides what the disk said behind a fault of its own
        if isinstance(error.__context__, OSError):
            temporary.unlink(missing_ok=True)
            raise error.__context__ from None
        raise
    temporary.replace(folder / FILE)
    return folder / FILE


def read(path: Path, parts: set[str], programs: str) -> dict[str, Any]:
    """The content of a saved state, on the processor; data only, a file cannot run code.

    `parts` are keys that it must have, `programs` names who writes such states.

    Raises:
        ValueError: there is no such file, or it is no state that these programs wrote.
    """
    file = path / FILE if path.is_dir() else path
    try:
        saved = torch.load(file, weights_only=True, map_location="cpu")
    except OSError as error:
        raise ValueError(f"{file}: cannot be read as a checkpoint ({error.strerror})") from error
    except Exception as error:  # whatever the bytes make torch's unpickler stumble over
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{file}: cannot be read as a checkpoint ({reason[:120]}); take an earlier one"
        ) from error
    if not isinstance(saved, dict) or not saved.keys() >= parts:
        raise ValueError(f"{file}: no checkpoint of {programs}")
    return saved


def check_same(there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Refuse to go on from the checkpoint of another training; facts by name.

    Raises:
        ValueError: names the facts that differ.
    """
    differing = [
        f"{key} is {there.get(key)!r} there and {here.get(key)!r} here"
        for key in {**there, **here}
        if there.get(key) != here.get(key)
    ]
    if differing:
        raise ValueError(
            f"the checkpoint belongs to another training: {'; '.join(differing)}."
            " Resume with its settings, or start a new run"
        )


def sealed(folder: Path) -> list[Path]:
    """Checkpoints of a run that `exp` counts, in order of their steps; `folder` is the run's."""
    manifests = sorted(
        (folder / "checkpoints").glob("*/" + MANIFEST),
        key=lambda path: json.loads(path.read_bytes())["step"],
    )
    return [path.parent for path in manifests]


def forget_old(folder: Path, keep: int, best: int | None, after: int = 0) -> None:
    """Delete all checkpoints in `folder` but the newest `keep` (0: all) and the best one's step.

    Those up to step `after` are of earlier members of the run, and stay. The manifest goes first: a
    checkpoint that is half deleted does not count. What a killed process left half saved or half
    deleted goes too.
    """
    if keep == 0:
        return
    newest = sorted(_steps(m.parent for m in folder.glob(f"*/{MANIFEST}")))[-keep:]
    for old in folder.glob("step_*"):
        step = int(old.name.removeprefix("step_"))
        if step > after and step not in {*newest, best}:
            (old / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(old)


def _steps(folders: Iterable[Path]) -> Iterable[int]:
    return (int(folder.name.removeprefix("step_")) for folder in folders)
