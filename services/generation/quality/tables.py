"""The tables that a report compares, as arrays: the same columns in each, categories under one code."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]


class Kind(StrEnum):
    """How a column is compared."""

    NUMBER = "number"
    DATE = "date"
    CATEGORY = "category"


@dataclass(frozen=True)
class Column:
    """What is known of a column beside its values; `labels` are a category's, by code, of all the tables together."""

    name: str
    kind: Kind
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Rows as arrays of shape (rows,), one a column, in the columns' order.

    A number is float64, NaN where missing; a date is its seconds since 1970, likewise; a category is its int32 code, -1
    where missing.
    """

    columns: tuple[Column, ...]
    values: tuple[Numbers | Codes, ...]

    def __len__(self) -> int:
        return len(self.values[0]) if self.values else 0

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "Table":
        """These rows, by number or by mask."""
        return Table(self.columns, tuple(values[rows] for values in self.values))


@dataclass(frozen=True)
class Comparison:
    """What is judged: rows the generator was trained on, rows that it has never seen, rows that it made.

    `holdout` is None where there are none. All have the same columns; those that nobody compares (personal data,
    identifiers, primary keys, free texts, nested values) are not among them. `target` is the column that a model would
    predict, given or chosen, None if no column will do; `sensitive` are those that the attribute inference goes for.
    `stratified_by` is the column by whose values the holdout was drawn in strata, empty if it wasn't, or if nobody
    compares it. All rows are there; `parts.judged` draws as many as most metrics take. `notes` say what a reader
    should know of how the tables were read.
    """

    training: Table
    holdout: Table | None
    synthetic: Table
    target: str | None
    sensitive: tuple[str, ...]
    seed: int
    target_chosen: bool = False
    notes: tuple[str, ...] = ()
    stratified_by: str = ""
