"""The parser of grammar.lark, and access to its trees; lark is loaded on first use only."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard, cast

if TYPE_CHECKING:
    from lark import Lark, Token, Tree


class NotReadError(Exception):
    """The words have another meaning than a clause can hold; the message says which."""


class NoRuleError(NotReadError):
    """No rule of the grammar has a place for every word."""


@cache
def _parser() -> "Lark":
    """The parser of both languages, built once."""
    from lark import Lark  # noqa: PLC0415 - 60 ms that only the reading of a line needs

    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        grammar,
        parser="lalr",
        lexer="basic",
        start="start",
        maybe_placeholders=False,
    )


def syntax_tree(text: str, start: str) -> "Tree[Token]":
    """Parse `text` as `claims` or `predicate`. Raises NoRuleError."""
    from lark import LarkError  # noqa: PLC0415 - as above

    try:
        return _parser().parse(text, start=start)
    except LarkError as error:
        raise NoRuleError(f"no rule reads {text!r}") from error


def is_plain_name(name: str) -> bool:
    """Whether the grammar reads a series name as one name without backticks."""
    from lark import LarkError  # noqa: PLC0415 - as above

    try:
        tokens = list(_parser().lex(name))
    except LarkError:
        return False
    return [(token.type, str(token)) for token in tokens] == [("NAME", name)]


def children(tree: "Tree[Token]") -> "list[Tree[Token]]":
    """The rules below a rule, in order."""
    return [child for child in tree.children if _is_tree(child)]


def trees(tree: "Tree[Token]", name: str) -> "list[Tree[Token]]":
    """The rules of one name below a rule."""
    return [child for child in children(tree) if child.data == name]


def tokens(tree: "Tree[Token]", *names: str) -> list[str]:
    """The texts of the tokens of these types directly below a rule."""
    return [str(leaf) for leaf in _leaves(tree) if leaf.type in names]


def types(tree: "Tree[Token]") -> list[str]:
    """The types of the tokens directly below a rule."""
    return [str(leaf.type) for leaf in _leaves(tree)]


def phrase(tree: "Tree[Token]") -> str:
    """The words of a phrase without backticks."""
    return " ".join(str(leaf).strip("`") for leaf in _leaves(tree))


def _is_tree(child: object) -> "TypeGuard[Tree[Token]]":
    return hasattr(child, "children")


def _leaves(tree: "Tree[Token]") -> "list[Token]":
    return [cast("Token", child) for child in tree.children if not _is_tree(child)]
