"""Whatever people's files are like, their tables come in whole, and go out whole in every format."""

import csv
import io
import json
from datetime import date, datetime
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest
from openpyxl.utils.escape import unescape

from servicekit import tabular
from servicekit.tabular.text import as_text
from tests.dataset.files.accepted import ACCEPTED, Accepted
from tests.dataset.service.platform import Client, form

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _case(file: Accepted) -> Any:
    return pytest.param(file, id=file.name, marks=[pytest.mark.slow] if len(file.types) > 1000 else [])


@pytest.mark.parametrize("file", [_case(file) for file in ACCEPTED])
async def test_accepted(user: Client, file: Accepted) -> None:
    """Types are right, no value is lost, what was assumed is told, and every export holds the same table."""
    dataset = await user.upload_form(form([("file", file.content(), file.file_name)]), pieces=65_536)
    assert dataset.source_format == file.source_format
    assert {column.name: column.type for column in dataset.columns} == file.types
    profile = await user.profile(dataset.dataset_id)
    told = [*dataset.warnings, *profile.warnings]
    for warning in file.warnings:
        assert any(warning in text for text in told), told
    exports = {name: (await user.export(dataset.dataset_id, name))[0] for name in tabular.FORMATS}
    table = pq.read_table(io.BytesIO(exports["parquet"]))
    assert table.column_names == list(file.values)
    for name, values in file.values.items():
        assert table[name].to_pylist() == list(values), name
    texts = [as_text(column.combine_chunks()).to_pylist() for column in table.columns]
    header, *rows = csv.reader(io.StringIO(exports["csv"].decode(), newline=""))
    assert header == table.column_names
    missing = {None: "NA" if table.num_columns == 1 else ""}
    assert rows == [[missing.get(cell, cell) for cell in row] for row in zip(*texts, strict=True)]
    written = [{name: _in_json(cell) for name, cell in row.items()} for row in table.to_pylist()]
    assert json.loads(exports["json"]) == written
    assert [json.loads(line) for line in exports["jsonl"].splitlines()] == written
    assert _cells(exports["xlsx"]) == [
        table.column_names,
        *([_in_sheet(cell) for cell in row.values()] for row in table.to_pylist()),
    ]


def _in_json(cell: Any) -> Any:
    return cell.isoformat() if isinstance(cell, date) else cell


def _cells(workbook: bytes) -> list[list[Any]]:
    rows = openpyxl.load_workbook(io.BytesIO(workbook), read_only=True).worksheets[0].iter_rows(values_only=True)
    return [[unescape(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]


def _in_sheet(cell: Any) -> Any:
    """What a cell of a sheet holds: what it has no type for stands there as text."""
    match cell:
        case datetime() if cell.year >= 1901 and cell.microsecond % 1000 == 0:
            return cell
        case datetime():
            return cell.isoformat()
        case date():
            return datetime(cell.year, cell.month, cell.day) if cell.year >= 1901 else cell.isoformat()  # noqa: DTZ001
        case int() if abs(cell) > 2**53:
            return str(cell)
    return cell
