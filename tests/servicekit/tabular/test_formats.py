"""Tables as files, read back with other programs' readers than those that wrote them."""

import csv
import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from servicekit import tabular
from servicekit.tabular import xlsx

_NOON = dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.UTC)
_NEW_YEAR = dt.datetime(2024, 1, 1, 0, 0, 0, 5, tzinfo=dt.UTC)

TABLE = pa.table(
    {
        "whole": pa.array([1, None, -(2**62)], pa.int64()),
        "small": pa.array([0, 7, None], pa.int8()),
        "number": pa.array([1.0, 0.1, None], pa.float64()),
        "flag": pa.array([True, None, False]),
        "day": pa.array([dt.date(2024, 2, 29), dt.date(1850, 1, 1), None]),
        "moment": pa.array([_NOON, None, _NEW_YEAR], pa.timestamp("us")),
        "zoned": pa.array(
            [dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC), None, None], pa.timestamp("us", "Europe/Berlin")
        ),
        "text": pa.array(['say "hi", please\nnow', "Zürich \\ 日本", None]),
        "code": pa.array(["007", "NA", ""]),
        'a "name", with comma': pa.array(["x", "y", "z"]),
    }
)


@pytest.fixture
def table_path(tmp_path: Path) -> Path:
    """The table as a Parquet file of several row groups."""
    path = tmp_path / "table.parquet"
    pq.write_table(TABLE, path, row_group_size=2)
    return path


def _content(path: Path, table_format: str) -> bytes:
    return b"".join(tabular.stream_table(path, table_format))


def test_csv_keeps_every_cell(table_path: Path) -> None:
    """CSV quotes what needs it, writes missing values as nothing, and spells values so that they read back exactly."""
    rows = list(csv.reader(io.StringIO(_content(table_path, "csv").decode(), newline="")))
    assert rows[0] == TABLE.column_names
    assert rows[1] == [
        "1", "0", "1.0", "true", "2024-02-29", "2024-02-29T12:30:00", "2024-07-01T12:00:00Z",
        'say "hi", please\nnow', "007", "x",
    ]  # fmt: skip
    assert rows[2] == ["", "7", "0.1", "", "1850-01-01", "", "", "Zürich \\ 日本", "NA", "y"]
    assert rows[3] == [str(-(2**62)), "", "", "false", "", "2024-01-01T00:00:00.000005", "", "", "", "z"]


def test_csv_tells_text_from_what_looks_like_it(table_path: Path) -> None:
    """A string that looks like a number, or like a missing value, is quoted; a missing value isn't."""
    pq.write_table(pa.table({"a": ["12", "NA", "", None, "word", "1e5"], "b": [1, 2, 3, 4, 5, 6]}), table_path)
    assert _content(table_path, "csv").decode().splitlines()[1:] == [
        '"12",1',
        '"NA",2',
        '"",3',
        ",4",
        "word,5",
        '"1e5",6',
    ]


def test_csv_of_one_column_has_no_empty_line(table_path: Path) -> None:
    """The missing values of a table's only column don't make lines that readers skip."""
    pq.write_table(pa.table({"a": [1, None, 3]}), table_path)
    frame = pd.read_csv(io.BytesIO(_content(table_path, "csv")), dtype="Int64")
    assert frame["a"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize("table_format", ["json", "jsonl"])
def test_json_keeps_every_cell(table_path: Path, table_format: str) -> None:
    """JSON has real numbers, booleans and nulls, big integers exactly, and every string as it was."""
    content = _content(table_path, table_format).decode()
    rows = json.loads(content) if table_format == "json" else [json.loads(line) for line in content.splitlines()]
    expected = TABLE.set_column(4, "day", TABLE["day"].cast(pa.string()))
    for row, original in zip(rows, expected.to_pylist(), strict=True):
        assert list(row) == TABLE.column_names
        for name in ("whole", "small", "number", "flag", "day", "text", "code"):
            assert row[name] == original[name], name
    assert (rows[0]["moment"], rows[0]["zoned"]) == ("2024-02-29T12:30:00", "2024-07-01T12:00:00Z")
    assert '"number":1.0' in content


def test_json_escapes_control_characters(table_path: Path) -> None:
    """Whatever a string holds, the JSON is valid."""
    texts = ["".join(map(chr, range(0x21))), "\x7f\u2028", '\\"']
    pq.write_table(pa.table({"a": texts}), table_path)
    assert [row["a"] for row in json.loads(_content(table_path, "json"))] == texts


def test_json_of_no_rows(table_path: Path) -> None:
    """A table without rows is an empty array."""
    pq.write_table(TABLE.slice(0, 0), table_path)
    assert json.loads(_content(table_path, "json")) == []


def test_infinity_survives_json(table_path: Path) -> None:
    """Infinity reads back as infinity although JSON has no such number."""
    pq.write_table(pa.table({"a": [float("inf"), float("-inf")]}), table_path)
    assert json.loads(_content(table_path, "json")) == [{"a": float("inf")}, {"a": float("-inf")}]


def test_parquet_is_the_file_itself(table_path: Path) -> None:
    """Parquet goes out as it is kept, byte for byte."""
    assert _content(table_path, "parquet") == table_path.read_bytes()


def test_parquet_of_batches(tmp_path: Path) -> None:
    """Rows that are made one batch after another become one Parquet file."""
    pieces = tabular.stream_batches(TABLE.schema, TABLE.to_batches(max_chunksize=1), "parquet")
    assert pq.read_table(io.BytesIO(b"".join(pieces))).equals(TABLE)


def test_workbook_has_real_cells(table_path: Path) -> None:
    """A workbook holds numbers, booleans and dates as such; what a cell can't hold is text, exactly."""
    sheet = openpyxl.load_workbook(io.BytesIO(_content(table_path, "xlsx"))).active
    assert sheet is not None
    rows: list[tuple[Any, ...]] = list(sheet.iter_rows(values_only=True))
    assert list(rows[0]) == TABLE.column_names
    day = dt.datetime(2024, 2, 29)  # noqa: DTZ001 - a cell has no zone
    assert rows[1][:7] == (1, 0, 1, True, day, day.replace(hour=12, minute=30), "2024-07-01T12:00:00Z")
    assert rows[2][4] == "1850-01-01"
    assert rows[3][0] == str(-(2**62))
    assert rows[3][5] == "2024-01-01T00:00:00.000005"
    assert [row[8] for row in rows[1:3]] == ["007", "NA"]


def test_workbook_notes_its_types(table_path: Path) -> None:
    """The columns' types stand in the workbook's custom properties."""
    workbook = openpyxl.load_workbook(io.BytesIO(_content(table_path, "xlsx")))
    assert workbook.custom_doc_props[f"{xlsx.TYPES_PROPERTY}.0"].value == "iifbdttxxx"


def test_text_too_long_for_a_cell_is_refused(table_path: Path) -> None:
    """Nothing is cut: a table that a workbook can't hold is refused, naming column and limit."""
    pq.write_table(pa.table({"essay": ["x" * (xlsx.MAX_CELL_LENGTH + 1)]}), table_path)
    with pytest.raises(tabular.TableTooLarge, match=r"'essay'.*32,767"):
        tabular.ensure_fits(table_path, "xlsx")
    tabular.ensure_fits(table_path, "csv")


@pytest.mark.parametrize("table_format", list(tabular.FORMATS))
def test_same_table_same_file(table_path: Path, table_format: str) -> None:
    """The same table makes the same bytes."""
    assert _content(table_path, table_format) == _content(table_path, table_format)
    assert tabular.content_type(table_format)
    assert tabular.file_extension(table_format) == table_format
