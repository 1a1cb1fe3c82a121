"""How all pictures of a report look, and how they become small files of SVG.

matplotlib takes half a second to load: only what renders a report imports this module.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape

from matplotlib import rc_context, rcParams, style
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Each has a contrast of at least 3:1 on #ffffff and on #0d1117 (a test computes it).
SERIES = ("#2f81f7", "#d9730d", "#a162e8", "#c4568f")
INK = "#77818c"
GOAL = "#1f9d63"
ALARM = "#e5484d"

_LONG_NUMBER = re.compile(r"(?<![\w.#])-?\d+\.\d{2,}")
_FONT = "-apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "exp",
    "font.size": 9,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "path.simplify": False,
}


@contextmanager
def look() -> Iterator[None]:
    """Our colours and sizes, for all that is drawn and saved within."""
    with rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that our font lacks, the reader's may have
        dict.update(rcParams, _settings())  # past the checks: they are made already
        yield


@cache
def _settings() -> dict[Any, Any]:
    """Every setting of matplotlib: its own default or ours, whatever the user's file says.

    To check all of them takes 20 ms, which is a tenth of a picture.
    """
    with style.context(["default", _STYLE]):
        # Who asks for the backend loads pyplot, which looks for a screen.
        return {name: rcParams[name] for name in rcParams if name != "backend"}


def canvas(width: float, height: float) -> Figure:
    """An empty figure of so many inches that saves as SVG."""
    figure = Figure(figsize=(width, height))
    FigureCanvasSVG(figure)
    return figure


def saved(figure: Figure, title: str) -> bytes:
    """The figure as SVG: transparent, undated, with a title for who cannot see it."""
    buffer = BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return _tidy(buffer.getvalue().decode(), title)


def clean(text: str) -> str:
    """Text that XML can hold."""
    return re.sub(r"[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]", " ", text)


def _tidy(svg: str, title: str) -> bytes:
    """Fewer digits, fonts that the reader's machine has, and a title for who cannot see it."""
    svg = re.sub(r"<[^>]+>", lambda tag: _LONG_NUMBER.sub(_two_digits, tag[0]), svg)
    svg = re.sub(r"(?<=font-family: )[^;\"]+", _FONT, svg)
    svg = re.sub(r"\s*<metadata>.*?</metadata>|<!DOCTYPE[^>]*>\s*", "", svg, flags=re.DOTALL)
    head = re.search(r"<svg[^>]*>", svg)
    at = head.end() if head else 0
    return f"{svg[:at]}\n <title>{escape(clean(title))}</title>{svg[at:]}".encode()


def _two_digits(match: re.Match[str]) -> str:
    return f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
