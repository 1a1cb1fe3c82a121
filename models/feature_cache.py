"""Features on disk: extracted once, sealed by a manifest, read by memory map.

A folder holds one NAME.safetensors an example, each with one tensor `features` [L, F], and
manifest.json, which is written last: a folder without it is an extraction that has not ended.
Files appear under their names whole, so whoever extracts next keeps those that are there and makes
the rest. Only questions are given to the extractor and written; nothing here has seen an answer.

Shapes: N examples, B rows of a batch, L tokens, F feature width.
"""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from models.arc import Grid
from models.arc_pairs import Example
from models.cache_folder import cache_folder, sha256, sync, write_json, writing
from models.features import FeatureExtractor

FORMAT: Final = 1  # goes up with every change of what the same settings write
MANIFEST: Final = "manifest.json"
DTYPES: Final = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
_TENSOR = "features"
_ENTRY = {"name": str, "file": str, "tokens": int, "sha256": str, "question": list}
_FILE_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """Features of N examples, mapped from their files: a row is read when it is used.

    `extractor` and `settings` say what made them, `tokens_N` the L of each.
    """

    folder: Path
    extractor: str
    settings: dict[str, Any]
    dtype: torch.dtype
    width: int
    names: tuple[str, ...]
    questions: tuple[Grid, ...]
    tokens_N: NDArray[np.int64]
    tensors: tuple[Tensor, ...]

    def rows(self, examples: Sequence[Example]) -> NDArray[np.int64]:
        """The row of each example.

        Raises:
            ValueError: an example has no features here, or they are of another question.
        """
        places = {name: row for row, name in enumerate(self.names)}
        rows = [places.get(example.name, -1) for example in examples]
        for example, row in zip(examples, rows, strict=True):
            if row < 0:
                what = f"no features of example {example.name}"
            elif not np.array_equal(self.questions[row], example.question):
                what = f"the features of example {example.name} are of another question"
            else:
                continue
            raise ValueError(f"{self.folder}: {what}; extract features of these examples anew")
        return np.array(rows, np.int64)

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor | None]:
        """Features [B, L, F] of these rows, zeros after the last token, and which are valid [B, L].

        L is that of the longest row; None stands for "all are valid". The dtype is the cache's.

        Raises:
            ValueError: no rows.
        """
        if not len(rows):
            raise ValueError("a batch of no rows; its split is empty")
        tokens_B = torch.from_numpy(self.tokens_N[rows])
        shape = (len(rows), int(tokens_B.max()), self.width)
        features_BLF = torch.zeros(shape, dtype=self.dtype)
        for place, row in enumerate(rows.tolist()):
            features_BLF[place, : len(self.tensors[row])] = self.tensors[row]
        valid_BL = torch.arange(shape[1]) < tokens_B[:, None]
        return features_BLF, None if valid_BL.all() else valid_BL


def extract(
    extractor: FeatureExtractor,
    questions: Mapping[str, Grid],
    *,
    dtype: str = "bfloat16",
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """The folder with features of these questions, by name; what is missing of it is extracted.

    The folder is in the cache (`cache_folder`), named by the extractor and a hash over its
    settings, the dtype, the names and the questions. `progress` is told how many of how many
    examples are there, after each. Killed at any moment and called again, it goes on after the
    last whole file. Of several processes that ask at once, one extracts and the others wait.

    Raises:
        ValueError: no questions, no such dtype, a name that is no file name, features of another
            shape or that are not finite, a question that the extractor refuses, or a folder that
            cannot be written.
    """
    if not questions:
        raise ValueError("no questions to extract features of; take a larger side")
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r}; features are stored as {', '.join(DTYPES)}")
    for name in questions:
        if not _FILE_NAME.fullmatch(name):
            raise ValueError(f"example {name!r}: a name is a file's, of letters, digits, _ . -")
    about = {"format": FORMAT, "extractor": extractor.name, "settings": extractor.settings}
    about |= {"dtype": dtype, "width": extractor.width}
    shown = {name: question.tolist() for name, question in questions.items()}
    folder = cache_folder(f"features-{extractor.name}", [about, shown])
    if not (folder / MANIFEST).exists():
        with writing(folder):
            if not (folder / MANIFEST).exists():
                folder.mkdir(exist_ok=True)
                for done, (name, question) in enumerate(questions.items(), start=1):
                    _keep(folder / _file(name), extractor, question, DTYPES[dtype])
                    if progress is not None:
                        progress(done, len(questions))
                _seal(folder, about, shown)
    return folder


def _file(name: str) -> str:
    return f"{name}.safetensors"


def _keep(path: Path, extractor: FeatureExtractor, question: Grid, dtype: torch.dtype) -> None:
    """Make the file of one example, unless a run before this one made it."""
    if path.exists():
        try:
            _open(path)
        except ValueError:
            path.unlink()  # not ours: our files appear whole
        else:
            return
    try:
        features_LF = _checked(extractor.extract(question), extractor, dtype)
    except ValueError as error:
        raise ValueError(f"features of example {path.stem}: {error}") from error
    partial = path.with_name(f".{path.name}")
    try:
        with partial.open("wb") as file:
            file.write(save({_TENSOR: features_LF}))
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)


def _checked(features_LF: Tensor, extractor: FeatureExtractor, dtype: torch.dtype) -> Tensor:
    """What an extractor made, as it is stored."""
    shape = tuple(features_LF.shape)
    most = extractor.tokens
    if len(shape) != 2 or shape[1] != extractor.width or not 1 <= shape[0] <= most:
        raise ValueError(
            f"shape {shape}; extractor {extractor.name} says 1 to {most} tokens of"
            f" {extractor.width}"
        )
    if not features_LF.is_floating_point():
        raise ValueError(f"{features_LF.dtype}; features are floating-point numbers")
    stored_LF = features_LF.detach().cpu().to(dtype).contiguous()
    bad, before = (int((~t.isfinite()).sum()) for t in (stored_LF, features_LF))
    if bad:
        raise ValueError(
            f"{bad} of {stored_LF.numel()} numbers are not finite as {dtype}, {before} of them"
            f" were not as extractor {extractor.name} made them"
        )
    return stored_LF


def _seal(folder: Path, about: dict[str, Any], shown: Mapping[str, Any]) -> None:
    """Write the manifest over what is there, by its contents."""
    examples = [
        {
            "name": name,
            "file": _file(name),
            "tokens": len(_open(folder / _file(name))),
            "sha256": sha256(folder / _file(name)),
            "question": question,
        }
        for name, question in shown.items()
    ]
    partial = folder / f".{MANIFEST}"
    write_json(partial, about | {"examples": examples})
    partial.rename(folder / MANIFEST)
    sync(folder)


def read(folder: Path) -> Cached:
    """The features of a sealed folder, every file checked against the manifest.

    Raises:
        ValueError: no manifest (the extraction has not ended), one of another format, or files
            that are missing, changed, of another shape or dtype, or not finite; it says which.
    """
    manifest = _manifest(folder)
    entries = manifest["examples"]
    if not entries:
        raise ValueError(f"{folder}: no examples in {MANIFEST}; extract them anew")
    dtype, width = DTYPES[manifest["dtype"]], manifest["width"]
    return Cached(
        folder=folder,
        extractor=manifest["extractor"],
        settings=manifest["settings"],
        dtype=dtype,
        width=width,
        names=tuple(entry["name"] for entry in entries),
        questions=tuple(np.array(entry["question"], np.uint8) for entry in entries),
        tokens_N=np.array([entry["tokens"] for entry in entries], np.int64),
        tensors=tuple(_read(folder, entry, width, dtype) for entry in entries),
    )


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    again = f"delete {folder} and extract the features anew"
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        there = len(list(folder.glob(_file("[!.]*"))))
        raise ValueError(
            f"{path}: missing; {there} files of features are there, and their extraction has not"
            " ended: run it again, it goes on after the last whole file"
        ) from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); {again}") from error
    if type(found) is not dict or found.get("format") != FORMAT:
        form = found.get("format") if type(found) is dict else None
        raise ValueError(f"{path}: format {form}, this code reads {FORMAT}; {again}")
    wanted = {"extractor": str, "settings": dict, "dtype": str, "width": int, "examples": list}
    for key, kind in wanted.items():
        if type(found.get(key)) is not kind:
            raise ValueError(f"{path}: {key} is {found.get(key)!r}; {again}")
    if found["dtype"] not in DTYPES:
        raise ValueError(f"{path}: dtype {found['dtype']!r} is none of {', '.join(DTYPES)}")
    for number, entry in enumerate(found["examples"]):
        if type(entry) is not dict or any(type(entry.get(k)) is not t for k, t in _ENTRY.items()):
            raise ValueError(f"{path}: example {number} is {str(entry)[:80]}; {again}")
    return found


def _read(folder: Path, entry: dict[str, Any], width: int, dtype: torch.dtype) -> Tensor:
    path = folder / entry["file"]
    again = f"delete {folder} and extract the features anew"
    features_LF = _open(path)
    shape = (entry["tokens"], width)
    if not entry["tokens"]:
        raise ValueError(f"{path}: no tokens, only padding would be left of it; {again}")
    if features_LF.shape != shape or features_LF.dtype != dtype:
        raise ValueError(
            f"{path}: {tuple(features_LF.shape)} of {features_LF.dtype}, and {MANIFEST} says"
            f" {shape} of {dtype}; {again}"
        )
    if sha256(path) != entry["sha256"]:
        raise ValueError(f"{path}: changed since it was written (its SHA-256 differs); {again}")
    if not features_LF.isfinite().all():
        raise ValueError(f"{path}: features that are not finite; extract them anew")
    return features_LF


def _open(path: Path) -> Tensor:
    """The tensor of a file, mapped from it."""
    try:
        with safe_open(path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(_TENSOR)
    except (OSError, SafetensorError) as error:
        raise ValueError(
            f"{path}: missing, cut short or no features ({error}); delete {path.parent} and"
            " extract the features anew"
        ) from error
    return tensor
