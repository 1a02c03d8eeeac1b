"""Tables as Excel workbooks: one sheet, a header, real numbers, dates and booleans.

What a cell of Excel can't hold is written as text, exactly: integers beyond 2^53 and infinity, dates before 1900, times
finer than a millisecond, times with a zone. An empty string is a cell that readers take for an empty one. The columns'
types are noted in the workbook's custom properties, since a cell can't tell 1.0 from 1 nor a midnight from a date;
whoever reads the workbook back finds them there.
"""

import datetime as dt
import math
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from servicekit.tabular.text import as_text

MAX_ROWS = 1_048_575
"""Rows that a sheet holds below its header."""
MAX_COLUMNS = 16_384
MAX_CELL_LENGTH = 32_767
TYPES_PROPERTY = "mirage.types"
"""The custom properties `mirage.types.0`, `.1`, … hold a letter for each column, 200 columns in each."""
TYPES_PER_PROPERTY = 200
INTEGER, FLOAT, BOOLEAN, DATE, DATETIME, TEXT = "ifbdtx"
_CHUNK_BYTES = 256 * 1024
_FIRST_DAY = dt.date(1900, 3, 1)  # before it Excel counts a day that never was
_LARGEST_EXACT = 2**53


def stream(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """The file in pieces, once all of it is written to a temporary file: a workbook's index is at its end."""
    with tempfile.TemporaryDirectory(prefix="mirage-xlsx-") as directory:
        path = Path(directory) / "table.xlsx"
        _write(path, schema, batches)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk


def type_letter(kind: pa.DataType) -> str:
    """How a column's type is noted in the workbook."""
    if pa.types.is_integer(kind):
        return INTEGER
    if pa.types.is_floating(kind):
        return FLOAT
    if pa.types.is_boolean(kind):
        return BOOLEAN
    if pa.types.is_date(kind):
        return DATE
    return DATETIME if pa.types.is_timestamp(kind) else TEXT


def _write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    options = {
        "constant_memory": True,
        "tmpdir": str(path.parent),
        "strings_to_formulas": False,
        "strings_to_numbers": False,
        "strings_to_urls": False,
    }
    with xlsxwriter.Workbook(str(path), options) as workbook:
        letters = "".join(type_letter(field.type) for field in schema)
        for start in range(0, len(letters), TYPES_PER_PROPERTY):
            name = f"{TYPES_PROPERTY}.{start // TYPES_PER_PROPERTY}"
            workbook.set_custom_property(name, letters[start : start + TYPES_PER_PROPERTY], "text")
        # A fixed date, so that the same table is the same file.
        workbook.set_properties({"created": dt.datetime(2000, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None)})
        formats = {
            DATE: workbook.add_format({"num_format": "yyyy-mm-dd"}),
            DATETIME: workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}),
        }
        sheet = workbook.add_worksheet("data")
        for number, name in enumerate(schema.names):
            sheet.write_string(0, number, name)
        sheet.freeze_panes(1, 0)
        row = 1
        for batch in batches:
            columns = [_cells(column) for column in batch.columns]
            for cells in zip(*columns, strict=True):
                _write_row(sheet, row, cells, formats)
                row += 1


def _cells(values: pa.Array) -> list[Any]:
    """A column's cells: Python values that a sheet holds exactly, text for all others, None for missing ones."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _cells(values.dictionary_decode())
    letter = type_letter(kind)
    if letter == TEXT:
        return list(as_text(values).to_pylist())
    if letter == DATETIME and (kind.tz is not None or kind.unit == "ns"):
        values = as_text(values) if kind.tz is not None else _without_nanoseconds(values)
    cells = values.to_pylist()
    if all(cell is None or _fits(cell) for cell in cells):
        return list(cells)
    texts = as_text(values).to_pylist()
    return [cell if cell is None or _fits(cell) else text for cell, text in zip(cells, texts, strict=True)]


def _without_nanoseconds(values: pa.Array) -> pa.Array:
    try:
        return values.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:  # some are finer than a microsecond, which Python has no type for
        return as_text(values)


def _fits(cell: Any) -> bool:
    match cell:
        case bool() | str():
            return True
        case int():
            return abs(cell) <= _LARGEST_EXACT
        case float():
            return math.isfinite(cell)
        case dt.datetime():
            return cell.date() >= _FIRST_DAY and cell.microsecond % 1000 == 0
        case dt.date():
            return cell >= _FIRST_DAY
    return False


class _Exact(float):
    """A number that is written with all its digits: the library formats with 16, but some doubles need 17."""

    def __format__(self, _specification: str) -> str:
        return repr(float(self))


def _write_row(sheet: Worksheet, row: int, cells: tuple[Any, ...], formats: dict[str, Format]) -> None:
    for column, cell in enumerate(cells):
        match cell:
            case None:
                continue
            case bool():
                sheet.write_boolean(row, column, cell)
            case float():
                sheet.write_number(row, column, _Exact(cell))
            case int():
                sheet.write_number(row, column, cell)
            case dt.datetime():
                sheet.write_datetime(row, column, cell, formats[DATETIME])
            case dt.date():
                sheet.write_datetime(row, column, cell, formats[DATE])
            case _:
                sheet.write_string(row, column, cell)
