"""Tables in files: CSV, Parquet and Arrow, told by the file's name."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from mirage_engine.errors import TableRefused

SUFFIXES = (".csv", ".parquet", ".arrow")
_ROWS_AT_ONCE = 65_536

_WRITERS: dict[str, Callable[[Any, pa.Schema], Any]] = {
    ".csv": pyarrow.csv.CSVWriter,
    ".parquet": lambda file, schema: pyarrow.parquet.ParquetWriter(file, schema, compression="zstd"),
    ".arrow": pa.ipc.new_file,
}


def check_suffix(path: Path) -> None:
    """Raises TableRefused if the name tells no format that can be read and written here."""
    if path.suffix.lower() not in SUFFIXES:
        raise TableRefused({path.name: f"the name must end in one of: {', '.join(SUFFIXES)}"})


def read_table(path: Path) -> pa.Table:
    """Reads a table. Raises TableRefused if the file isn't what its name says."""
    check_suffix(path)
    try:
        if path.suffix.lower() == ".csv":
            return pyarrow.csv.read_csv(path)
        if path.suffix.lower() == ".parquet":
            return pyarrow.parquet.read_table(path)
        return pyarrow.feather.read_table(path)
    except pa.ArrowInvalid as error:
        raise TableRefused({path.name: f"the file can't be read as {path.suffix.lower()[1:]}: {error}"}) from error


def write_batches(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Writes batches as they come and gives their number of rows; the file takes its name when it is whole."""
    check_suffix(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    rows = 0
    try:
        with partial.open("wb") as file, _WRITERS[path.suffix.lower()](file, schema) as writer:
            for table in _gathered(schema, batches):
                writer.write_table(table)
                rows += table.num_rows
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return rows


def _gathered(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterable[pa.Table]:
    """Batches put together, since formats in pieces this small grow and slow down."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(part.num_rows for part in held) >= _ROWS_AT_ONCE:
            yield pa.Table.from_batches(held, schema).combine_chunks()
            held = []
    if held:
        yield pa.Table.from_batches(held, schema).combine_chunks()
