"""Claims on commands and what they print: `pytest -q` passes, the console shows "DONE"."""

import re

from orchestrator.criteria.lines.asking import ask, declare
from orchestrator.criteria.lines.phrase import Phrase
from orchestrator.criteria.lines.vocabulary import (
    BUILDS,
    CONDITIONS,
    PASSES,
    PRINTS,
    VAGUE,
    words_of,
)
from orchestrator.domain.criterion import Clause, Kind, Subject

PATH = re.compile(r"[^\s()<>=]*(?:\.[A-Za-z][A-Za-z0-9]{0,7}|/|\*[^\s()<>=]*)")
_COMMAND = re.compile(
    r"(?:make|python3?|uv|pytest|ruff|mypy|bash|sh|ls|test|stat|pip|poetry|cargo|npm|docker|"
    r"kubectl|torchrun|\.{0,2}/\S+)\s+\S|pytest$|make$"
)
_LOOKS = re.compile(r"(?:test -[efs]|ls(?: -\w+)?|stat) (\S+)")
_EXPRESSION = re.compile(r"[\w.]+\([^`]*\)")
_NEGATIONS = words_of("not never doesn't no")
_PASSING = PASSES | {"exits", "installed"}
_TESTS = words_of("tests test checks suite ci lint linter build unit integration")


def output(phrase: Phrase) -> tuple[Clause, ...]:
    """`Console shows "DONE"`, `should print "OK"`, `"SUCCESS" message`."""
    quoted = [piece.text.strip('"“”') for piece in phrase.pieces if piece.kind == "quoted"]
    if not quoted or not phrase.known & PRINTS:
        return ()
    negations = [word for word in phrase.words if word in _NEGATIONS]
    if phrase.known & CONDITIONS - _NEGATIONS or len(negations) > 1:
        why = "must the text be there or not? Write `log contains` or `log lacks`"
        raise ask(why, Kind.COMMAND_PASSES)
    op = "absent" if negations else "contains"
    return tuple(
        Clause(subject=Subject.OUTPUT, metric="stdout", op=op, other=text.strip())
        for text in quoted
    )


def command(phrase: Phrase) -> tuple[Clause, ...]:
    """`` `pytest -q` passes ``, `` `torch.cuda.is_available()` returns True ``."""
    codes = [piece.text.strip("`") for piece in phrase.pieces if piece.kind == "code"]
    if codes and "returns" in phrase.known:
        return (_returned(codes[0], phrase),)
    if len(codes) == 1 and (found := _written(codes[0], phrase)):
        return (found,)
    passes = phrase.known & _PASSING
    if passes and not all(PATH.fullmatch(code) for code in codes):
        verb = min(phrase.words.index(word) for word in passes)
        before = [p.text.strip("`") for p in phrase.pieces[:verb] if p.kind == "code"]
        return tuple(
            Clause(subject=Subject.COMMAND, metric=code, op="passes") for code in before or codes
        )
    if (phrase.known & _TESTS and phrase.known & PASSES) or (passes and codes):
        return _unwritten_tests(phrase)
    if phrase.known & BUILDS and not phrase.known & VAGUE and not codes:
        clause = Clause(subject=Subject.EXIT, metric="exit_code", op="==", value=0.0)
        why = "which command loads it? Write it in backticks"
        raise declare(why, Kind.COMMAND_PASSES, (clause,))
    return ()


def _returned(code: str, phrase: Phrase) -> Clause:
    """What a call of a Python function gives, as a command that prints it."""
    after = phrase.pieces[phrase.words.index("returns") + 1 :]
    value = next((piece.text for piece in after if piece.kind == "word"), None)
    if value is None or not _EXPRESSION.fullmatch(code):
        raise ask("which command shows that?", Kind.COMMAND_PASSES)
    module = re.split(r"[.(]", code, maxsplit=1)[0]
    line = f"python -c 'import {module}; print({code})'"
    return Clause(subject=Subject.COMMAND, metric=line, op="prints", other=value)


def _written(code: str, phrase: Phrase) -> Clause | None:
    """`Tests run: `make test``: a command after a colon, or alone, must pass."""
    *before, last = phrase.pieces
    follows = last.kind == "code" and (not before or before[-1].text == ":")
    if not follows or not _COMMAND.match(code):
        return None
    if found := _LOOKS.fullmatch(code):
        return Clause(subject=Subject.FILE, metric=found[1], op="exists")
    return Clause(subject=Subject.COMMAND, metric=code, op="passes")


def _unwritten_tests(phrase: Phrase) -> tuple[Clause, ...]:
    """`All 42 tests pass`: which command runs them is not said."""
    kind = Kind.COMMAND_PASSES
    clause = Clause(subject=Subject.COMMAND, metric="tests", op="passes")
    count = next((piece.test for piece in phrase.pieces if piece.kind == "amount"), None)
    if count is not None:
        clause = Clause(
            subject=Subject.METRIC,
            metric="tests passed",
            op="==",
            value=count.value,
            total=count.total,
            aggregate="latest",
        )
        kind = Kind.COUNT_OR_PROGRESS if count.total is not None else kind
    raise declare("which command runs them? Write it in backticks", kind, (clause,))
