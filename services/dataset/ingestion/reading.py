"""What a reader of one format hands on: batches of columns under internal names, and what it noticed."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from servicekit.column_types import ColumnType

BATCH_CELLS = 400_000
"""Cells that are in memory at a time while a file is read."""
MOST_BATCH_ROWS = 16_384


def batch_rows(columns: int) -> int:
    """Rows of a batch of so many columns."""
    return max(1, min(MOST_BATCH_ROWS, BATCH_CELLS // max(1, columns)))


@dataclass
class Reading:
    """A file being read. All but `source_format` is complete only when `batches` is exhausted, unless `known_ahead`.

    Batches have the columns `c0`, `c1`, … whose names are `names[0]`, …; a later batch may have more columns than an
    earlier one. Columns of strings are text whose meaning is yet to be found; other columns have their type.
    """

    source_format: str
    batches: Iterator[pa.RecordBatch]
    known_ahead: bool = False
    """Whether all but `notes` is complete from the beginning."""
    names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    text_only: set[int] = field(default_factory=set)
    """Columns whose values the file marks as text: they hold no numbers and no booleans, whatever they look like."""
    unnamed: set[int] = field(default_factory=set)
    """Columns that had no name; with no value either they are left out."""
    left_out: set[int] = field(default_factory=set)
    """Columns that turned out to be none; they hold no value."""
    declared: dict[int, ColumnType] = field(default_factory=dict)
    """Types that the file tells because Mirage wrote it; taken where they hold."""
    targets: dict[int, pa.DataType] = field(default_factory=dict)
    """Types that columns have in the file and keep: nothing is to be found out about them, strings are strings."""
    decimal_comma: bool = False
    """Whether a comma can be a decimal comma: not where it separates the cells."""


def internal(position: int) -> str:
    """A column's name inside the ingestion: names of columns can be anything."""
    return f"c{position}"


def internals(count: int) -> list[str]:
    """The names of so many columns inside the ingestion."""
    return [internal(position) for position in range(count)]
