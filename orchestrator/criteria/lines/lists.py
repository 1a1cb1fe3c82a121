"""A claim cut at its commas and `and`s into parts that hold a test each."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.criteria.lines.pieces import Piece, tests_in
from orchestrator.criteria.lines.vocabulary import (
    COMPLETES,
    EXISTS,
    FILLERS,
    LAUNCHED,
    REPORTS,
    RUNS,
    TRENDS,
    is_metric_like,
    words_of,
)

_JOINTS = frozenset({"comma", "and", "or"})
_VERBS = (
    COMPLETES
    | EXISTS
    | REPORTS
    | RUNS
    | TRENDS
    | LAUNCHED
    | words_of("no zero without passes pass")
) - {"through", "present"}
_SETS = words_of("on in for with across during under")
_NO_NAME = FILLERS | {"both"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What stands between two joints, and the joint before it."""

    joint: Piece | None
    body: list[Piece]


def segments_of(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Cut where both sides are claims; names in a list share their test."""
    segments: list[list[Piece]] = []
    for part in _parts(pieces):
        if segments and part.joint is not None and not _stands_alone(part, segments[-1]):
            segments[-1] += [part.joint, *part.body]
        else:
            segments.append(part.body)
    return _distributed(segments)


def is_setting(segment: Sequence[Piece]) -> bool:
    """`On 1,000 test sentences with known labels`, before the comma."""
    starts = segment[0].kind == "word" and segment[0].word in _SETS
    return starts and not tests_in(segment)


def _parts(pieces: Sequence[Piece]) -> list[_Part]:
    """The parts between joints, without the empty ones."""
    parts = [_Part(joint=None, body=[])]
    for piece in pieces:
        if piece.kind in _JOINTS or (piece.text == "+" and _joins_codes(pieces, piece)):
            parts.append(_Part(joint=piece, body=[]))
        else:
            parts[-1].body.append(piece)
    return [part for part in parts if part.body]


def _joins_codes(pieces: Sequence[Piece], plus: Piece) -> bool:
    """`` `ruff` + `pytest` ``; a plus between metrics is arithmetic."""
    return any(
        before.kind == "code" and piece is plus and after.kind == "code"
        for before, piece, after in zip(pieces, pieces[1:], pieces[2:], strict=False)
    )


def _stands_alone(part: _Part, before: Sequence[Piece]) -> bool:
    """Whether a part of a list is a claim of its own."""
    body, joint = part.body, "" if part.joint is None else part.joint.kind
    if joint == "or":
        return False
    if any(piece.kind in {"test", "op", "much"} for piece in body):
        return True
    if tests_in(before):
        return joint != "and" or any(piece.word in _VERBS for piece in body)
    if any(piece.kind in {"code", "quoted"} for piece in (*body, *before)):
        return False
    return joint == "comma" and not _starts_list(before)


def _starts_list(before: Sequence[Piece]) -> bool:
    """`precision, recall and F1 are logged`: the verb comes at the end."""
    words = [piece.text for piece in before if piece.kind == "word"]
    return 0 < len(words) <= 2 and is_metric_like(" ".join(words))


def _distributed(segments: list[list[Piece]]) -> list[list[Piece]]:
    """`t_acc, v_acc > 70%` claims it of both."""
    result: list[list[Piece]] = []
    waiting: list[list[Piece]] = []  # names whose test follows
    for position, segment in enumerate(segments, start=1):
        first = next((i for i, piece in enumerate(segment) if piece.kind == "test"), None)
        if first is None:
            if position < len(segments) and _is_name(segment):
                waiting.append(segment)
                continue
            result += [*waiting, segment]
        else:
            head, test = segment[:first], segment[first:]
            result += [[*name, *test] if _is_name(head) else name for name in waiting]
            result += [[*name, *test] for name in _names(head)]
        waiting = []
    return result


def _names(head: list[Piece]) -> list[list[Piece]]:
    """The metrics that stand before one test: each one's name, or all of the words as one."""
    names: list[list[Piece]] = [[]]
    for piece in head:
        if piece.kind in {"and", "comma"}:
            names.append([])
        else:
            names[-1].append(piece)
    return names if len(names) > 1 and all(_is_name(name) for name in names) else [head]


def _is_name(pieces: Sequence[Piece]) -> bool:
    words = [piece.text.strip("`") for piece in pieces if piece.word not in _NO_NAME]
    plain = all(piece.kind in {"word", "code", "time"} for piece in pieces)
    return plain and 0 < len(words) <= 3 and is_metric_like(" ".join(words))
