"""The canonical table: Parquet with types, and how it is read by position."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from services.dataset.columns import Column

TYPE_KEY = b"mirage.type"
"""Metadata of a field in the table's Arrow schema: what the column is taken for."""

_GROUP_CELLS = 4_000_000
_MOST_GROUP_ROWS = 65_536  # a page of rows is read by reading its group


def group_rows(columns: int) -> int:
    """Rows of a row group of so many columns."""
    return max(256, min(_MOST_GROUP_ROWS, _GROUP_CELLS // max(1, columns)))


def schema_of(columns: Sequence[Column], kinds: Sequence[pa.DataType]) -> pa.Schema:
    """The table's Arrow schema, with each column's type as metadata."""
    return pa.schema(
        [
            pa.field(column.name, kind, nullable=True, metadata={TYPE_KEY: column.type.value})
            for column, kind in zip(columns, kinds, strict=True)
        ]
    )


def write(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch], rows: int) -> None:
    """Writes batches of the schema as Parquet, compressed by zstd, in row groups of so many rows."""
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        pending: list[pa.RecordBatch] = []
        count = 0
        for batch in batches:
            while batch.num_rows:
                head = batch.slice(0, rows - count)
                batch = batch.slice(head.num_rows)  # noqa: PLW2901 - what is left of it
                pending.append(head)
                count += head.num_rows
                if count == rows:
                    writer.write_table(pa.Table.from_batches(pending, schema), row_group_size=rows)
                    pending, count = [], 0
        if pending:
            writer.write_table(pa.Table.from_batches(pending, schema), row_group_size=rows)


def put_side_by_side(parts: Sequence[Path], path: Path, schema: pa.Schema, rows: int) -> None:
    """Makes one table of files that hold some of its columns each, in equal row groups of so many rows."""
    with ExitStack() as stack:
        files = [stack.enter_context(pq.ParquetFile(part, pre_buffer=False)) for part in parts]
        writer = stack.enter_context(pq.ParquetWriter(path, schema, compression="zstd"))
        for group in range(files[0].num_row_groups):
            columns = [column for file in files for column in file.read_row_group(group).columns]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=rows)
