"""Excel workbooks (.xlsx): the first visible sheet that holds anything."""

import datetime as dt
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import python_calamine
from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from servicekit.column_types import ColumnType
from servicekit.tabular import xlsx as written
from services.dataset.ingestion.faults import Fault, Reason, named, unreadable
from services.dataset.ingestion.names import check_number, settled
from services.dataset.ingestion.reading import Reading, batch_rows, internals
from services.dataset.ingestion.tasks import Limits
from services.dataset.ingestion.unpack import allowed_size, too_large

_WORKBOOK = "xl/workbook.xml"
_PROPERTIES = "docProps/custom.xml"
_MOST_PROPERTIES_BYTES = 1_000_000
_DECLARED = {
    written.INTEGER: ColumnType.INTEGER,
    written.FLOAT: ColumnType.FLOAT,
    written.BOOLEAN: ColumnType.BOOLEAN,
    written.DATE: ColumnType.DATE,
    written.DATETIME: ColumnType.DATETIME,
}

Cell = Any
"""What calamine gives: a number, a string, a boolean, a date or a time; an empty string where there is nothing."""


def read(source: Path, limits: Limits) -> Reading:
    """Reads a workbook. The sheet's first row that isn't empty is the header; empty rows are left out.

    Numbers, booleans, dates and times are what their cells are; text stays text though it may look like a number.

    Raises:
        Fault: it is no workbook, damaged, too large unpacked, or has no sheet with rows.
    """
    declared = _inspect(source, limits)
    reading = Reading("xlsx", iter(()))
    try:
        workbook = CalamineWorkbook.from_path(source)
        rows = _rows(workbook, reading.notes)
    except python_calamine.CalamineError as error:
        raise unreadable("The workbook is damaged: open it in Excel or LibreOffice and save it again.") from error
    header = next(rows, None)
    if header is None:
        raise Fault(Reason.EMPTY, "No sheet of the workbook holds anything: one should have a header and rows.")
    width = max((position for position, cell in enumerate(header, start=1) if cell != ""), default=0)
    check_number(width, limits)
    names = [_text(cell) or "" for cell in header[:width]]
    reading.unnamed = {position for position, name in enumerate(names) if not name.strip()}
    reading.names = settled(names, reading.notes)
    if len(declared) == width:
        reading.declared = {
            position: _DECLARED[letter] for position, letter in enumerate(declared) if letter in _DECLARED
        }
    reading.batches = _batches(rows, width, reading)
    return reading


def _inspect(source: Path, limits: Limits) -> str:
    """Checks the archive before anything of it is unpacked; returns the types that Mirage noted, a letter a column."""
    try:
        with zipfile.ZipFile(source) as archive:
            if _WORKBOOK not in archive.namelist():
                raise Fault(
                    Reason.UNSUPPORTED,
                    "The file is a zip archive but no Excel workbook: unpack it and upload the table that is in it.",
                )
            most = allowed_size(source, limits)
            if sum(entry.file_size for entry in archive.infolist()) > most:
                raise too_large(most)
            if _PROPERTIES not in archive.namelist() or archive.getinfo(_PROPERTIES).file_size > _MOST_PROPERTIES_BYTES:
                return ""
            properties = archive.read(_PROPERTIES).decode("utf-8", errors="replace")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise unreadable("The workbook is damaged or encrypted: save it again without a password.") from error
    pattern = rf'name="{re.escape(written.TYPES_PROPERTY)}\.(\d+)"\s*>\s*<vt:lpwstr>([a-z]+)</vt:lpwstr>'
    return "".join(letters for _, letters in sorted(re.findall(pattern, properties), key=lambda found: int(found[0])))


def _rows(workbook: CalamineWorkbook, notes: list[str]) -> Iterator[list[Cell]]:
    """The rows of the first sheet that has any, without empty ones."""
    sheets = [
        sheet.name
        for sheet in workbook.sheets_metadata
        if sheet.typ is SheetTypeEnum.WorkSheet and sheet.visible is SheetVisibleEnum.Visible
    ]
    for position, name in enumerate(sheets):
        sheet = workbook.get_sheet_by_name(name)
        if sheet.height:
            if sheets[position + 1 :]:
                notes.append(f"Only the sheet {named([name])} was read, not {named(sheets[position + 1 :])}.")
            return (row for row in sheet.iter_rows() if any(cell != "" for cell in row))
    return iter(())


def _batches(rows: Iterator[list[Cell]], width: int, reading: Reading) -> Iterator[pa.RecordBatch]:
    kinds: list[set[type]] = [set() for _ in range(width)]
    names = internals(width)
    pending: list[list[Cell]] = []
    number = 1
    for number, row in enumerate(rows, start=2):
        if any(cell != "" for cell in row[width:]):
            raise unreadable(
                f"Row {number:,} of the table (empty rows not counted) has a cell beyond the {width} columns "
                "of the header: give that column a name."
            )
        pending.append(row[:width] + [""] * (width - len(row)))
        if len(pending) >= batch_rows(width):
            yield _batch(pending, names, kinds)
            pending = []
    if pending:
        yield _batch(pending, names, kinds)
    reading.text_only = {position for position, found in enumerate(kinds) if found == {str}}


def _batch(rows: list[list[Cell]], names: list[str], kinds: list[set[type]]) -> pa.RecordBatch:
    columns = []
    for position, cells in enumerate(zip(*rows, strict=True)):
        kinds[position].update(type(cell) for cell in cells if cell != "")
        columns.append(pa.array([_text(cell) for cell in cells], pa.string()))
    return pa.RecordBatch.from_arrays(columns, names)


def _text(cell: Cell) -> str | None:
    match cell:
        case "":
            return None
        case str():
            return cell
        case bool():
            return "true" if cell else "false"
        case float():
            # A cell is always a double: 5 and 5.0 are the same to Excel.
            return str(int(cell)) if cell.is_integer() and abs(cell) <= 2**53 else repr(cell)
        case dt.datetime() | dt.date() | dt.time():
            return cell.isoformat()
    return str(cell)
