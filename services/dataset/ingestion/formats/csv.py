"""CSV with any usual delimiter, quoting and line ends, read as text cell by cell."""

import csv
import io
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from servicekit.tabular.text import MISSING_TOKENS
from services.dataset.ingestion.encoding import Text
from services.dataset.ingestion.faults import Fault, Reason, unreadable
from services.dataset.ingestion.formats.dialect import Dialect, detect
from services.dataset.ingestion.names import check_number, settled
from services.dataset.ingestion.reading import Reading, batch_rows, internals
from services.dataset.ingestion.tasks import Limits

_SAMPLE_BYTES = 512 * 1024
_BLOCK_BYTES = 4 * 1024 * 1024  # a row must fit into it


def read(text: Text, limits: Limits) -> Reading:
    """Reads a CSV file.

    A missing value is an empty cell or one of MISSING_TOKENS, without quotes; in a file that quotes every cell,
    quotes make no difference.

    Raises:
        Fault: nothing is in it, or too many columns; while batches are read: a row has more or fewer cells than the
            header.
    """
    sample = text.start(_SAMPLE_BYTES)
    if not sample.strip():
        raise Fault(Reason.EMPTY, "The file is empty: it should have a header and at least one row.")
    dialect = detect(sample, whole=len(sample.encode()) + text.offset >= text.path.stat().st_size)
    check_number(dialect.columns, limits)
    reading = Reading("csv", iter(()), decimal_comma=dialect.delimiter != ",")
    if text.note:
        reading.notes.append(text.note)
    if dialect.header is None:
        reading.notes.append("The first line looks like data, so the columns were named column_1, column_2 and so on.")
        reading.names = [f"column_{position + 1}" for position in range(dialect.columns)]
    else:
        reading.unnamed = {position for position, name in enumerate(dialect.header) if not name.strip()}
        reading.names = settled(dialect.header, reading.notes)
    reading.text_only = set(dialect.quoted_columns)
    reading.batches = _batches(text, dialect)
    return reading


def _batches(text: Text, dialect: Dialect) -> Iterator[pa.RecordBatch]:
    ragged: list[Any] = []

    def refuse(row: Any) -> str:
        ragged.append(row)
        return "error"

    names = internals(dialect.columns)
    with _open(text, dialect) as file:
        try:
            reader = pyarrow.csv.open_csv(
                file,
                pyarrow.csv.ReadOptions(
                    use_threads=False,  # rows are numbered only so
                    block_size=_BLOCK_BYTES,
                    column_names=names,
                    skip_rows_after_names=0 if dialect.header is None else 1,
                ),
                pyarrow.csv.ParseOptions(
                    delimiter=dialect.delimiter,
                    escape_char=dialect.escape or False,
                    double_quote=True,
                    newlines_in_values=True,
                    ignore_empty_lines=True,
                    invalid_row_handler=refuse,
                ),
                pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    null_values=["", *MISSING_TOKENS],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=dialect.quotes_all,
                ),
            )
            last: pa.RecordBatch | None = None
            for batch in reader:
                last = batch if batch.num_rows else last
                rows = batch_rows(batch.num_columns)
                for start in range(0, batch.num_rows, rows):
                    yield _trimmed(batch.slice(start, rows), dialect)
            if last is not None:
                _refuse_open_quote(text, last)
        except pa.ArrowInvalid as error:
            raise _explained(text, dialect, ragged, error) from None


def _refuse_open_quote(text: Text, last: pa.RecordBatch) -> None:
    """A quote in the last column that is never closed makes one cell of all that follows it."""
    cell = last[-1][last.num_rows - 1].as_py() or ""
    if "\n" not in cell:
        return
    with text.open() as file:
        file.seek(max(text.offset, text.path.stat().st_size - 1024))
        if not file.read().rstrip(b"\r\n").endswith(b'"'):
            raise unreadable(
                f"The last cell goes on for {cell.count(chr(10)) + 1:,} lines to the end of the file: "
                "probably a quote is opened there and never closed."
            )


def _trimmed(batch: pa.RecordBatch, dialect: Dialect) -> pa.RecordBatch:
    if not dialect.skip_space:
        return batch
    columns = []
    for column in batch.columns:
        trimmed = pc.utf8_ltrim(column, characters=" ")
        missing = pc.is_in(trimmed, value_set=pa.array(["", *MISSING_TOKENS]))
        columns.append(pc.if_else(missing, None, trimmed))
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _open(text: Text, dialect: Dialect) -> BinaryIO:
    file = text.open()
    file.seek(text.offset + dialect.preamble)  # a preamble is ASCII
    return file


def _explained(text: Text, dialect: Dialect, ragged: list[Any], error: Exception) -> Fault:
    if ragged:
        row = ragged[0]
        line = _line_of(text, dialect, row.number)
        expected = f"the header has {row.expected_columns}"
        if dialect.header is None:
            expected = f"the first has {row.expected_columns}"
        cells = f"{row.actual_columns} cell{'s' if row.actual_columns != 1 else ''}"
        lines = row.text.count("\n") + 1
        if lines > 2:
            return unreadable(
                f"The row that begins in line {line:,} goes on for {lines:,} lines and has {cells} where {expected}: "
                "probably a quote is opened there and never closed."
            )
        return unreadable(
            f"Line {line:,} has {cells} where {expected}. Every row must have as many; a cell that contains "
            "the delimiter must be in quotes."
        )
    if "straddling" in str(error):
        return unreadable(
            f"A row is longer than {_BLOCK_BYTES / 1e6:.0f} MB: probably a quote is opened and never closed."
        )
    return unreadable("The file can't be read as CSV: it should have a header and rows of as many cells.")


def _line_of(text: Text, dialect: Dialect, number: int) -> int:
    """The line in which a row begins, counted from 1; rows may go over several lines, and empty lines are none."""
    csv.field_size_limit(sys.maxsize)
    line = 1
    with _open(text, dialect) as file, io.TextIOWrapper(file, encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines, delimiter=dialect.delimiter, escapechar=dialect.escape)
        for row in reader:
            if row:
                number -= 1
                if number == 0:
                    break
            line = reader.line_num + 1
    return line + (1 if dialect.preamble else 0)
