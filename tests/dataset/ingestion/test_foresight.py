"""Large files, whose types are foreseen from their first rows: what is read is what would be read without that."""

from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dataset.ingestion.candidates import (
    BOOLEAN,
    DECIMAL_COMMA,
    FLOAT,
    INTEGER,
    ISO_DAY,
    ISO_INSTANT,
    ISO_MOMENT,
    MOMENTS,
    WEAK_TOKENS,
    Candidate,
)
from services.dataset.ingestion.conversion import Converter
from services.dataset.ingestion.storage import SAMPLE_ROWS
from tests.dataset.ingestion.conftest import Ingest

ROWS = SAMPLE_ROWS + 2_000
TEXTS = [
    *WEAK_TOKENS, "0", "-0", "00", "7", "-7", "+7", "007", " 7", "7 ", "\t7", "7.", ".5", "-.5", "00.5", "0.50", "1-2",
    "--1", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "9007199254740992", "9007199254740993",
    "9007199254740993.0", "0.1", "1e5", "1E-7", "1e400", "inf", "-Infinity", "1.7976931348623157e308", "1,5", "1.234,5",
    "3.14159265358979323846", "true", "FALSE", "True", "yes", "1", "2024-02-29", "2023-02-29", "0000-01-01",
    "0001-01-01", "9999-12-31", "2024-2-9", "20240229", "1500-06-01", "2024-02-29 12:30:00", "2024-02-29T12:30:00",
    "2024-02-29 12:30", "2024-02-29 24:00:00", "2024-02-29 23:59:60", "2024-02-29 12:30:00.123456",
    "2024-02-29T12:30:00Z", "2024-02-29 12:30:00+02:00", "0000-01-01T00:00:00", "31.12.2020", "31.11.2020", "x", "é",
    "٣", "１２", "1_000",
]  # fmt: skip
DAY_MONTH_YEAR = next(moment for moment in MOMENTS if moment.name == "day.month.year")
CANDIDATES = [BOOLEAN, INTEGER, FLOAT, ISO_DAY, ISO_MOMENT, ISO_INSTANT, DECIMAL_COMMA, DAY_MONTH_YEAR]


@pytest.fixture(scope="module")
def converter() -> Iterator[Converter]:
    """What converts text in large files."""
    made = Converter()
    yield made
    made.close()


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database to ask what candidates hold."""
    with duckdb.connect(config={"threads": 1}) as made:
        made.execute("SET TimeZone = 'UTC'")
        yield made


def _expected(connection: duckdb.DuckDBPyConnection, texts: list[str], candidate: Candidate) -> list[tuple[bool, Any]]:
    """Whether a candidate's own SQL holds each text, and its value."""
    connection.register("texts", pa.table({"text": texts}))
    query = "SELECT $HOLDS, CASE WHEN $HOLDS THEN $READ END FROM (SELECT trim(text, ' \t') AS t FROM texts)"
    query = query.replace("$HOLDS", candidate.holds("t")).replace("$READ", candidate.read("t"))
    found = connection.sql(query).to_arrow_table()
    pairs = zip(texts, found[0].to_pylist(), found[1].cast(candidate.arrow).to_pylist(), strict=True)
    return [(True, None) if text.strip(" \t") in WEAK_TOKENS else (holds, value) for text, holds, value in pairs]


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
def test_conversion(converter: Converter, connection: duckdb.DuckDBPyConnection, candidate: Candidate) -> None:
    """A text is read as its candidate says, or not at all, alone and among others."""
    held: list[tuple[str, Any]] = []
    for text, (holds, value) in zip(TEXTS, _expected(connection, TEXTS, candidate), strict=True):
        converted = converter.convert(pa.array([text]), candidate)
        assert (converted is not None) == holds, text
        if converted is not None:
            assert repr(converted.to_pylist()) == repr([value]), text
            held.append((text, value))
    texts = pa.array([None, *(text for text, _ in held), None])
    together = converter.convert(texts.slice(1), candidate)
    assert together is not None
    assert repr(together.to_pylist()) == repr([*(value for _, value in held), None])


@settings(max_examples=100, deadline=None)
@given(
    texts=st.lists(st.text(alphabet="0019-.+eE ", max_size=8), min_size=1, max_size=3),
    candidate=st.sampled_from([INTEGER, FLOAT]),
)
def test_conversion_of_anything(
    converter: Converter, connection: duckdb.DuckDBPyConnection, texts: list[str], candidate: Candidate
) -> None:
    """Whatever the text, the quick way reads what the candidate reads, or leaves it alone."""
    expected = _expected(connection, texts, candidate)
    converted = converter.convert(pa.array(texts), candidate)
    if converted is None:
        assert not all(holds for holds, _ in expected)
    else:
        assert repr(converted.to_pylist()) == repr([value for _, value in expected])


def test_surprises(read: Ingest) -> None:
    """What stands only in the last rows decides as much as what stands in the first ones."""
    last = {
        "sound": ("5", "12"),
        "decimal": ("5", "1.5"),
        "word": ("5", "five"),
        "zero": ("5", "05"),
        "weak": ("5", "-"),
        "day": ("2024-02-29", "2023-02-28"),
        "no_day": ("2024-02-29", "2024-02-30"),
        "later": ("2024-02-29", "2024-02-29 10:00:00"),
        "truth": ("true", "maybe"),
        "words": ("plain", "7"),
        "american": ("02/03/2024", "12/31/2024"),
        "either": ("02/03/2024", "03/04/2024"),
        "comma": ("7", "7"),
    }
    usual = ",".join(first for first, _ in last.values())
    rare = ",".join(second for _, second in last.values())
    found = read("\n".join([",".join(last), *[usual] * (ROWS - 1), rare]))
    assert found.types == {
        "sound": "integer",
        "decimal": "float",
        "word": "categorical",
        "zero": "categorical",
        "weak": "integer",
        "day": "date",
        "no_day": "categorical",
        "later": "datetime",
        "truth": "categorical",
        "words": "categorical",
        "american": "date",
        "either": "categorical",
        "comma": "integer",
    }
    table = found.table
    assert table.num_rows == ROWS
    assert table.column_names == list(last)
    assert [str(value) for value in table.slice(ROWS - 2)["decimal"].to_pylist()] == ["5.0", "1.5"]
    assert table.slice(ROWS - 2)["zero"].to_pylist() == ["5", "05"]
    assert table.slice(ROWS - 2)["weak"].to_pylist() == [5, None]
    assert table.slice(ROWS - 1)["american"].to_pylist()[0].isoformat() == "2024-12-31"
    notes = " ".join(found.outcome.notes)
    for name in ("word", "zero", "truth", "no_day"):
        assert f"Column “{name}” is text because 1 of {ROWS:,} values" in notes
    assert "Column “either” could be day before month" in notes


def test_no_surprise(read: Ingest) -> None:
    """Columns of every kind are read at once, with missing values, in order, under names of any kind."""
    names = ["a", "a.b", "c d", "é", "flag", "day", "moment", "instant", "text"]
    lines = [
        f"{n},{n / 8},{n % 7},,{'true' if n % 2 else 'FALSE'},2024-01-{n % 28 + 1:02d},2024-01-01 00:00:{n % 60:02d},"
        f"2024-01-01T00:00:{n % 60:02d}Z,{'NA' if n % 3 else f'word {n % 5}'}"
        for n in range(ROWS)
    ]
    found = read("\n".join([",".join(names), *lines]))
    kinds = ["identifier", "float", "integer", "categorical", "boolean", "date", "datetime", "datetime", "categorical"]
    assert found.types == dict(zip(names, kinds, strict=True))
    table = found.table
    assert table["a"].to_pylist() == list(range(ROWS))
    assert table["a.b"].to_pylist() == [n / 8 for n in range(ROWS)]
    assert table["é"].null_count == ROWS
    assert table["flag"].to_pylist() == [bool(n % 2) for n in range(ROWS)]
    assert str(table.schema.field("instant").type) == "timestamp[us, tz=UTC]"
    assert table["text"].to_pylist() == [None if n % 3 else f"word {n % 5}" for n in range(ROWS)]
    assert [table.schema.field(name).metadata[b"mirage.type"].decode() for name in names] == kinds
    assert not found.outcome.profile["duplicate_row_count"]


def test_types_by_hand(read: Ingest) -> None:
    """Types set by hand hold in a large file too, beside columns whose types were foreseen."""
    text = "\n".join(["code,number,kind", *(f"{n},{n},{n % 3}" for n in range(ROWS))])
    found = read(text, required={"code": "text", "kind": "categorical"})
    assert found.types == {"code": "text", "number": "identifier", "kind": "categorical"}
    assert found.table["code"].to_pylist() == [str(n) for n in range(ROWS)]
    assert found.table["number"].to_pylist() == list(range(ROWS))
    assert [column.inferred_type for column in found.outcome.columns] == ["identifier", "identifier", "integer"]
