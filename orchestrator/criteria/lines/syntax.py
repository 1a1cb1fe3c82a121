"""The parser of grammar.lark, and access to its trees; lark is loaded on first use only."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lark import Lark, Token, Tree


class NotReadError(Exception):
    """The grammar has no place for these words, or a number in them is none."""


@cache
def _parser() -> "Lark":
    """The parser, built once."""
    from lark import Lark  # noqa: PLC0415 - 60 ms that only the reading of a line needs

    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="basic", maybe_placeholders=False)


def syntax_tree(text: str) -> "Tree[Token]":
    """The pieces of a line as the children of one tree. Raises NotReadError."""
    from lark import LarkError  # noqa: PLC0415 - as above

    try:
        return _parser().parse(text)
    except LarkError as error:
        raise NotReadError(f"no rule reads {text!r}") from error


def trees(tree: "Tree[Token]", name: str) -> "list[Tree[Token]]":
    """The rules of one name directly below a rule."""
    return [child for child in tree.children if not isinstance(child, str) and child.data == name]


def tokens(tree: "Tree[Token]", *names: str) -> list[str]:
    """The texts of the tokens of these types directly below a rule."""
    return [str(leaf) for leaf in _leaves(tree) if leaf.type in names]


def types(tree: "Tree[Token]") -> list[str]:
    """The types of the tokens directly below a rule."""
    return [str(leaf.type) for leaf in _leaves(tree)]


def _leaves(tree: "Tree[Token]") -> "list[Token]":
    return [child for child in tree.children if isinstance(child, str)]  # a token is a str
