"""The formats that a table can be had in, and the way from Parquet to each."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from grpc import StatusCode

from servicekit.errors import ServiceError
from servicekit.tabular import csv, json, xlsx

_CHUNK_BYTES = 256 * 1024
_BATCH_CELLS = 200_000  # as many are in memory at a time
_MOST_BATCH_ROWS = 16_384


class TableTooLarge(ServiceError):
    """The table has more rows, columns or text than the format can hold."""

    code = StatusCode.FAILED_PRECONDITION
    reason = "TABLE_TOO_LARGE_FOR_FORMAT"

    def __init__(self, table_format: str, fault: str) -> None:
        super().__init__(f"A file of the format {table_format} can't hold {fault}; choose csv or parquet.")


@dataclass(frozen=True)
class TableFormat:
    """A format of files; `stream` makes one of batches of a schema, piece by piece."""

    content_type: str
    stream: Callable[[pa.Schema, Iterable[pa.RecordBatch]], Iterator[bytes]]


def _stream_parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    sink = _Pieces()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


class _Pieces:
    """A file that gives away what was written to it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._position = 0
        self.closed = False

    def write(self, piece: Any) -> int:
        content = bytes(piece)
        self._pieces.append(content)
        self._position += len(content)
        return len(content)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True

    def take(self) -> bytes:
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content


FORMATS: Mapping[str, TableFormat] = {
    "csv": TableFormat("text/csv; charset=utf-8", csv.stream),
    "jsonl": TableFormat("application/x-ndjson", json.stream_lines),
    "json": TableFormat("application/json", json.stream_array),
    "parquet": TableFormat("application/vnd.apache.parquet", _stream_parquet),
    "xlsx": TableFormat("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", xlsx.stream),
}
"""By name, the default first."""


def content_type(table_format: str) -> str:
    """The media type of a format's files."""
    return FORMATS[table_format].content_type


def file_extension(table_format: str) -> str:
    """What a format's files end in, without the dot."""
    return table_format


def ensure_fits(table: Path, table_format: str) -> None:
    """Checks that a Parquet table can be written in a format, before the first byte goes out.

    Raises:
        TableTooLarge: it can't; only workbooks have limits.
    """
    if table_format != "xlsx":
        return
    with pq.ParquetFile(table) as file:
        if file.metadata.num_rows > xlsx.MAX_ROWS:
            raise TableTooLarge(table_format, f"more than {xlsx.MAX_ROWS:,} rows")
        if file.metadata.num_columns > xlsx.MAX_COLUMNS:
            raise TableTooLarge(table_format, f"more than {xlsx.MAX_COLUMNS:,} columns")
        longest_name = max(map(len, file.schema_arrow.names), default=0)
        if longest_name > xlsx.MAX_CELL_LENGTH:
            fault = f"a column's name of {longest_name:,} characters (at most {xlsx.MAX_CELL_LENGTH:,})"
            raise TableTooLarge(table_format, fault)
        texts = [field.name for field in file.schema_arrow if xlsx.type_letter(field.type) == xlsx.TEXT]
        for batch in _batches(file, texts):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                longest = pc.max(pc.utf8_length(column.cast(pa.string()))).as_py() or 0
                if longest > xlsx.MAX_CELL_LENGTH:
                    fault = f"the text of {longest:,} characters in column {name!r} (at most {xlsx.MAX_CELL_LENGTH:,})"
                    raise TableTooLarge(table_format, fault)


def stream_table(table: Path, table_format: str) -> Iterator[bytes]:
    """A Parquet table as a file of some format, piece by piece; memory doesn't grow with the table.

    Raises:
        TableTooLarge: the format can't hold it.
    """
    if table_format == "parquet":
        with table.open("rb") as original:
            while chunk := original.read(_CHUNK_BYTES):
                yield chunk
        return
    ensure_fits(table, table_format)
    with pq.ParquetFile(table) as file:
        yield from FORMATS[table_format].stream(file.schema_arrow, _batches(file))


def stream_batches(schema: pa.Schema, batches: Iterable[pa.RecordBatch], table_format: str) -> Iterator[bytes]:
    """Rows as a file of some format, piece by piece as they are made."""
    return FORMATS[table_format].stream(schema, batches)


def _batches(file: pq.ParquetFile, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    if columns == []:
        return iter(())
    rows = max(1, min(_MOST_BATCH_ROWS, _BATCH_CELLS // max(1, file.metadata.num_columns)))
    batches: Iterator[pa.RecordBatch] = file.iter_batches(batch_size=rows, columns=columns)
    return batches
