"""Which rows are kept from training, so that what was learned can be judged on rows that nobody has seen.

They are drawn by strata, so that the rows kept are like those learned in what matters most: every class of the target,
or every tenth of its range, gives its share, to within one row. A table without a usable target is stratified by its
categorical or boolean column with the fewest values, from 2 to 20, the first of equals; one without such a column is
not.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from servicekit.column_types import ColumnRole, ColumnType
from services.generation.tables.columns import ColumnSpec

# Under this a holdout would judge nothing and cost the training what it needs.
LEAST_ROWS = 200

_CLASSES = {ColumnType.CATEGORICAL, ColumnType.BOOLEAN}
_RANGES = {ColumnType.INTEGER, ColumnType.FLOAT, ColumnType.DATE, ColumnType.DATETIME}
_MOST_CLASSES = 20
_TENTHS = 10

Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]


class Strata(NamedTuple):
    """The column by whose values rows are put into strata, empty if there is none, and each row's stratum."""

    column: str
    codes: Codes


def holdout_row_count(rows: int, fraction: float) -> int:
    """How many of a table's rows are held out."""
    return 0 if rows < LEAST_ROWS else round(rows * fraction)


def training_row_count(rows: int, fraction: float) -> int:
    """How many of a table's rows are trained on."""
    return rows - holdout_row_count(rows, fraction)


def held_out(table: pa.Table, columns: Sequence[ColumnSpec], fraction: float, seed: int) -> Mask:
    """For each row of a table whether it is held out; the same for the same arguments.

    `columns` are those to learn, with the roles in force; others say nothing.
    """
    rows = len(table)
    count = holdout_row_count(rows, fraction)
    chosen = np.zeros(rows, dtype=np.bool_)
    if not count:
        return chosen
    draws = np.random.default_rng([seed, rows])
    # Rows in random order within their strata, of which every so many-th is taken from a random start on: systematic
    # sampling of an ordered list, which gives each stratum its share (Cochran 1977, section 8.1).
    order = np.lexsort((draws.permutation(rows), strata(table, columns).codes))
    places = np.floor((np.arange(count) + draws.random()) * (rows / count)).astype(np.int64)
    chosen[order[np.minimum(places, rows - 1)]] = True
    return chosen


def strata(table: pa.Table, columns: Sequence[ColumnSpec]) -> Strata:
    """The strata of a table's rows; missing values are one of their own."""
    usable = [spec for spec in columns if spec.personal_data is None and table.column_names.count(spec.name) == 1]
    best, fewest = Strata("", np.zeros(len(table), dtype=np.int64)), _MOST_CLASSES + 1
    for spec in usable:
        column = table[spec.name]
        try:
            if spec.role == ColumnRole.TARGET and spec.type in _RANGES:
                return Strata(spec.name, _tenths(column))
            if spec.type not in _CLASSES or spec.role == ColumnRole.PRIMARY_KEY:
                continue
            codes, values = _classes(column)
        except pa.ArrowNotImplementedError:
            continue  # values that have no order, or nested ones
        if spec.role == ColumnRole.TARGET:
            return Strata(spec.name, codes)
        if 2 <= values < fewest:
            best, fewest = Strata(spec.name, codes), values
    return best


def _tenths(column: pa.ChunkedArray) -> Codes:
    """For each value the tenth of all, in order, in which it is."""
    ranks = pc.rank(column, sort_keys="ascending", tiebreaker="min").to_numpy().astype(np.int64)
    tenths: Codes = (ranks - 1) * _TENTHS // max(1, len(column) - column.null_count)
    tenths[column.is_null().to_numpy()] = _TENTHS
    return tenths


def _classes(column: pa.ChunkedArray) -> tuple[Codes, int]:
    """A number for each value, in the order in which they come, and how many there are, missing aside."""
    array = column.combine_chunks()
    array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
    array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    known = pc.unique(array.drop_null())
    codes = pc.index_in(array, value_set=known).fill_null(-1)
    return codes.to_numpy(zero_copy_only=False).astype(np.int64), len(known)
