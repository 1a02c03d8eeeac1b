"""Files that are read, one for each thing that people's files have: what is in them, and what must come of them."""

import datetime as dt
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

Values = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Accepted:
    """A file, and the columns with their types and values that its dataset must have."""

    name: str
    content: Callable[[], bytes]
    source_format: str
    types: Mapping[str, str]
    values: Values
    warnings: tuple[str, ...] = field(default=())
    """What the user must be told, each a part of some warning."""
    file_name: str = "table.csv"


_CITIES = ["Zürich", "Kraków", "Łódź", "Αθήνα", "東京", "القاهرة"]
_WESTERN = ["Zürich", "Besançon", "Málaga", "Tromsø", "Göteborg", "Évian"]
_ROWS = 12
_NUMBERS = list(range(_ROWS))


def _repeated(values: Sequence[Any]) -> list[Any]:
    return [values[row % len(values)] for row in range(_ROWS)]


def _lines(names: Sequence[str], *columns: Sequence[Any], separator: str = ",", end: str = "\n") -> str:
    """Cells as they are, with separators between and line ends behind."""
    rows = [names, *zip(*columns, strict=True)]
    return "".join(separator.join(map(str, row)) + end for row in rows)


def _text(text: str, encoding: str = "utf-8") -> Callable[[], bytes]:
    return lambda: text.encode(encoding)


def _parquet(table: pa.Table) -> Callable[[], bytes]:
    def content() -> bytes:
        sink = io.BytesIO()
        pq.write_table(table, sink)
        return sink.getvalue()

    return content


def _workbook(*rows: Sequence[Any]) -> Callable[[], bytes]:
    def content() -> bytes:
        book = openpyxl.Workbook()
        for row in rows:
            book.worksheets[0].append(list(row))
        sink = io.BytesIO()
        book.save(sink)
        return sink.getvalue()

    return content


def _cities(names: Sequence[str], encoding: str, *, mark: bytes = b"", end: str = "\n") -> Callable[[], bytes]:
    text = _lines(["n", "city"], _NUMBERS, _repeated(names), end=end)
    return lambda: mark + text.encode(encoding)


def _city_case(
    name: str, content: Callable[[], bytes], names: Sequence[str] = _CITIES, warnings: tuple[str, ...] = (), **more: str
) -> Accepted:
    types = {"n": "integer", "city": "categorical"}
    values = {"n": _NUMBERS, "city": _repeated(names)}
    return Accepted(name, content, more.pop("source_format", "csv"), types, values, warnings, **more)


def _days(*years: int) -> list[dt.date]:
    return [dt.date(year, 1 + row % 12, 1 + row) for row, year in enumerate(_repeated(years))]


_PLAIN = _lines(["n", "city"], _NUMBERS, _repeated(_CITIES))
_OLD, _NEW = _days(1, 1492, 1677), _days(2263, 5000, 9999)
_MOMENTS = [dt.datetime.combine(day, dt.time(23, 59, 59, 999_999)) for day in _days(1, 1677, 2262, 9999)]
_HUGE = [str(2**63 + number) for number in _NUMBERS]
_TRICKY = _repeated(['say "hi"', "a,b", "two\nlines", "three\r\nends", " spaces ", ""])
_FORMULAS = _repeated(["=1+1", "+41 44 668 18 00", "-", "@cmd", '=HYPERLINK("http://x")', "\tx"])
_WIDE = [f"column {number}" for number in range(2000)]
_RECORDS = [{"n": number, **({"city": _CITIES[number % 6]} if number % 3 else {})} for number in _NUMBERS]
_SOME_CITIES = [record.get("city") for record in _RECORDS]
_NESTED = [
    {"id": number, "who": {"name": _CITIES[number % 6], "home": {"zip": number % 4}}, "tags": [number, {"x": None}]}
    for number in _NUMBERS
]
_SCRIPTS = ["名前", "имя", "اسم", "שם", "नाम", "😀", "Straße", "a.b", 'q"q', "SELECT", "c0", "A", "a"]


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


ACCEPTED = [
    _city_case("utf-8", _cities(_CITIES, "utf-8")),
    _city_case("utf-8 with a mark", _cities(_CITIES, "utf-8", mark=b"\xef\xbb\xbf")),
    _city_case("utf-16 with a mark", _cities(_CITIES, "utf-16")),
    _city_case("utf-16 without a mark", _cities(_WESTERN, "utf-16-le"), _WESTERN),
    _city_case("utf-16 of the other order", _cities(_CITIES, "utf-16-be", mark=b"\xfe\xff")),
    _city_case("latin-1", _cities(_WESTERN, "latin-1"), _WESTERN, warnings=("isn't in UTF-8",)),
    _city_case("crlf", _cities(_CITIES, "utf-8", end="\r\n")),
    _city_case("cr", _cities(_CITIES, "utf-8", end="\r")),
    _city_case("tabs", _text(_PLAIN.replace(",", "\t"))),
    _city_case("semicolons", _text(_PLAIN.replace(",", ";"))),
    _city_case("gzip", lambda: gzip.compress(_PLAIN.encode())),
    _city_case("zstd", lambda: pa.compress(_PLAIN.encode(), "zstd", asbytes=True)),
    _city_case("gzip around utf-16", lambda: gzip.compress(_PLAIN.encode("utf-16"))),
    _city_case("a wrong extension", _text(_PLAIN), file_name="table.xlsx"),
    _city_case(
        "json called csv",
        lambda: json.dumps([{"n": n, "city": _CITIES[n % 6]} for n in _NUMBERS]).encode(),
        source_format="json",
    ),
    _city_case("a workbook called csv", _workbook(["n", "city"], *zip(_NUMBERS, _repeated(_CITIES), strict=True)),
               source_format="xlsx"),
    Accepted(
        "quotes and newlines in fields",
        _text(_lines(["n", "text"], _NUMBERS, list(map(_quoted, _TRICKY)))),
        "csv",
        {"n": "integer", "text": "categorical"},
        {"n": _NUMBERS, "text": _TRICKY},
    ),
    Accepted(
        "cells that look like formulas",
        _text(_lines(["n", "text"], _NUMBERS, list(map(_quoted, _FORMULAS)))),
        "csv",
        {"n": "integer", "text": "categorical"},
        {"n": _NUMBERS, "text": _FORMULAS},
    ),
    Accepted(
        "json with missing keys",
        lambda: json.dumps(_RECORDS).encode(),
        "json",
        {"n": "integer", "city": "categorical"},
        {"n": _NUMBERS, "city": _SOME_CITIES},
    ),
    Accepted(
        "json lines, packed",
        lambda: gzip.compress("\n".join(map(json.dumps, _RECORDS)).encode()),
        "jsonl",
        {"n": "integer", "city": "categorical"},
        {"n": _NUMBERS, "city": _SOME_CITIES},
        file_name="table.jsonl.gz",
    ),
    Accepted(
        "nested json",
        lambda: json.dumps(_NESTED).encode(),
        "json",
        {"id": "identifier", "who.name": "categorical", "who.home.zip": "integer", "tags": "categorical"},
        {
            "id": _NUMBERS,
            "who.name": _repeated(_CITIES),
            "who.home.zip": [number % 4 for number in _NUMBERS],
            "tags": [f'[{number},{{"x":null}}]' for number in _NUMBERS],
        },
        warnings=("became the columns “who.name”, “who.home.zip”", "kept as JSON text: “tags”"),
        file_name="nested.json",
    ),
    Accepted(
        "constant and all-missing columns",
        _text(_lines(["n", "constant", "nothing"], _NUMBERS, [7] * _ROWS, _repeated(["", "NA", "null"]))),
        "csv",
        {"n": "integer", "constant": "integer", "nothing": "categorical"},
        {"n": _NUMBERS, "constant": [7] * _ROWS, "nothing": [None] * _ROWS},
        warnings=("No value is there in “nothing”", "Every value is the same in “constant”"),
    ),
    Accepted(
        "100 000 distinct strings",
        _text("name,n\n" + "".join(f"person {n:x} of many,{n % 7}\n" for n in range(100_000))),
        "csv",
        {"name": "text", "n": "integer"},
        {"name": [f"person {n:x} of many" for n in range(100_000)], "n": [n % 7 for n in range(100_000)]},
    ),
    Accepted(
        "infinities",
        _text(_lines(["n", "x"], _NUMBERS, _repeated(["1.5", "inf", "-Infinity", "2.5"]))),
        "csv",
        {"n": "integer", "x": "float"},
        {"n": _NUMBERS, "x": _repeated([1.5, None, None, 2.5])},
        warnings=("Column “x” has 6 infinite numbers",),
    ),
    Accepted(
        "infinities in parquet",
        _parquet(pa.table({"n": _NUMBERS, "x": _repeated([1.5, float("inf"), float("nan"), 2.5])})),
        "parquet",
        {"n": "integer", "x": "float"},
        {"n": _NUMBERS, "x": _repeated([1.5, None, None, 2.5])},
        warnings=("Column “x” has 3 infinite numbers",),
        file_name="table.parquet",
    ),
    Accepted(
        "dates before 1678 and after 2262",
        _text(_lines(["old", "new", "moment"], _OLD, _NEW, [moment.isoformat() for moment in _MOMENTS])),
        "csv",
        {"old": "date", "new": "date", "moment": "datetime"},
        {"old": _OLD, "new": _NEW, "moment": _MOMENTS},
    ),
    Accepted(
        "integers beyond 64 bits",
        _text(_lines(["n", "huge"], _NUMBERS, _HUGE)),
        "csv",
        {"n": "integer", "huge": "categorical"},
        {"n": _NUMBERS, "huge": _HUGE},
        warnings=("Column “huge” was left as text",),
    ),
    Accepted(
        "integers of 64 bits and beyond in json",
        lambda: json.dumps([{"edge": -(2**63) + n, "huge": 2**63 + n} for n in _NUMBERS]).encode(),
        "json",
        {"edge": "integer", "huge": "categorical"},
        {"edge": [-(2**63) + n for n in _NUMBERS], "huge": _HUGE},
        warnings=("Column “huge” was left as text",),
    ),
    Accepted(
        "duplicate and empty column names",
        _text(_lines(["n", "n", "", "n_2"], _NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS)),
        "csv",
        dict.fromkeys(["n", "n_3", "column_3", "n_2"], "integer"),
        dict.fromkeys(["n", "n_3", "column_3", "n_2"], _NUMBERS),
        warnings=("Columns without a name were called “column_3”", "occurred before were called “n_3”"),
    ),
    Accepted("one row", _text("a,b\n1,x\n"), "csv", {"a": "integer", "b": "categorical"}, {"a": [1], "b": ["x"]}),
    Accepted("one cell", _text("a\n1"), "csv", {"a": "integer"}, {"a": [1]}),
    Accepted(
        "one column",
        _text(_lines(["word"], _repeated(["x", "y, z", "w"]))),
        "csv",
        {"word": "categorical"},
        {"word": _repeated(["x", "y, z", "w"])},
    ),
    Accepted(
        "names in any script",
        _text(_lines([_quoted(name) for name in _SCRIPTS], *[_NUMBERS] * len(_SCRIPTS))),
        "csv",
        dict.fromkeys(_SCRIPTS, "integer"),
        dict.fromkeys(_SCRIPTS, _NUMBERS),
    ),
    Accepted(
        "2 000 columns",
        _text(_lines(_WIDE, *[[number % 9, number % 5] for number in range(2000)])),
        "csv",
        dict.fromkeys(_WIDE, "integer"),
        {name: [number % 9, number % 5] for number, name in enumerate(_WIDE)},
    ),
]  # fmt: skip
"""Every one of them."""
