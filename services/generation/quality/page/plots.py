"""The report's pictures, as SVG that takes its colours from the page's style sheet.

So that one picture is right on white paper, on a dark screen and in whatever type the page has, texts stay texts and
each colour that Matplotlib is given stands for one of the page's own, which it becomes in the SVG.
"""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import PolyCollection
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from services.generation.quality.report import Associations, Distances, Distribution

_INK, _LINE, _REAL, _SYNTHETIC, _MORE, _LESS = "#010101", "#010102", "#010103", "#010104", "#010105", "#010106"
_STYLES = {
    _INK: "var(--ink)",
    _LINE: "var(--line)",
    _REAL: "var(--real)",
    _SYNTHETIC: "var(--synthetic)",
    _MORE: "var(--more)",
    _LESS: "var(--less)",
}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mirage",
    "text.parse_math": False,  # a column may be called $x$
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.linewidth": 0.8,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
LayoutName = Literal["constrained", "compressed"]
_LONGEST_LABEL = 22
_SECONDS_A_DAY = 86_400
_SECONDS_A_YEAR = 365.2425 * _SECONDS_A_DAY
# Dates that can be drawn as such, with room for a margin: the years 2 to 9990.
_FIRST_S, _LAST_S = (2 - 1970) * _SECONDS_A_YEAR, (9990 - 1970) * _SECONDS_A_YEAR
# Columns of a matrix beyond which its names can't be read.
LARGEST_MATRIX = 40

_NAMES = re.compile(r'(\bid="|href="#|url\(#)')
_FIXED_SIZE = re.compile(r'(<svg [^>]*?)width="[^"]*" height="([^"]*)"|(<svg [^>]*?)height="([^"]*)" width="[^"]*"')
_PROLOGUE = re.compile(r"^.*?(?=<svg )", re.DOTALL)
# Notes about the picture, and styles that would be the whole page's.
_REST = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)


def distribution(shown: Distribution, name: str) -> str:
    """A column's values in the real and the synthetic table, one over the other."""
    with _axes(3.4, 2.1, name) as (axes, drawn):
        if shown.kind == "category":
            _bars(axes, shown)
        else:
            _steps(axes, shown)
    return drawn.text


def distances(shown: Distances, name: str) -> str:
    """How far synthetic rows are from the nearest training row, over how far rows never seen are."""
    with _axes(7, 2.6, name) as (axes, drawn):
        edges = np.asarray(shown.edges)
        _step(axes, edges, shown.holdout, _REAL)
        _step(axes, edges, shown.synthetic, _SYNTHETIC)
        axes.set_xlabel("distance to the nearest training row")
        axes.set_ylabel("share of rows")
        axes.yaxis.set_major_formatter(_percent(shown.holdout + shown.synthetic))
    return drawn.text


def matrices(shown: Associations, name: str) -> str:
    """How columns hang together in the real table, in the synthetic one, and the difference."""
    labels = [_short(column) for column in shown.columns[:LARGEST_MATRIX]]
    count = len(labels)
    real, synthetic = (
        np.array(matrix, dtype=np.float64)[:count, :count].reshape(count, count)
        for matrix in (shown.real, shown.synthetic)
    )
    side = min(3.4, 1.7 + count * 0.12)
    with _figure(3 * side + 1.2, side + 1.3, "compressed") as (figure, drawn):
        drawn.name = name
        panels = figure.subplots(1, 3, sharey=True)
        titles = ("real", "synthetic", "difference")
        for axes, title, matrix in zip(panels, titles, (real, synthetic, synthetic - real), strict=True):
            _matrix(axes, matrix)
            axes.set_title(title)
            axes.set_xticks(np.arange(count) + 0.5, labels, rotation=90)
            axes.tick_params(length=0)
        panels[0].set_yticks(np.arange(count) + 0.5, labels)
        panels[0].invert_yaxis()
    return drawn.text


class _Drawn:
    """A picture's SVG, once it is finished."""

    def __init__(self) -> None:
        self.text = ""
        self.name = ""


@contextmanager
def _figure(width_in: float, height_in: float, layout: LayoutName) -> Iterator[tuple[Figure, _Drawn]]:
    drawn = _Drawn()
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(width_in, height_in), layout=layout)
        yield figure, drawn
        target = io.StringIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # texts stay texts: the reader's fonts have them
            FigureCanvasSVG(figure).print_svg(target, metadata={"Date": None})
    drawn.text = _themed(target.getvalue(), drawn.name)


@contextmanager
def _axes(width_in: float, height_in: float, name: str) -> Iterator[tuple[Axes, _Drawn]]:
    with _figure(width_in, height_in, "constrained") as (figure, drawn):
        drawn.name = name
        axes = figure.subplots()
        axes.tick_params(length=2, width=0.8)
        yield axes, drawn


def _themed(svg: str, name: str) -> str:
    """SVG to stand in a page: the page's colours, names of its own, and as wide as its place."""
    svg = _REST.sub("", _PROLOGUE.sub("", svg))
    svg = _FIXED_SIZE.sub(lambda found: (found.group(1) or found.group(3)) + 'role="img" aria-hidden="true"', svg, 1)
    for colour, style in _STYLES.items():
        svg = svg.replace(colour, style)
    return _NAMES.sub(rf"\g<1>{name}-", svg)


def _steps(axes: Axes, shown: Distribution) -> None:
    edges = np.asarray(shown.edges)
    if shown.kind == "date" and not (edges[0] > _FIRST_S and edges[-1] < _LAST_S):
        edges = 1970 + edges / _SECONDS_A_YEAR  # years that Python's dates don't have
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    elif shown.kind == "date":
        edges = edges / _SECONDS_A_DAY
        locator = AutoDateLocator(minticks=2, maxticks=5)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    _step(axes, edges, shown.real, _REAL)
    _step(axes, edges, shown.synthetic, _SYNTHETIC)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(_percent(shown.real + shown.synthetic))
    axes.set_ylim(bottom=0)


def _step(axes: Axes, edges: "np.ndarray[tuple[int], np.dtype[np.float64]]", shares: Sequence[float], of: str) -> None:
    axes.stairs(shares, edges, fill=True, color=of, alpha=0.25, linewidth=0)
    axes.stairs(shares, edges, color=of, linewidth=1.3)


def _bars(axes: Axes, shown: Distribution) -> None:
    places = np.arange(len(shown.labels))
    axes.barh(places - 0.2, shown.real, 0.38, color=_REAL, alpha=0.8, linewidth=0)
    axes.barh(places + 0.2, shown.synthetic, 0.38, color=_SYNTHETIC, alpha=0.8, linewidth=0)
    axes.set_yticks(places, [_short(label) for label in shown.labels])
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(_percent(shown.real + shown.synthetic))


def _percent(shares: Sequence[float]) -> PercentFormatter:
    return PercentFormatter(1, decimals=0 if max(shares, default=1) >= 0.04 else 1)


def _matrix(axes: Axes, matrix: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> None:
    """Squares whose colour is the sign and whose strength is the size; nothing where there is nothing to say."""
    rows, columns = np.nonzero(np.isfinite(matrix) & (np.abs(np.nan_to_num(matrix)) >= 0.02))
    squares = np.stack(
        [np.stack([columns + dx, rows + dy], axis=-1) for dx, dy in ((0, 0), (1, 0), (1, 1), (0, 1))], axis=1
    )
    strengths = np.clip(matrix[rows, columns], -1, 1)
    for colour, part in ((_MORE, strengths > 0), (_LESS, strengths < 0)):
        # A few strengths tell as much as many, and make a small picture.
        for level in np.unique(np.ceil(np.abs(strengths[part]) * 10)):
            chosen = part & (np.ceil(np.abs(strengths) * 10) == level)
            axes.add_collection(PolyCollection(squares[chosen], facecolor=colour, alpha=level / 10, linewidth=0))
    axes.set_xlim(0, matrix.shape[1])
    axes.set_ylim(0, matrix.shape[0])
    axes.set_aspect("equal")


def _short(label: str) -> str:
    # A line break in a name would break the picture's lines.
    line = " ".join(label.split()) or "(empty)"
    return line if len(line) <= _LONGEST_LABEL else line[: _LONGEST_LABEL - 1] + "…"
