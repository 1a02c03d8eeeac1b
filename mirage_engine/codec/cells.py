"""A number's range in cells of about equally many rows.

Cells are told by their least and largest source value. Between two neighbouring cells lies no source value, so nothing
is lost, and no cell reaches further than the source did: the range isn't widened and its ends can be met.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirage_engine.codec.digits import MOST_ORDERED

CELLS_PER_ROOT = 2
"""Quantiles for each square root of a row."""
WORTH_A_SECOND_DIGIT = 1024
"""Quantiles from which on two digits tell a number."""
Keys = NDArray[Any]
"""An array of uint64, float64 or object (Python integers) that sorts as the values do."""


def cells_of(keys: Keys, rows_per_cell: int, most_cells: int) -> tuple[Keys, Keys]:
    """Least and largest key of each cell, ascending; each of shape (cells,).

    Where values repeat so often that there are at least `rows_per_cell` rows for each different one, every value is a
    cell of its own. Otherwise cells follow the quantiles, as many as grow with the square root of the rows, since a
    model must learn each of them from the rows it holds; a value as frequent as two cells gets one of its own.
    """
    if len(keys) == 0:
        return keys, keys
    distinct, counts = np.unique(keys, return_counts=True)
    cells = max(1, min(len(keys) // rows_per_cell, most_cells))
    if len(distinct) <= cells:
        return distinct, distinct
    cells = min(cells, round(CELLS_PER_ROOT * math.sqrt(len(keys))))
    if cells < WORTH_A_SECOND_DIGIT:
        cells = min(cells, MOST_ORDERED)
    middles = np.cumsum(counts) - counts / 2
    cell = np.minimum(middles * (cells / len(keys)), cells - 1).astype(np.int64)
    starts = np.flatnonzero(np.diff(cell, prepend=-1))
    ends = np.append(starts[1:], len(distinct)) - 1
    return distinct[starts], distinct[ends]


def cell_of(keys: Keys, low: Keys, high: Keys) -> NDArray[np.int32]:
    """The cell that each key lies in; for a key between two cells, the lower one. Shape (rows,)."""
    found = np.searchsorted(low, keys, side="right") - 1
    return np.clip(found, 0, len(high) - 1).astype(np.int32)
