"""What a page draws of the columns, without telling of anybody.

A report is read by more people than the real table, so no picture shows what only a few rows have: a category is named
if at least `LEAST_NAMED` training rows are of it, and the bins of numbers and dates end where at least `LEAST_BEYOND`
training rows lie beyond, at rounded values. A bin that fewer training rows are in is told with the nearest that has as
many: one person between two crowds would be seen there to within a bin's width.
"""

from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from services.generation.quality.associations import matrix
from services.generation.quality.bins import bins_of
from services.generation.quality.correlation_preservation import varies
from services.generation.quality.parts import Floats, judged
from services.generation.quality.report import Associations, Distribution, Part, Pictures
from services.generation.quality.tables import Codes, Column, Comparison, Kind, Numbers, Table

# Rows that a category needs to be named.
LEAST_NAMED = 10
# Rows, and share of rows, beyond the ends of a number's bins; so many rows a bin has, or it isn't shown.
LEAST_BEYOND = 5
SHARE_BEYOND = 0.01
# A number that fewer rows have isn't drawn.
LEAST_DRAWN = 20
BINS = 30
# Of few rows there are fewer bins, so that a bin has as many on average.
ROWS_A_BIN = 10
MOST_LABELS = 12
# Columns that are drawn at most: those furthest from the real ones, and the first of them.
MOST_DISTRIBUTIONS = 200
MOST_ASSOCIATED = 40

OTHERS = "(others)"


class Drawn(NamedTuple):
    """Pictures, and what a reader should know of them."""

    pictures: Pictures
    notes: tuple[str, ...]


def pictures(comparison: Comparison, statistical: Part) -> Drawn:
    """What is drawn of a comparison's columns; `statistical` is the part on single columns."""
    rows = judged(comparison)
    if not len(rows.training) or not len(rows.synthetic):
        return Drawn(Pictures(), ())
    columns = rows.training.columns
    shown = _furthest(columns, statistical)
    distributions = [
        distribution(columns[place], rows.training.values[place], rows.synthetic.values[place]) for place in shown
    ]
    varying = [place for place, values in enumerate(rows.training.values) if varies(values, columns[place].kind)]
    notes = []
    if len(shown) < len(columns):
        notes.append(f"Of {len(columns):,} columns, the {len(shown)} that differ most are drawn.")
    if len(varying) > MOST_ASSOCIATED:
        notes.append(f"Associations are drawn of the first {MOST_ASSOCIATED} columns.")
    return Drawn(
        Pictures(
            distributions=tuple(each for each in distributions if each is not None),
            associations=_associations(rows, varying[:MOST_ASSOCIATED]),
        ),
        tuple(notes),
    )


def distribution(column: Column, real: Numbers | Codes, synthetic: Numbers | Codes) -> Distribution | None:
    """How a column is distributed; None if too few rows have a value of it to be shown."""
    if column.kind is Kind.CATEGORY:
        return _of_category(column, cast(Codes, real), cast(Codes, synthetic))
    return _of_number(column, cast(Numbers, real), cast(Numbers, synthetic))


def _of_category(column: Column, real: Codes, synthetic: Codes) -> Distribution | None:
    count = len(column.labels)
    counts = [np.bincount(codes[codes >= 0], minlength=count) for codes in (real, synthetic)]
    order = np.argsort(-counts[0], kind="stable")[:MOST_LABELS]
    named = order[counts[0][order] >= LEAST_NAMED]
    if not len(named):
        return None
    shares = []
    for codes, each in zip((real, synthetic), counts, strict=True):
        told = [*each[named], each.sum() - each[named].sum()]
        shares.append(np.array(told) / len(codes))
    has_others = max(shares[0][-1], shares[1][-1]) > 0
    end = None if has_others else -1
    return Distribution(
        column=column.name,
        kind="category",
        labels=(*(column.labels[place] for place in named), *([OTHERS] if has_others else [])),
        real=tuple(shares[0][:end].tolist()),
        synthetic=tuple(shares[1][:end].tolist()),
        real_missing=float(np.mean(real < 0)),
        synthetic_missing=float(np.mean(synthetic < 0)),
    )


def _of_number(column: Column, real: Numbers, synthetic: Numbers) -> Distribution | None:
    present = real[~np.isnan(real)]
    if len(present) < LEAST_DRAWN:
        return None
    edges = _edges(present, min(BINS, len(present) // ROWS_A_BIN))
    counts = []
    for values in (real, synthetic):
        there = values[~np.isnan(values)]
        bins = np.clip(np.searchsorted(edges, there, side="right") - 1, 0, len(edges) - 2)
        counts.append(np.bincount(bins, minlength=len(edges) - 1))
    return Distribution(
        column=column.name,
        kind="date" if column.kind is Kind.DATE else "number",
        edges=tuple(float(f"{edge:.12g}") for edge in edges),
        real=tuple((_crowded(counts[0]) / len(real)).tolist()),
        synthetic=tuple((counts[1] / len(synthetic)).tolist()),
        real_missing=float(np.mean(np.isnan(real))),
        synthetic_missing=float(np.mean(np.isnan(synthetic))),
    )


def _crowded(counts: npt.NDArray[np.int64]) -> Floats:
    """Rows by bin, those of bins with too few to be shown told in the nearest bin with enough, the left one of two."""
    enough = np.flatnonzero(counts >= LEAST_BEYOND)
    if not len(enough):
        return np.zeros(len(counts))
    nearest = enough[np.abs(np.arange(len(counts))[:, None] - enough).argmin(axis=1)]
    told: Floats = np.bincount(nearest, weights=counts, minlength=len(counts)).astype(np.float64)
    return told


def _edges(present: Numbers, bins: int) -> Floats:
    """Edges of bins of the same width between rounded values; what lies beyond counts to the bins at the ends."""
    beyond = max(SHARE_BEYOND, LEAST_BEYOND / len(present))
    low, high = (float(end) for end in np.quantile(present, [beyond, 1 - beyond]))
    if np.all(present == np.rint(present)) and high - low < 2**52:
        step = max(1.0, np.ceil((high - low + 1) / bins))
        first = np.floor(low / step) * step - 0.5
        return np.asarray(first + step * np.arange(int(np.ceil((high + 0.5 - first) / step)) + 1))
    length = high - low
    if not np.isfinite(length) or length <= 0:
        half = abs(low) / 2 if np.isfinite(length) and low else 0.5
        return np.linspace(low - half, low + half, 2) if np.isfinite(length) else np.linspace(low, high / 2, 2)
    unit = 10.0 ** (np.floor(np.log10(length)) - 1)
    return np.linspace(np.floor(low / unit) * unit, np.ceil(high / unit) * unit, bins + 1)


def _furthest(columns: tuple[Column, ...], statistical: Part) -> list[int]:
    """Places of the columns to draw, in the table's order."""
    if len(columns) <= MOST_DISTRIBUTIONS:
        return list(range(len(columns)))
    shortfall = {
        detail.columns[0]: (1.0 if detail.figure.ceiling is None else detail.figure.ceiling) - detail.figure.value
        for metric in statistical.metrics
        if metric.name in {"ks_complement", "total_variation_complement"}
        for detail in metric.details
    }
    order = sorted(range(len(columns)), key=lambda place: -shortfall.get(columns[place].name, -1.0))
    return sorted(order[:MOST_DISTRIBUTIONS])


def _associations(rows: Comparison, places: list[int]) -> Associations | None:
    if len(places) < 2:
        return None
    real, synthetic = (
        Table(tuple(table.columns[place] for place in places), tuple(table.values[place] for place in places))
        for table in (rows.training, rows.synthetic)
    )
    bins = bins_of(real)
    return Associations(
        columns=tuple(column.name for column in real.columns),
        real=tuple(map(tuple, matrix(real, bins))),
        synthetic=tuple(map(tuple, matrix(synthetic, bins))),
    )
