"""A page of Markdown as one page of HTML: curves inside, no script, light and dark."""

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from orchestrator.report.page import fill_page

_TEMPLATE = "report/page.html.j2"
# The only tags that our templates write. Whatever else looks like one is somebody's text.
_OURS = re.compile(r"(</?(?:details|summary|sub)>)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TITLE = re.compile(r"^# (.*)$", re.MULTILINE)


class _Renderer(RendererHTML):
    """HTML of others is shown as text, pictures are ours or none at all."""

    def html_block(self, tokens: Sequence[Token], at: int, *_: Any) -> str:
        return _only_our_tags(tokens[at].content)

    def html_inline(self, tokens: Sequence[Token], at: int, *_: Any) -> str:
        return _only_our_tags(tokens[at].content)

    def heading_open(self, tokens: Sequence[Token], at: int, *_: Any) -> str:
        """With the name that GitHub gives a heading, so that a link finds it."""
        name = re.sub(r"[^\w\- ]", "", tokens[at + 1].content.lower()).replace(" ", "-")
        return f'<{tokens[at].tag} id="{escape(name)}">'

    def image(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        token = tokens[at]
        told = escape(self.renderInlineAsText(token.children or [], options, env))
        source = env["pictures"].get(str(token.attrGet("src")))
        return told if source is None else f'<img alt="{told}" src="{source}">'


def _only_our_tags(text: str) -> str:
    parts = _OURS.split(_COMMENT.sub("", text))
    return "".join(part if _OURS.fullmatch(part) else escape(part) for part in parts)


def as_html(page: bytes, pictures: Mapping[str, bytes], templates: Path | None = None) -> bytes:
    """The page with those pictures (file name → SVG) in it; no text of it becomes a tag.

    Raises:
        InvalidFileError: a template of the workspace is wrong.
    """
    text = page.decode(errors="replace")
    parser = MarkdownIt("commonmark", {"html": True}, renderer_cls=_Renderer).enable("table")
    inside = {name: _data_of(svg) for name, svg in pictures.items()}
    body = parser.render(text, {"pictures": inside})
    title = _TITLE.search(text)
    shown = MarkdownIt().render(title[1]) if title else "Report"
    plain = re.sub(r"<[^>]*>", "", shown).strip()
    return fill_page(_TEMPLATE, {"title": plain, "body": body}, templates).encode()


def _data_of(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
