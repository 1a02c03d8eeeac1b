"""Some of a table's values: the same ones for the same table, from all over it, few enough to look at each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MOST_VALUES = 2_000
"""Different values of a column that are looked at."""
FEWEST_VALUES = 100
"""As many of each column of a very wide table."""
MOST_TABLE_VALUES = 200_000
LONGEST_VALUE = 300
"""Characters of a value that are looked at; what is longer is prose."""
_GROUPS = 6
_ROWS_A_VALUE = 4  # values repeat
_COLUMNS_AT_ONCE = 16


@dataclass(frozen=True)
class Sample:
    """Different values of a column as text, missing and empty ones aside, in the order of the table."""

    name: str
    values: tuple[str, ...]
    whole_numbers: bool


def samples(table: Path) -> Iterator[Sample]:
    """A sample of each column of a Parquet file that holds text or whole numbers, in the columns' order.

    Whole numbers are also those of a column of floats that has no others: some programs have no missing integers.
    """
    with pq.ParquetFile(table, pre_buffer=False) as file:
        fields = dict(enumerate(file.schema_arrow))
        looked_at = _is_text, pa.types.is_integer, pa.types.is_floating
        positions = [index for index, field in fields.items() if any(of(field.type) for of in looked_at)]
        limit = max(FEWEST_VALUES, min(MOST_VALUES, MOST_TABLE_VALUES // max(1, len(positions))))
        for start in range(0, len(positions), _COLUMNS_AT_ONCE):
            chosen = positions[start : start + _COLUMNS_AT_ONCE]
            for position, values in zip(chosen, _samples(file, chosen, limit), strict=True):
                kind = fields[position].type
                if not pa.types.is_floating(kind) or all(map(str.isdecimal, values)):
                    yield Sample(fields[position].name, values, whole_numbers=not _is_text(kind))


def _samples(file: pq.ParquetFile, positions: Sequence[int], limit: int) -> Iterator[tuple[str, ...]]:
    groups = file.metadata.num_row_groups
    chosen = sorted({int(group) for group in np.linspace(0, groups - 1, min(groups, _GROUPS))}) if groups else []
    rows = limit * _ROWS_A_VALUE // max(1, len(chosen))
    drawn: dict[int, dict[str, None]] = {position: {} for position in positions}
    for group in chosen:
        # By position: a name with a dot would be read as a path.
        for position, column in zip(positions, _columns(file, group, positions), strict=True):
            drawn[position].update(dict.fromkeys(_texts(_spread(column, rows))))
    for position in positions:
        values = drawn[position]
        if len(values) < FEWEST_VALUES:
            values = _sought(file, position, limit) or values
        yield tuple(_thinned(list(values), limit))


def _columns(file: pq.ParquetFile, group: int, positions: Sequence[int]) -> list[pa.ChunkedArray]:
    return list(file.reader.read_row_group(group, column_indices=list(positions)).columns)


def _sought(file: pq.ParquetFile, position: int, limit: int) -> dict[str, None]:
    """The values of a column that is mostly missing, wherever they are; nothing if few are missing."""
    statistics = [file.metadata.row_group(group).column(position) for group in range(file.metadata.num_row_groups)]
    present = [
        group
        for group, chunk in enumerate(statistics)
        if chunk.statistics is None or chunk.statistics.null_count < chunk.num_values
    ]
    missing = sum(chunk.statistics.null_count for chunk in statistics if chunk.statistics is not None)
    if missing * 2 < file.metadata.num_rows:
        return {}
    values: dict[str, None] = {}
    for group in present:
        [column] = _columns(file, group, [position])
        values.update(dict.fromkeys(_texts(_spread(column.drop_null(), limit))))
        if len(values) >= limit:
            break
    return values


def _spread(column: pa.ChunkedArray, count: int) -> pa.ChunkedArray:
    """So many cells in even distances."""
    if len(column) <= count:
        return column
    return column.take(pa.array(np.linspace(0, len(column) - 1, count).astype(np.int64)))


def _texts(column: pa.ChunkedArray) -> Iterator[str]:
    if pa.types.is_floating(column.type):
        yield from (f"{value:.0f}" if value.is_integer() else str(value) for value in column.drop_null().to_pylist())
        return
    text = column if _is_text(column.type) else column.cast(pa.string())
    for value in pc.utf8_slice_codeunits(text, 0, LONGEST_VALUE + 1).to_pylist():
        if value and (stripped := value.strip()):
            yield stripped


def _thinned(values: Sequence[str], limit: int) -> Iterator[str]:
    if len(values) <= limit:
        return iter(values)
    return (values[int(index)] for index in np.linspace(0, len(values) - 1, limit))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
