"""The parser of predicate.lark: text → syntax tree, or what was expected where, in words."""

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, cast

if TYPE_CHECKING:
    from lark import Lark, Token, Tree, UnexpectedInput

DEEPEST = 20  # parentheses, signs and `not` within one another

_NESTING = {"group", "negated", "brackets", "signed", "function"}
# What may stand in a place, by the terminals that the parser would take there: the first row of
# which all are welcome says it for the whole place, otherwise the others are listed.
_PLACES = (
    ({"_NO", "EACH"}, "a test such as `eval/acc > 0.5`"),
    ({"NUM", "NAME"}, "a number or a series"),
)
_WORDS = (
    ("OP", "a comparison such as `> 0.5`"),
    ("NUM", "a number"),
    ("CLOCK", "steps, epochs or a time such as `2 h`"),
    ("NAME", "a name"),
    ("STRING", "a text in double quotes"),
    ("NAN", "nan, inf, oom, crash or error"),
    ("EACH", "each or any"),
    ("PERCENT", "a percentage"),
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
    patterns = {rule.name: rule.pattern.to_regexp() for rule in _parser().terminals}
    if re.fullmatch(patterns[terminal], name) is None:
        return False
    return terminal != "NAME" or not any(
        re.fullmatch(pattern, name) for key, pattern in patterns.items() if key not in _NAMELIKE
    )


_NAMELIKE = {"NAME", "UNIT"}  # a unit stands after a number only, where no name does


def is_tree(child: object) -> "TypeGuard[Tree[Token]]":
    """Whether a child is a rule, not a token."""
    return hasattr(child, "children")


def rules(tree: "Tree[Token]") -> "list[Tree[Token]]":
    """The rules below a rule, in order."""
    return [child for child in tree.children if is_tree(child)]


def words(tree: "Tree[Token]") -> "list[Token]":
    """The tokens directly below a rule, in order."""
    return [cast("Token", child) for child in tree.children if not is_tree(child)]


def where(tree: "Tree[Token]") -> str:
    """`column 7`, for messages."""
    return f"column {tree.meta.column}" if not tree.meta.empty else "the predicate"


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
    position = error.pos_in_stream
    ended = position is None or getattr(getattr(error, "token", None), "type", "") == "$END"
    start = len(text.rstrip()) if ended or position is None else position
    rest = text[start:]
    if rest[:1] in {"`", '"'} and len(_first(rest)) == 1:
        return f"the {rest[0]} at column {start + 1} is never closed"
    expected = _expected(error)
    before = _TOKEN.findall(text[:start])
    if ended:
        if not before:
            return f"it is empty; {expected} must stand here"
        return f"after {before[-1]!r} (column {start - len(before[-1]) + 1}) {expected} must follow"
    place = f" after {before[-1]!r}" if before else ""
    return f"{_first(rest)!r} (column {start + 1}) cannot stand{place}; expected {expected}"


def _first(text: str) -> str:
    found = _TOKEN.match(text)
    return found.group() if found else text[:1]


def _expected(error: "UnexpectedInput") -> str:
    parser: Any = error.interactive_parser
    welcome: set[str] = parser.accepts()
    for terminals, text in _PLACES:
        if terminals <= welcome:
            return text
    found = [text for terminal, text in _WORDS if terminal in welcome]
    if len(found) < 2:
        return "".join(found) or "another word"
    return f"{', '.join(found[:-1])} or {found[-1]}"
