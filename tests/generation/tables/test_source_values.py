"""Whether a table has a value, told from as little of it as possible."""

import datetime as dt
import io
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.generation import source_values
from services.generation.source_values import _found, _Missing, _Range, _Same, _Search

DAY = dt.datetime(2024, 5, 1, 12, 30)  # noqa: DTZ001 - columns without a zone
VIENNA = ZoneInfo("Europe/Vienna")


def columns(type_: pa.DataType, low: object, between: object, high: object) -> pq.ParquetFile:
    """A column of three groups of rows: values up to `between`, values missing, values from `between` on."""
    sink = io.BytesIO()
    table = pa.table({"x": pa.array([low, between, None, None, between, high], type_)})
    pq.write_table(table, sink, row_group_size=2)
    return pq.ParquetFile(io.BytesIO(sink.getvalue()))


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (pa.int64(), [1, 2, 5, 9, 10]),
        (pa.float64(), [-1.5, 0.0, 2.5, 3.5, float("inf")]),
        (pa.decimal128(38, 2), [Decimal("1.10"), Decimal("1.11"), Decimal("5.00"), Decimal("7.25"), Decimal("9.99")]),
        (pa.date32(), [dt.date(1500, 1, 1), dt.date(1970, 1, 1), *(dt.date(2000, 1, day) for day in (1, 2, 3))]),
        (pa.time64("us"), [dt.time(hour) for hour in (0, 1, 2, 3, 4)]),
        (pa.timestamp("us"), [DAY + dt.timedelta(days=day) for day in (0, 1, 2, 3, 4)]),
        (pa.timestamp("us", tz="UTC"), [DAY.replace(tzinfo=dt.UTC, day=day) for day in (1, 2, 3, 4, 5)]),
        (pa.timestamp("us", tz="Europe/Vienna"), [DAY.replace(tzinfo=VIENNA, day=day) for day in (1, 2, 3, 4, 5)]),
    ],
    ids=str,
)
def test_ranges(type_: pa.DataType, values: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """A number or a time is within the range or outside of it, whether its column is read or only its statistics."""
    below, low, between, high, above = values
    file = columns(type_, low, between, high)
    for most in (10**9, 0):
        monkeypatch.setattr(source_values, "_MOST_BYTES", most)
        for value, expected in ((below, False), (low, True), (between, True), (high, True), (above, False)):
            assert _found(file, "x", _Range(pa.scalar(value, type_))) is expected, (value, most)


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string()], ids=str)
def test_categories(type_: pa.DataType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A category is there or not; of a column too large to read, one beyond all others surely isn't there."""
    file = columns(type_, "b", "größer", "öl")
    for value, when_read, when_not in (("b", True, None), ("öl", True, None), ("c", False, None), ("a", False, False)):
        search: _Search = _Same(pa.scalar(value, type_))
        monkeypatch.setattr(source_values, "_MOST_BYTES", 10**9)
        assert _found(file, "x", search) is when_read, value
        monkeypatch.setattr(source_values, "_MOST_BYTES", 0)
        assert _found(file, "x", search) is when_not, value


def test_missing_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether values are missing the statistics tell."""
    monkeypatch.setattr(source_values, "_MOST_BYTES", 0)
    assert _found(columns(pa.int64(), 1, 2, 3), "x", _Missing())
    sink = io.BytesIO()
    pq.write_table(pa.table({"x": [1, 2]}), sink)
    assert _found(pq.ParquetFile(io.BytesIO(sink.getvalue())), "x", _Missing()) is False
