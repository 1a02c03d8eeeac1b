"""Types are found by looking at every value, and nothing is ever lost for the sake of one."""

import datetime as dt

import pyarrow as pa
import pytest

from servicekit.column_types import ColumnType
from services.dataset.ingestion.faults import TypesDontFit
from tests.dataset.ingestion.conftest import Ingest


def _column(*cells: str, name: str = "a") -> str:
    """A CSV of one column beside a filler, so that an empty cell isn't an empty line."""
    return f"{name};filler\n" + "".join(f"{cell};1\n" for cell in cells)


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "-2", "0"], "integer", [1, -2, 0]),
        (["1", "", "3"], "integer", [1, None, 3]),
        (["9223372036854775807", "1"], "integer", [2**63 - 1, 1]),
        (["1.5", "2", "-3e2"], "float", [1.5, 2.0, -300.0]),
        ([".5", "5.", "1"], "float", [0.5, 5.0, 1.0]),
        (["1,5", "2,25", "3"], "float", [1.5, 2.25, 3.0]),
        (["inf", "1.5", "-Infinity"], "float", [None, 1.5, None]),
        (["true", "False", "TRUE"], "boolean", [True, False, True]),
        (["2024-02-29", "", "1999-12-31"], "date", [dt.date(2024, 2, 29), None, dt.date(1999, 12, 31)]),
        (["31.12.2020", "1.1.2021"], "date", [dt.date(2020, 12, 31), dt.date(2021, 1, 1)]),
        (["12/31/2020", "01/02/2021"], "date", [dt.date(2020, 12, 31), dt.date(2021, 1, 2)]),
        (["31/12/2020", "01/02/2021"], "date", [dt.date(2020, 12, 31), dt.date(2021, 2, 1)]),
        (["05-Mar-2020", "06-Apr-2021"], "date", [dt.date(2020, 3, 5), dt.date(2021, 4, 6)]),
    ],
)
def test_values_that_have_a_type(read: Ingest, cells: list[str], kind: str, values: list[object]) -> None:
    """Numbers, booleans and dates in their usual spellings are what they look like."""
    found = read(_column(*cells))
    assert found.types["a"] == kind
    assert found.table["a"].to_pylist() == values


@pytest.mark.parametrize(
    "cells",
    [
        ["02139", "10001", "94105"],
        ["1,5", "2,25", "1,5e999"],
        ["+41 44 123", "+1 212 555"],
        ["12345678901234567890", "1"],
        ["9007199254740993", "1.5"],
        ["1_000", "2_000"],
        ["2023-02-30", "2023-01-01"],
        ["01/02/2020", "03/04/2020"],
        ["1,234", "5,678"],
        ["0x10", "0x11"],
        ["yes", "no"],
        ["2020-01-01 10:00:00", "2020-01-01T10:00:00Z"],
    ],
    ids="|".join,
)
def test_values_that_stay_text(read: Ingest, cells: list[str]) -> None:
    """What a type would change, or what can be read in two ways, stays exactly as it is."""
    found = read(_column(*cells))
    assert found.types["a"] in {"categorical", "text"}
    assert found.table["a"].to_pylist() == cells


@pytest.mark.parametrize(
    ("cells", "arrow", "first"),
    [
        (["2020-01-02 03:04:05", "2020-01-02"], pa.timestamp("us"), dt.datetime(2020, 1, 2, 3, 4, 5)),  # noqa: DTZ001
        (["2020-01-02T03:04:05.123456", ""], pa.timestamp("us"), dt.datetime(2020, 1, 2, 3, 4, 5, 123456)),  # noqa: DTZ001
        (["2020-01-02T03:04:05.1234560", ""], pa.timestamp("us"), dt.datetime(2020, 1, 2, 3, 4, 5, 123456)),  # noqa: DTZ001
        (["02.01.2020 03:04", "31.12.2020 00:00"], pa.timestamp("us"), dt.datetime(2020, 1, 2, 3, 4)),  # noqa: DTZ001
        (["12/31/2020 11:30 PM", "01/02/2020 01:00 AM"], pa.timestamp("us"), dt.datetime(2020, 12, 31, 23, 30)),  # noqa: DTZ001
        (["2020-01-02T03:04:05Z", ""], pa.timestamp("us", "UTC"), dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.UTC)),
        (["2020-01-02 03:04:05+02:00", ""], pa.timestamp("us", "UTC"), dt.datetime(2020, 1, 2, 1, 4, 5, tzinfo=dt.UTC)),
        (["2020-01-02 03:04:05-0530", ""], pa.timestamp("us", "UTC"), dt.datetime(2020, 1, 2, 8, 34, 5, tzinfo=dt.UTC)),
    ],
)
def test_moments(read: Ingest, cells: list[str], arrow: pa.DataType, first: dt.datetime) -> None:
    """Dates with times keep their microseconds; those with a zone are the same instant."""
    found = read(_column(*cells))
    assert found.types["a"] == "datetime"
    assert found.table.schema.field("a").type == arrow
    assert found.table["a"][0].as_py() == first


def test_infinities_are_missing(read: Ingest) -> None:
    """Infinity is missing, and so is what no double can hold; the user is told how many there were."""
    found = read(_column("1.5", "1e999", "-inf", "2"))
    assert found.table["a"].to_pylist() == [1.5, None, None, 2.0]
    note = "Column “a” has 2 infinite numbers of 4, which were taken as missing."
    assert found.outcome.notes == (note,)
    mostly = read(_column(*["inf"] * 30, "2"), required={"a": ColumnType.FLOAT})
    assert mostly.table["a"].null_count == 30
    assert mostly.outcome.notes == ("Column “a” has 30 infinite numbers of 31, which were taken as missing.",)


@pytest.mark.parametrize("cells", [["12345678901234567890", "1"], ["-99999999999999999999", "1.5"]])
def test_integers_beyond_64_bits_are_told(read: Ingest, cells: list[str]) -> None:
    """Why a column of numbers is text is told where some are too long."""
    [note] = read(_column(*cells)).outcome.notes
    assert note == "Column “a” was left as text, since some of its numbers have more digits than 64 bits hold."


def test_one_value_among_many_decides(read: Ingest) -> None:
    """A type must hold every value, also the last of many; the user is told how many it doesn't hold."""
    cells = [str(number) for number in range(50_000)]
    found = read(_column(*cells, "n.a."))
    assert found.types["a"] in {"text", "identifier"}
    assert found.table["a"].to_pylist() == [*cells, "n.a."]
    assert found.outcome.notes == (
        "Column “a” is text because 1 of 50,001 values are no whole numbers without leading zeros.",
    )


def test_rows_keep_their_order(read: Ingest) -> None:
    """Whatever the types, rows come out in the order of the file."""
    count = 40_000
    rows = "".join(f"{n};{n / 4};{n % 2 == 0};2020-01-01 00:00:{n % 60:02d};{n / 4};w{n};{n}.\n" for n in range(count))
    found = read("a;b;c;d;e;f;g\n" + rows.replace("False", "false").replace("True", "true"))
    assert set(found.types.values()) == {"identifier", "float", "boolean", "datetime"}
    assert found.table["a"].to_pylist() == list(range(count))
    assert found.table["b"].to_pylist() == [n / 4 for n in range(count)]
    assert found.table["f"].to_pylist() == [f"w{n}" for n in range(count)]


def test_the_meaning_of_strings(read: Ingest) -> None:
    """Strings that repeat are categories, strings that never do are identifiers, prose is text."""
    lines = ["colour,code,remark,customer_id,nothing"]
    lines += [f"{'red' if n % 2 else 'blue'},K{n:04d},the remark with number {n},C{n},\n".strip() for n in range(200)]
    found = read("\n".join(lines))
    assert found.types == {
        "colour": "categorical",
        "code": "identifier",
        "remark": "text",
        "customer_id": "identifier",
        "nothing": "categorical",
    }


def test_remarks_among_many_rows_without_one(read: Ingest) -> None:
    """What was written once about somebody is text even where most rows say the same; rare words are categories."""
    rows = [(f"please call Ms Number{row} back", f"town {row}") if row < 30 else ("none", "Rome") for row in range(200)]
    found = read("remark,town\n" + "".join(f"{remark},{town}\n" for remark, town in rows))
    assert found.types == {"remark": "text", "town": "categorical"}


def test_the_meaning_of_integers(read: Ingest) -> None:
    """Integers are integers, unless they number the rows or are called an identifier and never repeat."""
    lines = ["row,customer_id,order_id,year,salary"]
    lines += [f"{n},{n * 7 % 50},{1000 - n * 3},{1900 + n},{n * n}" for n in range(1, 101)]
    found = read("\n".join(lines))
    assert found.types == {
        "row": "identifier",
        "customer_id": "integer",
        "order_id": "identifier",
        "year": "integer",
        "salary": "integer",
    }


def test_types_set_by_hand(read: Ingest) -> None:
    """A type set by hand is taken where it holds every value; what was found stays known."""
    text = "flag,code,whole,day,number\n" + "".join(
        f"{'yes' if n % 2 else 'no'},{n % 3},{n}.0,2020-01-0{n},{n}\n" for n in range(1, 8)
    )
    types = {
        "flag": ColumnType.BOOLEAN,
        "code": ColumnType.CATEGORICAL,
        "whole": ColumnType.INTEGER,
        "day": ColumnType.DATETIME,
        "number": ColumnType.TEXT,
    }
    found = read(text, required=types)
    assert found.types == {name: kind.value for name, kind in types.items()}
    assert [column.inferred_type.value for column in found.outcome.columns] == [
        "categorical", "integer", "float", "date", "integer",
    ]  # fmt: skip
    assert found.table["flag"].to_pylist()[:2] == [True, False]
    assert found.table.schema.field("code").type == pa.int64()
    assert found.table["whole"].to_pylist()[:2] == [1, 2]
    assert found.table["day"][0].as_py() == dt.datetime(2020, 1, 1)  # noqa: DTZ001
    assert found.table["number"].to_pylist()[:2] == ["1", "2"]


def test_types_that_dont_hold(read: Ingest) -> None:
    """Every type set by hand that doesn't hold all values is named, with how many it doesn't hold."""
    with pytest.raises(TypesDontFit) as fault:
        read(
            "a,b,c\n1,x,007\n2.5,y,2\n3,x,3\n",
            required={"a": ColumnType.INTEGER, "b": ColumnType.DATE, "c": ColumnType.INTEGER},
        )
    assert set(fault.value.faults) == {"a", "b", "c"}
    assert fault.value.faults["a"].startswith("1 of 3 values are no integer")
    assert "leading zeros" in fault.value.faults["c"]


def test_wishes_are_dropped_where_they_dont_hold(read: Ingest) -> None:
    """A type from the version before is kept if it holds, and otherwise left with a note."""
    found = read("a,b\n1,x\n2,y\n", wished={"a": ColumnType.CATEGORICAL, "b": ColumnType.INTEGER})
    assert found.types == {"a": "categorical", "b": "categorical"}
    assert any("“b” can't be integer" in note for note in found.outcome.notes)
