"""Every column in a few bins, so that columns of any kind can be counted together.

The bins are made from the training rows alone: what the synthetic table holds decides nothing about how it is judged.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np

from services.generation.quality.tables import Codes, Kind, Numbers, Table

# Bins of a column at most, without those for what is missing and for rare categories.
MOST_BINS = 10
LEAST_BINS = 2
# Rows that a combination of bins should have on average: with fewer, what is counted is noise above all.
ROWS_A_CELL = 20


@dataclass(frozen=True)
class Bins:
    """The bins of one column: `cells` of them, of which the last is for what is missing.

    `edges` (ascending, those between bins) are a number's or date's; `places` lead from a category's code to its bin.
    """

    cells: int
    edges: Numbers | None = None
    places: Codes | None = None

    def codes(self, values: Numbers | Codes) -> Codes:
        """The bin of each value, shape (rows,)."""
        missing = self.cells - 1
        if self.edges is not None:
            bins = np.searchsorted(self.edges, values, side="right")
            return np.where(np.isnan(values), missing, bins).astype(np.int32)
        places = cast(Codes, self.places)
        return np.where(values < 0, missing, places[values]).astype(np.int32)


def bins_for(rows: int, columns: int) -> int:
    """How many bins a column has where so many columns are counted together in so many rows."""
    return max(LEAST_BINS, min(MOST_BINS, int((rows / ROWS_A_CELL) ** (1 / columns) + 1e-9)))


def bins_of(training: Table, count: int = MOST_BINS) -> tuple[Bins, ...]:
    """The bins of every column: so many of a number, with as many rows each, and so many categories."""
    return tuple(
        _category_bins(cast(Codes, values), len(column.labels), count)
        if column.kind is Kind.CATEGORY
        else _number_bins(cast(Numbers, values), count)
        for column, values in zip(training.columns, training.values, strict=True)
    )


def _number_bins(values: Numbers, count: int) -> Bins:
    present = values[~np.isnan(values)]
    distinct = np.unique(present)
    if len(distinct) <= count:
        edges = distinct[1:]
    else:
        inner = np.linspace(0, 1, count + 1)[1:-1]
        edges = np.unique(np.quantile(present, inner, method="higher"))
        edges = edges[edges > distinct[0]]
    return Bins(cells=len(edges) + 2, edges=edges)


def _category_bins(codes: Codes, labels: int, count: int) -> Bins:
    counts = np.bincount(codes[codes >= 0], minlength=labels)
    order = np.argsort(-counts, kind="stable")
    seen = int(np.count_nonzero(counts))
    own = order[: min(seen, count)]
    # One more place at the end, for the code -1 to point at; it is never used.
    places = np.full(labels + 1, len(own), dtype=np.int32)
    places[own] = np.arange(len(own), dtype=np.int32)
    return Bins(cells=len(own) + 2, places=places)
