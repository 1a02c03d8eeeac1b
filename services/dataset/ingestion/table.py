"""The canonical table: Parquet with types, and how it is read by position."""

import io
from collections.abc import Iterable, Iterator, Sequence
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


def write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], rows: int) -> None:
    """Writes batches of the schema as Parquet, compressed by zstd, in row groups of so many rows."""
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in groups(batches, rows):
            writer.write_table(group, row_group_size=rows)


def put_side_by_side(parts: Sequence[Path], path: Path, names: Sequence[str], rows: int) -> None:
    """Makes one table, with its columns in this order and in row groups of so many rows, of files with some of them."""
    places = {name: place for place, name in enumerate(names)}
    with ExitStack() as stack:
        files = [stack.enter_context(pq.ParquetFile(part, pre_buffer=False)) for part in parts]
        fields = [field for file in files for field in file.schema_arrow]
        order = sorted(range(len(fields)), key=lambda index: places[fields[index].name])
        schema = pa.schema([fields[index] for index in order])
        writer = stack.enter_context(pq.ParquetWriter(path, schema, compression="zstd"))
        read = (groups(file.iter_batches(rows, use_threads=False), rows) for file in files)
        for abreast in zip(*read, strict=True):
            columns = [column for group in abreast for column in group.columns]
            writer.write_table(pa.table([columns[index] for index in order], schema=schema), row_group_size=rows)


def groups(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Batches put together or cut to tables of so many rows; the last has what is left."""
    pending: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        rest = batch
        while rest.num_rows:
            head = rest.slice(0, rows - count)
            rest = rest.slice(head.num_rows)
            pending.append(head)
            count += head.num_rows
            if count == rows:
                yield pa.Table.from_batches(pending)
                pending, count = [], 0
    if pending:
        yield pa.Table.from_batches(pending)


def describe(path: Path, schema: pa.Schema) -> None:
    """Gives a written table another schema that differs in its metadata alone; the rows stay where they are.

    A Parquet file ends with its metadata and their length, in 4 bytes, between two marks of 4 bytes (Apache Parquet
    format, “File format”): these are replaced.
    """
    metadata = pq.read_metadata(path)
    ends = io.BytesIO()
    pq.write_metadata(schema, ends, metadata_collector=[metadata])
    with path.open("r+b") as file:
        file.seek(-8, io.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, io.SEEK_END)
        file.truncate()
        file.write(ends.getvalue()[4:])
