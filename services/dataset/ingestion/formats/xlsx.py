"""Excel workbooks (.xlsx): the first visible sheet that holds anything."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import python_calamine
from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from servicekit.column_types import ColumnType
from servicekit.tabular import xlsx as written
from services.dataset.ingestion.faults import Fault, Reason, named, unreadable
from services.dataset.ingestion.formats.archive import inspect
from services.dataset.ingestion.names import check_number, settled
from services.dataset.ingestion.reading import Reading, batch_rows, internals
from services.dataset.ingestion.tasks import Limits

_MOST_NAMED = 10  # rows that are wrong
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

    A sheet is in memory as a whole while it is read, so one that would take more than it may is refused beforehand.

    Numbers, booleans, dates and times are what their cells are; text stays text though it may look like a number.

    Raises:
        Fault: it is no workbook, damaged, too large unpacked or in memory, or has no sheet with rows; while batches are
            read: rows have cells beyond the header, the first ten of which are named.
    """
    declared = inspect(source, limits)
    reading = Reading("xlsx", iter(()))
    try:
        workbook = CalamineWorkbook.from_path(source)
        rows = _rows(workbook, reading.notes)
    except python_calamine.CalamineError as error:
        raise unreadable("The workbook is damaged: open it in Excel or LibreOffice and save it again.") from error
    _, header = next(rows, (0, None))
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


def _rows(workbook: CalamineWorkbook, notes: list[str]) -> Iterator[tuple[int, list[Cell]]]:
    """The rows of the first sheet that has any, without empty ones, and their numbers in the sheet."""
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
            rows = enumerate(sheet.iter_rows(), start=1)
            return ((number, row) for number, row in rows if any(cell != "" for cell in row))
    return iter(())


def _batches(rows: Iterator[tuple[int, list[Cell]]], width: int, reading: Reading) -> Iterator[pa.RecordBatch]:
    kinds: list[set[type]] = [set() for _ in range(width)]
    names = internals(width)
    pending: list[list[Cell]] = []
    beyond: list[str] = []
    for number, row in rows:
        if any(cell != "" for cell in row[width:]):
            beyond.append(f"{number:,}")
        if len(beyond) == _MOST_NAMED:
            break
        pending.append(row[:width] + [""] * (width - len(row)))
        if len(pending) >= batch_rows(width):
            yield _batch(pending, names, kinds)
            pending = []
    if beyond:
        these = (
            f"Row {beyond[0]} of the sheet has" if len(beyond) == 1 else f"Rows {', '.join(beyond)} of the sheet have"
        )
        more = " (and perhaps more)" if len(beyond) == _MOST_NAMED else ""
        raise unreadable(f"{these} cells beyond the {width} columns of the header{more}: give those columns a name.")
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
