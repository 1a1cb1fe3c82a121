"""Claims on what a run leaves behind: files by their path, checkpoints, a thing without a path."""

import re

from orchestrator.criteria.lines.asking import ask, declare
from orchestrator.criteria.lines.commands import PATH
from orchestrator.criteria.lines.phrase import Phrase
from orchestrator.criteria.lines.pieces import Piece
from orchestrator.criteria.lines.vocabulary import (
    ARTICLES,
    AUTHENTIC,
    BUILDS,
    CHECKPOINTS,
    CONDITIONS,
    EXISTS,
    FILLERS,
    LEADS,
    MODALS,
    OPEN,
    PREPOSITIONS,
    REPORTS,
    STORAGE,
    TRAINING,
    words_of,
)
from orchestrator.domain.criterion import Clause, Kind, Subject

_FILE = re.compile(
    r"[\w./*-]*[\w*]\.(?:csv|jsonl?|pth?|onnx|md|png|svg|ckpt|safetensors|ya?ml|txt|npz|npy|pkl|h5|"
    r"tflite|gguf|parquet|bin|joblib|log|html|pdf)"
)
_HERE = EXISTS | {"folder", "directory"}
_MORE = BUILDS | words_of("improvement replacement updated valid automatic")
_WRITES = words_of("writes generates produces")
_AROUND = (
    EXISTS
    | ARTICLES
    | words_of(
        "and it is are be to in on at of for with successfully run runs after training correctly"
    )
)
_KEPT = CHECKPOINTS | EXISTS | STORAGE | MODALS | ARTICLES
_NO_NAME = EXISTS | FILLERS
_MADE = EXISTS - {"available", "present", "contains"}
_A_CHECKPOINT = Clause(subject=Subject.CHECKPOINT, metric="checkpoint", op="exists")


def files(phrase: Phrase) -> tuple[Clause, ...]:
    """`` `results/model.pt` exists ``, `` Model saved: `best.pt` ``, `` `m.json` in … folder ``."""
    paths = [piece.text.strip("`") for piece in phrase.pieces if _is_path(piece)]
    if not paths or not phrase.known & _HERE:
        return ()
    kind = Kind.ARTIFACT_EXISTS
    if phrase.known & (CONDITIONS | AUTHENTIC):
        raise ask("what else must hold of the file?", kind)
    clauses = tuple(Clause(subject=Subject.FILE, metric=path, op="exists") for path in paths)
    if phrase.known & _MORE:
        why = "that it exists is not all of the claim; name a command for the rest"
        raise declare(why, kind, clauses)
    if len(paths) > 1 and phrase.pieces[0].kind == "code" and phrase.known & _WRITES:
        clauses = clauses[1:]  # the first one is the program that writes them
        if phrase.plain - _AROUND:
            why = "which files are these? Write every path in backticks"
            raise declare(why, kind, clauses)
    return clauses


def _is_path(piece: Piece) -> bool:
    if piece.kind == "code":
        return PATH.fullmatch(piece.text.strip("`")) is not None
    return piece.kind == "word" and _FILE.fullmatch(piece.text) is not None


def checkpoints(phrase: Phrase) -> tuple[Clause, ...]:
    """`Checkpoints saved to disk`; `at least 3 checkpoints exist` is a test with a number."""
    cited, saved, kind = phrase.known & CHECKPOINTS, phrase.known & EXISTS, Kind.ARTIFACT_EXISTS
    every = next((piece for piece in phrase.pieces if piece.kind == "every"), None)
    if every is not None and (cited or saved):
        why = "a cadence is not judged: write how many, `checkpoints >= N`"
        raise declare(why, kind, (_cadence(every),))
    if cited and not saved and len(phrase.pieces) > 1:
        if phrase.known & (REPORTS | OPEN | BUILDS):
            return ()
        why = "that a checkpoint exists? Write `checkpoints exist`, or name its path"
        raise declare(why, kind, (_A_CHECKPOINT,))
    if not cited or not saved:
        return ()
    if doubtful := phrase.known & OPEN:
        raise ask(f"what does {min(doubtful)!r} ask of a checkpoint?", kind)
    if phrase.known & BUILDS:
        raise declare("which command loads it?", kind, (_A_CHECKPOINT,))
    rest = phrase.plain - _KEPT
    if rest - LEADS - TRAINING:
        why = f"whether checkpoints are {' '.join(sorted(rest))!r} is not known; name a path"
        raise declare(why, kind, (_A_CHECKPOINT,))
    return (Clause(subject=Subject.CHECKPOINT, metric="checkpoints", op="exists"),)


def _cadence(every: Piece) -> Clause:
    moment = every.moment
    return Clause(
        subject=Subject.CHECKPOINT,
        metric="checkpoint",
        op="cadence",
        value=None if moment is None else moment.low,
        unit=None if moment is None else f"{moment.unit}s",
    )


def unnamed_artifact(phrase: Phrase) -> tuple[Clause, ...]:
    """`LoRA adapter saved`: something is left behind, its path is not said."""
    words = phrase.words
    place = max((i for i, word in enumerate(words) if word in _MADE), default=0)
    ends = place >= 1 and (place == len(words) - 1 or words[place + 1] in PREPOSITIONS)
    if not ends or phrase.known & OPEN or len(words) > 8:
        return ()
    named = " ".join(word for word in words if word not in _NO_NAME)
    clause = Clause(subject=Subject.FILE, metric=named or None, op="exists")
    raise declare("under which path? Write it in backticks", Kind.ARTIFACT_EXISTS, (clause,))
