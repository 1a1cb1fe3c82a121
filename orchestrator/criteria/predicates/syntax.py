"""The parser of predicate.lark: text → syntax tree, or what was expected where, in words."""

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, cast

if TYPE_CHECKING:
    from lark import Lark, Token, Tree, UnexpectedInput

DEEPEST = 20  # parentheses, signs and `not` within one another

_NESTING = {"group", "negated", "brackets", "signed", "function"}
_AFTERWARDS = "words such as `best`, `all`, `by step 2000` or `on rank 1`, or the end of the test"
# What may stand in a place, by the terminals that the parser would take there: the first row
# whose terminals are all welcome speaks for the whole place, otherwise the words are listed.
_PLACES = (
    ({"_NO", "EACH"}, "a test such as `eval/acc > 0.5`"),
    ({"NUM", "NAME"}, "a number or a series"),
    ({"NUM", "CLOCK"}, "a moment such as `step 2000` or `2 h`"),
    ({"UNIT", "REDUCTION"}, f"a unit, {_AFTERWARDS}"),
    ({"REDUCTION"}, _AFTERWARDS),
    ({"_BY", "$END"}, "a window such as `over last 1000 steps` or the end of the test"),
    ({"_BY"}, "a window such as `last 100 points` or `by step 2000`"),
)
_WORDS = (
    ("OP", "a comparison such as `> 0.5`"),
    ("NUM", "a number"),
    ("CLOCK", "a unit such as steps, epochs or h"),
    ("NAME", "a name"),
    ("STRING", "a text in double quotes"),
    ("NAN", "nan, inf, oom, crash or error"),
    ("_LAST", "`last N steps`"),
    ("CONTAINS", "'contains'"),
    ("LACKS", "'lacks'"),
    ("ABSENT", "'absent'"),
    ("_DOTS", "'..'"),
    ("RPAR", "')'"),
    ("LPAR", "'('"),
    ("COMMA", "','"),
    ("_AND", "'and'"),
    ("_OR", "'or'"),
    ("_EXISTS", "'exists'"),
    ("_CONSECUTIVE", "'consecutive'"),
    ("_PASSES", "'passes'"),
    ("_PRINTS", "'prints'"),
    ("_RELEASED", "'released'"),
    ("$END", "the end"),
)
# What people write from habit, and what this language has in its place.
_INSTEAD = {
    "&&": "write 'and'",
    "||": "write 'or'",
    "!": "write 'not'",
    ",": "a decimal is written with a point",
    "<": "two bounds are written `x in 0.1..2`",
    ">": "two bounds are written `x in 0.1..2`",
    "is": "leave it out",
}
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|`(?:[^`]|``)*`|[\w/@.*:%$-]+|[^\w\s]+?(?=[\w\s`"]|$)|\S')


class PredicateError(Exception):
    """The text is no predicate; the message says where and what was expected."""


@cache
def _parser() -> "Lark":
    """The parser, built once."""
    from lark import Lark  # noqa: PLC0415 - 60 ms that only the reading of a predicate needs

    return Lark(
        Path(__file__).with_name("predicate.lark").read_text(encoding="utf-8"),
        parser="lalr",
        lexer="contextual",
        start="either",
        maybe_placeholders=False,
        propagate_positions=True,
    )


def predicate_tree(text: str) -> "Tree[Token]":
    """Parse a predicate. Raises PredicateError."""
    from lark import UnexpectedInput  # noqa: PLC0415 - as above

    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise PredicateError(_explained(text, error)) from error
    _check_depth(tree)
    return tree


@lru_cache(maxsize=4096)
def is_plain(name: str, terminal: str = "NAME") -> bool:
    """Whether a name, or a unit with terminal `UNIT`, needs no backticks."""
    if _pattern(terminal).fullmatch(name) is None:
        return False
    return terminal == "UNIT" or _pattern(*_reserved()).fullmatch(name) is None


def _reserved() -> list[str]:
    """Every terminal that a name could be taken for; a unit stands after a number only."""
    return [rule.name for rule in _parser().terminals if rule.name not in {"NAME", "UNIT"}]


@cache
def _pattern(*terminals: str) -> re.Pattern[str]:
    found = {rule.name: rule.pattern.to_regexp() for rule in _parser().terminals}
    return re.compile("|".join(f"(?:{found[terminal]})" for terminal in terminals))


def is_tree(child: object) -> "TypeGuard[Tree[Token]]":
    """Whether a child is a rule, not a token."""
    return hasattr(child, "children")


def rules(tree: "Tree[Token]") -> "list[Tree[Token]]":
    """The rules below a rule, in order."""
    return [child for child in tree.children if is_tree(child)]


def words(tree: "Tree[Token]") -> "list[Token]":
    """The tokens directly below a rule, in order."""
    return [cast("Token", child) for child in tree.children if not is_tree(child)]


def where(part: "Tree[Token] | Token") -> str:
    """`column 7`, for messages."""
    return f"column {(part.meta if is_tree(part) else cast('Token', part)).column}"


def _check_depth(tree: "Tree[Token]") -> None:
    waiting = [(tree, 0)]
    while waiting:
        rule, depth = waiting.pop()
        depth += rule.data in _NESTING
        if depth > DEEPEST:
            raise PredicateError(f"it is nested deeper than {DEEPEST} levels")
        waiting.extend((child, depth) for child in rules(rule))


def _explained(text: str, error: "UnexpectedInput") -> str:
    """`after '>' (column 10) a number or a series must follow`."""
    ended = getattr(getattr(error, "token", None), "type", None) == "$END"
    start = len(text) if ended else error.pos_in_stream or 0
    found, expected = _first(text[start:]), _expected(error)
    before = list(_TOKEN.finditer(text[:start]))
    if ended and not before:
        return f"it is empty; {expected} must stand here"
    last = before[-1] if before else None
    if ended and last is not None:
        return f"after {_cut(last.group())} (column {last.start() + 1}) {expected} must follow"
    if found in {"`", '"'}:
        return f"the {found} at column {start + 1} is never closed"
    place = f" after {_cut(last.group())}" if last is not None else ""
    instead = next(
        (f"; {text}" for word, text in _INSTEAD.items() if found in {word, f"{word}="}), ""
    )
    return f"{_cut(found)} (column {start + 1}) cannot stand{place}; expected {expected}{instead}"


def _first(text: str) -> str:
    found = _TOKEN.match(text)
    return found.group() if found else text[:1]


def _cut(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:39]}…")


def _expected(error: "UnexpectedInput") -> str:
    parser: Any = error.interactive_parser
    welcome: set[str] = parser.accepts()
    for terminals, text in _PLACES:
        if terminals <= welcome:
            return text
    found = [text for terminal, text in _WORDS if terminal in welcome]
    if len(found) < 2:
        return "".join(found) or "the end"
    return f"{', '.join(found[:-1])} or {found[-1]}"
