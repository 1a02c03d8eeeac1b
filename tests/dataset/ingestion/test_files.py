"""Workbooks and Parquet files, and tables that go out in every format and come in again."""

import datetime as dt
import gzip
import io
import zipfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from servicekit import tabular
from servicekit.column_types import ColumnType
from services.dataset.ingestion.faults import Fault, Reason
from services.dataset.ingestion.tasks import Limits
from tests.dataset.ingestion.conftest import Ingest

FLIGHTS = Path(__file__).resolve().parents[3] / "demo" / "flights.csv"
_NOON = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)
_CLOCK = _NOON.replace(tzinfo=None)


def _workbook(*sheets: Sequence[Sequence[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"sheet {number}")
        for row in rows:
            sheet.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _parquet(table: pa.Table) -> bytes:
    content = io.BytesIO()
    pq.write_table(table, content)
    return content.getvalue()


def test_a_workbook(read: Ingest) -> None:
    """The first sheet with anything in it is read; cells are what Excel says they are."""
    rows: list[list[object]] = [
        ["whole", "number", "flag", "day", "moment", "code", "mixed"],
        [1, 1.5, True, dt.date(2024, 2, 29), _CLOCK, "007", 1],
        [None, None, None, None, None, None, None],
        [3, 2, False, None, dt.datetime(2024, 1, 1, 0, 0, 1, tzinfo=dt.UTC).replace(tzinfo=None), "12", "NA"],
    ]
    found = read(_workbook([], rows, [["other"]]))
    assert found.outcome.source_format == "xlsx"
    assert found.types["code"] == "categorical"
    assert found.table.to_pydict() == {
        "whole": [1, 3],
        "number": [1.5, 2.0],
        "flag": [True, False],
        "day": [dt.date(2024, 2, 29), None],
        "moment": [_CLOCK, dt.datetime(2024, 1, 1, 0, 0, 1, tzinfo=dt.UTC).replace(tzinfo=None)],
        "code": ["007", "12"],
        "mixed": [1, None],
    }
    assert any("Only the sheet “sheet 1” was read, not “sheet 2”" in note for note in found.outcome.notes)


def test_cells_beyond_the_header(read: Ingest) -> None:
    """Cells without a column's name above them are told by their rows in the sheet, the first ten of them."""
    with pytest.raises(Fault, match=r"Row 4 of the sheet has cells beyond the 2 columns"):
        read(_workbook([["a", "b"], [1, 2], [], [1, 2, 3]]))
    with pytest.raises(Fault, match=r"Rows 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 of the sheet have .* \(and perhaps more\)"):
        read(_workbook([["a", "b"], *[[1, 2, 3]] * 12]))


def test_damaged_and_other_archives(read: Ingest) -> None:
    """A cut-off workbook is unreadable; an archive of other things is no workbook."""
    whole = _workbook([["a"], [1]])
    with pytest.raises(Fault) as fault:
        read(whole[: len(whole) // 2])
    assert fault.value.reason is Reason.UNREADABLE
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("table.csv", "a,b\n1,2\n")
    with pytest.raises(Fault) as fault:
        read(content.getvalue())
    assert fault.value.reason is Reason.UNSUPPORTED


def test_a_workbook_that_unpacks_too_large(read: Ingest) -> None:
    """An archive is judged by what it says it unpacks to, before anything of it is unpacked."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", bytes(20_000_000))
    with pytest.raises(Fault) as fault:
        read(content.getvalue(), Limits(max_unpacked_bytes=10 * 2**20))
    assert fault.value.reason is Reason.UNPACKS_TOO_LARGE
    assert "larger than the 10 MB allowed to any packed file (MAX_UNPACKED_SIZE_MB)" in fault.value.message


def test_where_a_packed_files_limit_comes_from(read: Ingest) -> None:
    """A file that grows too much is told by how much it may, of how many bytes."""
    packed = gzip.compress(b"a,b\n" + b"0,0\n" * 7_000_000)
    with pytest.raises(Fault) as fault:
        read(packed, Limits(max_unpack_ratio=500))
    megabytes = len(packed) * 500 / 2**20
    assert fault.value.message == (
        f"Unpacked, the file is larger than the {megabytes:,.0f} MB allowed to it: a packed file may grow to 500 times "
        f"its {len(packed):,} bytes, or to 10 MB if that is more (MAX_UNPACK_RATIO)."
    )


def test_a_workbook_that_takes_too_much_memory(read: Ingest) -> None:
    """A sheet is judged by how many cells it has and how far they reach, before it is read."""
    many = _workbook([["a", "b"], *[[row, row] for row in range(3000)]])
    far = _workbook([["a"], [1]])
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(far)) as before, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            after.writestr(name, before.read(name).replace(b'r="A2"', b'r="XFD1048576"'))
    for workbook, limit in ((many, 500_000), (content.getvalue(), 2 * 1024**3)):
        with pytest.raises(Fault, match=r"takes about [0-9,]+ MB of memory, more than the [0-9,]+ MB allowed") as fault:
            read(workbook, Limits(memory_bytes=limit))
        assert fault.value.reason is Reason.NEEDS_TOO_MUCH_MEMORY
    assert read(many, Limits(memory_bytes=5_000_000)).table.num_rows == 3000


def test_a_workbook_that_lies_about_its_size(read: Ingest) -> None:
    """A part that unpacks to more than the archive says is seen by its checksum."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"<c " * 100_000)
    lying = content.getvalue().replace((300_000).to_bytes(4, "little"), (300).to_bytes(4, "little"))
    with pytest.raises(Fault, match=r"damaged in its part xl/worksheets/sheet1.xml") as fault:
        read(lying)
    assert fault.value.reason is Reason.UNREADABLE


def test_an_empty_workbook(read: Ingest) -> None:
    """A workbook with nothing in any sheet is refused."""
    with pytest.raises(Fault) as fault:
        read(_workbook([]))
    assert fault.value.reason is Reason.EMPTY


def test_parquet_types_are_kept(read: Ingest) -> None:
    """Every type that a table can have stays as it is in the file; the others become the nearest there is."""
    table = pa.table(
        {
            "i8": pa.array([1, None], pa.int8()),
            "u64": pa.array([2**64 - 1, 0], pa.uint64()),
            "f32": pa.array([0.1, float("nan")], pa.float32()),
            "flag": pa.array([True, None]),
            "text": pa.array(["1", "2"]),
            "large": pa.array(["x", None], pa.large_string()),
            "day": pa.array([dt.date(2024, 2, 29), None]),
            "milliseconds": pa.array([_CLOCK, None], pa.timestamp("ms")),
            "nanoseconds": pa.array([1, 2], pa.timestamp("ns")),
            "zoned": pa.array([_NOON, None], pa.timestamp("us", "Europe/Berlin")),
            "fine": pa.array([1_700_000_000_000_000_001, None], pa.timestamp("ns", "UTC")),
            "words": pa.array(["a", "b"]).dictionary_encode(),
            "money": pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)),
            "big": pa.array([Decimal(5), Decimal(7)], pa.decimal128(12, 0)),
            "clock": pa.array([dt.time(12, 30), None]),
            "list": pa.array([[1, 2], None]),
            "nothing": pa.nulls(2),
        }
    )
    found = read(_parquet(table))
    kept = ["i8", "u64", "flag", "text", "day", "milliseconds", "nanoseconds", "zoned", "fine"]
    for name in kept:
        assert found.table.schema.field(name).type == table.schema.field(name).type, name
        assert found.table[name].equals(table[name]), name
    assert found.table.select(["large", "words", "money", "big", "clock", "list", "nothing", "f32"]).to_pydict() == {
        "large": ["x", None],
        "words": ["a", "b"],
        "money": [1.25, None],
        "big": [5, 7],
        "clock": ["12:30:00.000000", None],
        "list": ["[1, 2]", None],
        "nothing": [None, None],
        "f32": [pytest.approx(0.1), None],
    }
    assert found.types["text"] == "categorical"


def test_parquet_types_that_cant_be_had(read: Ingest) -> None:
    """Columns of types that no table can have are refused, all of them named."""
    table = pa.table({"a": [1], "b": pa.array([b"\x00"]), "c": pa.array([dt.timedelta(1)])})
    with pytest.raises(Fault, match=r"b \(binary\).*c \(duration") as fault:
        read(_parquet(table))
    assert fault.value.reason is Reason.UNSUPPORTED


def test_damaged_parquet(read: Ingest) -> None:
    """A cut-off file is unreadable."""
    with pytest.raises(Fault) as fault:
        read(_parquet(pa.table({"a": list(range(1000))}))[:-50])
    assert fault.value.reason is Reason.UNREADABLE


def test_parquet_written_by_pandas(read: Ingest, tmp_path: Path) -> None:
    """What pandas writes, categories and nullable integers included, is read as it was."""
    frame = pd.DataFrame(
        {
            "c": pd.Categorical(["x", "y", "x"]),
            "n": pd.array([1, None, 3], dtype="Int64"),
            "t": pd.to_datetime(["2024-01-01", None, "2024-01-03"]),
        }
    )
    frame.to_parquet(tmp_path / "frame.parquet")
    found = read(tmp_path / "frame.parquet")
    assert found.types == {"c": "categorical", "n": "integer", "t": "datetime"}
    assert found.table["n"].to_pylist() == [1, None, 3]


TRIP = pa.table(
    {
        "whole": pa.array([1, None, -5], pa.int64()),
        "huge": pa.array([2**62 + 1, 2, None], pa.int64()),
        "number": pa.array([1.0, 2.0, None], pa.float64()),
        "flag": pa.array([True, None, False]),
        "day": pa.array([dt.date(2024, 2, 29), None, dt.date(1066, 10, 14)]),
        "moment": pa.array([_CLOCK, None, _NOON.replace(tzinfo=None, year=1896)], pa.timestamp("us")),
        "midnight": pa.array([_NOON.replace(tzinfo=None, hour=0), None, None], pa.timestamp("us")),
        "zoned": pa.array([_NOON, None, _NOON.replace(microsecond=7)], pa.timestamp("us", "UTC")),
        "digits": pa.array(["12", "0", None]),
        "code": pa.array(["007", "010", None]),
        "word": pa.array(["NA", None, 'a "b", c\nd']),
    }
)


@pytest.mark.parametrize("table_format", list(tabular.FORMATS))
def test_round_trips(read: Ingest, tmp_path: Path, table_format: str) -> None:
    """A table that goes out in a format and comes in again is the same, values, types, names, order and gaps."""
    pq.write_table(TRIP, tmp_path / "trip.parquet")
    first = read(tmp_path / "trip.parquet")
    written = tmp_path / "again"
    written.write_bytes(b"".join(tabular.stream_table(first.outcome.table, table_format)))
    again = read(written)
    assert again.outcome.source_format == table_format
    assert again.table.column_names == TRIP.column_names
    for name in TRIP.column_names:
        assert again.table[name].to_pylist() == TRIP[name].to_pylist(), name
        assert again.table.schema.field(name).type == TRIP.schema.field(name).type, name
    assert again.types == first.types


def test_types_set_by_hand_survive_parquet(read: Ingest, tmp_path: Path) -> None:
    """A type set by hand goes along with an exported Parquet file."""
    first = read("a,b\n1,x\n2,y\n3,x\n", required={"a": ColumnType.CATEGORICAL})
    written = tmp_path / "again"
    written.write_bytes(b"".join(tabular.stream_table(first.outcome.table, "parquet")))
    assert read(written).types == {"a": "categorical", "b": "categorical"}


def test_the_demonstration_makes_the_round_trip(read: Ingest, tmp_path: Path) -> None:
    """A real table of mixed types is the same after a round trip through every format."""
    first = read(FLIGHTS)
    for table_format in tabular.FORMATS:
        written = tmp_path / table_format
        written.write_bytes(b"".join(tabular.stream_table(first.outcome.table, table_format)))
        again = read(written)
        assert again.types == first.types, table_format
        assert again.table.replace_schema_metadata(None).equals(first.table.replace_schema_metadata(None)), table_format


def test_a_wide_table(read: Ingest) -> None:
    """A table of many columns, which is worked on in parts, comes out whole and in order."""
    columns, rows = 250, 40
    header = ";".join(f"n{column}" for column in range(columns))
    lines = [
        ";".join(str(column * 1000 + row) if column % 2 else f"t{row % 5}" for column in range(columns))
        for row in range(rows)
    ]
    found = read("\n".join([header, *lines]))
    assert found.table.column_names == header.split(";")
    assert found.table["n249"].to_pylist() == [249_000 + row for row in range(rows)]
    assert found.types["n248"] == "categorical"
    assert found.profile("n249")["numeric"]["maximum"] == 249_039
    assert any("first 60 columns" in warning for warning in found.outcome.profile["warnings"])
