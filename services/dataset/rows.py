"""Rows of a table, page by page, read by row groups out of the object store; never the whole table."""

import asyncio
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from google.protobuf.struct_pb2 import NULL_VALUE, Struct, Value

from servicekit.object_store import ObjectStore
from servicekit.ranged_file import RangedFile
from servicekit.tabular.text import as_text

DEFAULT_PAGE_ROWS = 100
LARGEST_PAGE_ROWS = 1000
LARGEST_OFFSET = 2**62
# Below what a gRPC client takes by default (4 MiB), with room for a row that is just too much.
_MOST_PAGE_BYTES = 3_000_000
# A double holds every integer up to here.
_LARGEST_NUMBER = 2**53


class Page(NamedTuple):
    """Rows, the columns' names in order, and the offset of the next row; None after the last."""

    rows: list[Struct]
    columns: list[str]
    next_offset: int | None


async def read_page(store: ObjectStore, table_key: str, offset: int, limit: int) -> Page:
    """Rows of a Parquet object from an offset on; fewer than asked for where they are large.

    Raises:
        ObjectMissing: the object is gone.
        Unavailable: the object store can't be reached.
    """
    file = await store.open_file(table_key)
    return await asyncio.to_thread(_read, file, offset, limit)


def _read(source: RangedFile, offset: int, limit: int) -> Page:
    rows: list[Struct] = []
    size = 0
    with pq.ParquetFile(pa.PythonFile(source, mode="r"), pre_buffer=True) as file:
        total = file.metadata.num_rows
        columns = file.schema_arrow.names
        for batch in _batches(file, offset, limit):
            for row in _structs(batch):
                size += row.ByteSize()
                if rows and size > _MOST_PAGE_BYTES:
                    return Page(rows, columns, offset + len(rows))
                rows.append(row)
    reached = offset + len(rows)
    return Page(rows, columns, reached if reached < total else None)


def _batches(file: pq.ParquetFile, offset: int, limit: int) -> Iterator[pa.RecordBatch]:
    """The wanted rows out of those row groups that hold them."""
    start = 0
    for index in range(file.metadata.num_row_groups):
        count = file.metadata.row_group(index).num_rows
        first, last = max(offset - start, 0), min(offset + limit - start, count)
        if first < last:
            yield from file.read_row_group(index).slice(first, last - first).combine_chunks().to_batches()
        start += count


def _structs(batch: pa.RecordBatch) -> Iterator[Struct]:
    columns = [_values(column) for column in batch.columns]
    for cells in zip(*columns, strict=True):
        yield Struct(fields=dict(zip(batch.schema.names, cells, strict=True)))


def _values(column: pa.Array) -> list[Value]:
    kind = column.type
    if pa.types.is_boolean(kind):
        return [_missing() if cell is None else Value(bool_value=cell) for cell in column.to_pylist()]
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return [_number(cell) for cell in column.to_pylist()]
    return [_missing() if cell is None else Value(string_value=cell) for cell in as_text(column).to_pylist()]


def _number(cell: Any) -> Value:
    if cell is None or cell != cell:
        return _missing()
    if isinstance(cell, int):
        return Value(number_value=cell) if abs(cell) <= _LARGEST_NUMBER else Value(string_value=str(cell))
    # JSON has no infinity.
    return Value(number_value=cell) if math.isfinite(cell) else Value(string_value=str(cell))


def _missing() -> Value:
    return Value(null_value=NULL_VALUE)
