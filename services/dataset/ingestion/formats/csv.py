"""CSV with any usual delimiter, quoting and line ends, read as text cell by cell."""

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

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
_MOST_NAMED = 10  # rows that are wrong
_ORDINARY_LINES = 2  # a wrong row of more is one in which a quote was opened


def read(text: Text, limits: Limits) -> Reading:
    """Reads a CSV file.

    A missing value is an empty cell or one of MISSING_TOKENS, without quotes; in a file that quotes every cell,
    quotes make no difference.

    Raises:
        Fault: nothing is in it, or a header alone, or too many columns; while batches are read: rows have more or fewer
            cells than the header, the first ten of which are named.
    """
    sample = text.start(_SAMPLE_BYTES)
    if not sample.strip():
        raise Fault(Reason.EMPTY, "The file is empty: it should have a header and at least one row.")
    dialect = detect(sample, whole=len(sample.encode()) + text.offset >= text.path.stat().st_size)
    if dialect.header_alone:
        raise _header_alone(sample, dialect.preamble)
    check_number(dialect.columns, limits)
    reading = Reading("csv", iter(()), known_ahead=True, decimal_comma=dialect.delimiter != ",")
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
    ragged: list[_Ragged] = []

    def note(row: Any) -> str:
        opened = row.text.count("\n") + 1
        ragged.append(_Ragged(row.number, row.actual_columns, row.expected_columns, opened))
        return "skip" if len(ragged) < _MOST_NAMED and opened <= _ORDINARY_LINES else "error"

    read = 0
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
                    invalid_row_handler=note,
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
                read += batch.num_rows
                if ragged:  # the rest is read only to name what else is wrong
                    continue
                last = batch if batch.num_rows else last
                rows = batch_rows(batch.num_columns)
                for start in range(0, batch.num_rows, rows):
                    yield _trimmed(batch.slice(start, rows), dialect)
        except pa.ArrowInvalid as error:
            raise _explained(text, dialect, ragged, read, error) from None
        if ragged:
            raise _uneven(text, dialect, ragged)
        if last is not None:
            _refuse_open_quote(text, last)


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


def _header_alone(sample: str, preamble: int) -> Fault:
    try:
        json.loads(sample)
    except ValueError:
        line = 2 if preamble else 1
        return Fault(
            Reason.EMPTY,
            f"The file ends after its header, which is line {line}: there should be at least one row below it.",
        )
    return unreadable("Line 1 is a single JSON value, and no table: it should be an array of objects, or objects.")


def _explained(text: Text, dialect: Dialect, ragged: "list[_Ragged]", read: int, error: Exception) -> Fault:
    if ragged:
        return _uneven(text, dialect, ragged)
    if "straddling" in str(error):
        [line] = _lines_of(text, dialect, [read + (1 if dialect.header is None else 2)]) or [1]
        return unreadable(
            f"The row that begins in line {line:,}, or one of those after it, is longer than "
            f"{_BLOCK_BYTES / 1e6:.0f} MB: probably a quote is opened and never closed."
        )
    return unreadable("The file can't be read as CSV: it should have a header and rows of as many cells.")


def _uneven(text: Text, dialect: Dialect, ragged: "list[_Ragged]") -> Fault:
    """Rows that have more or fewer cells than the header, or than the first row where there is none."""
    lines = _lines_of(text, dialect, [row.number for row in ragged])
    first, expected = ragged[0], f"the header has {ragged[0].expected}"
    if dialect.header is None:
        expected = f"the first has {first.expected}"
    if first.lines > _ORDINARY_LINES:
        return unreadable(
            f"The row that begins in line {lines[0]:,} goes on for {first.lines:,} lines and has {first.cells} where "
            f"{expected}: probably a quote is opened there and never closed."
        )
    told = [f"line {line:,} has {row.cells}" for line, row in zip(lines, ragged, strict=True)]
    more = " (and perhaps more lines)" if len(ragged) == _MOST_NAMED else ""
    found = ", ".join(told)
    return unreadable(
        f"{found[0].upper()}{found[1:]} where {expected}{more}. Every row must have as many; a cell that contains "
        "the delimiter must be in quotes."
    )


class _Ragged(NamedTuple):
    """A row that has more or fewer cells than it should."""

    number: int  # of the row, from 1, the header counted
    actual: int
    expected: int
    lines: int  # over which it goes

    @property
    def cells(self) -> str:
        """How many it has, in words."""
        return f"{self.actual} cell{'s' if self.actual != 1 else ''}"


def _lines_of(text: Text, dialect: Dialect, numbers: Sequence[int]) -> list[int]:
    """The lines in which rows begin, all counted from 1; rows may go over several lines, and empty lines are none."""
    csv.field_size_limit(sys.maxsize)
    found: list[int] = []
    count, line = 0, 1
    with _open(text, dialect) as file, io.TextIOWrapper(file, encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines, delimiter=dialect.delimiter, escapechar=dialect.escape)
        for row in reader:
            if row:
                count += 1
                if count == numbers[len(found)]:
                    found.append(line + (1 if dialect.preamble else 0))
                    if len(found) == len(numbers):
                        break
            line = reader.line_num + 1
    return found + [line] * (len(numbers) - len(found))
