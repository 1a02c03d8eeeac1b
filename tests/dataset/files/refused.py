"""Files that are refused, one for each way to be wrong, and what their senders are told."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

UNREADABLE, EMPTY, UNSUPPORTED = "DATASET_UNREADABLE", "DATASET_EMPTY", "UNSUPPORTED_FILE_TYPE"
_TOO_LARGE, _TOO_MANY = "UNPACKS_TOO_LARGE", "TOO_MANY_COLUMNS"
_DEEP = 100_000


@dataclass(frozen=True)
class Refused:
    """A file, the reason that programs are told, and a pattern of what people are told."""

    name: str
    content: Callable[[], bytes]
    reason: str
    says: str


def _workbook() -> bytes:
    book = openpyxl.Workbook()
    for row in range(50):
        book.worksheets[0].append([row, f"text {row}"])
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def _parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": list(range(1000)), "b": [str(n) for n in range(1000)]}), sink)
    return sink.getvalue()


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _damaged_inside(content: bytes) -> bytes:
    return content[:40] + bytes(200) + content[240:]


def _bomb() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", bytes(30_000_000))
    return sink.getvalue()


def _archive() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("table.csv", "a,b\n1,2\n")
    return sink.getvalue()


def _ragged() -> bytes:
    rows = [f"{n},x" if n % 2 else f"{n}" for n in range(1, 31)]
    return ("a,b\n" + "\n".join(rows) + "\n").encode()


def _csv(text: str, encoding: str = "utf-8") -> Callable[[], bytes]:
    return lambda: text.encode(encoding)


_PACKED = gzip.compress(("a,b\n" + "".join(f"{n},{n * n}\n" for n in range(50_000))).encode(), mtime=0)
_TEN_LINES = ", ".join(f"line {line} has 1 cell" for line in range(3, 22, 2)).replace("line", "[Ll]ine")

REFUSED = [
    Refused("an empty file", _csv(""), EMPTY, "is empty"),
    Refused("nothing but empty lines", _csv("\n\r\n \n"), EMPTY, "is empty"),
    Refused("a header alone", _csv("a,b\n"), EMPTY, "ends after its header, which is line 1"),
    Refused("a header alone without a line end", _csv("a,b"), EMPTY, "ends after its header, which is line 1"),
    Refused("a workbook without a row", lambda: _saved(openpyxl.Workbook()), EMPTY, "No sheet of the workbook"),
    Refused("parquet without a row", lambda: _written(pa.table({"a": pa.array([], pa.int64())})), EMPTY, "no rows"),
    Refused("ragged rows", _ragged, UNREADABLE, f"^{_TEN_LINES} where the header has 2 .and perhaps more lines"),
    Refused("one row too long", _csv("a,b\n1,2\n3,4,5\n"), UNREADABLE, "^Line 3 has 3 cells where the header has 2"),
    Refused("a quote never closed", _csv('a,b\n1,2\n"3,4\n5,6\n7,8\n'), UNREADABLE, "begins in line 3"),
    Refused("a null byte", _csv("a,b\n" + "1,x\n" * 5000 + "2,\0\n"), UNREADABLE, "^Line 5,002 .* byte 20,007"),
    Refused("null bytes", _csv("a,b\n\0\0,\0\0\n"), UNSUPPORTED, "byte 5 shows"),
    Refused("a null in utf-16", _csv("a,b\n1,\0\n", "utf-16"), UNREADABLE, "^Line 2 .* byte 15 of the file"),
    Refused("random bytes", lambda: _random(50_000), UNSUPPORTED, r"byte \d+ shows"),
    Refused("few random bytes", lambda: _random(100), UNSUPPORTED, r"byte \d+ shows"),
    Refused("html", _csv("<!DOCTYPE html>\n<html><body>Sign in</body></html>"), UNSUPPORTED, "HTML .* line 1 shows"),
    Refused("html in capitals", _csv("\n <HTML>\n<TABLE><TR><TD>1,2\n"), UNSUPPORTED, "HTML .* line 2 shows"),
    Refused("html in utf-16", _csv("<table>\n<td>1,2</td>\n", "utf-16"), UNSUPPORTED, "HTML .* line 1 shows"),
    Refused("pdf", _csv("%PDF-1.7\n1 0 obj\n"), UNSUPPORTED, "byte 1 shows"),
    Refused("broken json", _csv('[{"a": 1},\n {"a": }]'), UNREADABLE, "line 2 at character 8"),
    Refused("json cut off", _csv('[{"a": 1},\n {"a": 2'), UNREADABLE, "line 2 at character 9"),
    Refused("broken json lines", _csv('{"a": 1}\n{"a": 2\n{"a": 3}\n'), UNREADABLE, "line 3 at character 1"),
    Refused("a json number", _csv("5"), UNREADABLE, "Line 1 is a single JSON value"),
    Refused("a json string", _csv('"text"\n'), UNREADABLE, "Line 1 is a single JSON value"),
    Refused("json null", _csv("null"), UNREADABLE, "Line 1 is a single JSON value"),
    Refused("a list of json numbers", _csv("[1, 2]"), UNREADABLE, "line 1 at character 2"),
    Refused("an empty list", _csv("[]"), EMPTY, "no rows"),
    Refused("lists nested deeply", _csv("[" * _DEEP + "]" * _DEEP), UNREADABLE, "line 1 at character 2"),
    Refused("objects nested deeply", _csv('{"a":' * _DEEP + "1" + "}" * _DEEP), UNREADABLE, "nested too deeply"),
    Refused("a value nested deeply", _csv('[{"a":' + "[" * _DEEP), UNREADABLE, "line 1 at character 2.*too deeply"),
    Refused("a number of many digits", _csv('[{"a": ' + "9" * 10_000 + "}]"), UNREADABLE, "line 1 .* too many digits"),
    Refused("truncated gzip", lambda: _half(_PACKED), UNREADABLE, f"at its byte {len(_half(_PACKED)):,}: no more"),
    Refused("gzip without its end", lambda: _PACKED[:-1], UNREADABLE, "gzip file is damaged or was cut off"),
    Refused("truncated zstd", lambda: _half(_zstd()), UNREADABLE, "zstd file is damaged or was cut off at its byte"),
    Refused(
        "truncated xlsx", lambda: _half(_workbook()), UNREADABLE, "workbook is damaged, or was cut off at its byte"
    ),
    Refused("damaged xlsx", lambda: _damaged_inside(_workbook()), UNREADABLE, "workbook is damaged"),
    Refused("truncated parquet", lambda: _half(_parquet()), UNREADABLE, "cut off: .* at its byte"),
    Refused("damaged parquet", lambda: _damaged_inside(_parquet()), UNREADABLE, "Parquet file is damaged"),
    Refused("an archive of files", _archive, UNSUPPORTED, "zip archive but no Excel workbook"),
    Refused("a gzip bomb", lambda: gzip.compress(b"a,b\n" + b"0,0\n" * 7_000_000), _TOO_LARGE, "larger than the 10 MB"),
    Refused("a zip bomb", _bomb, _TOO_LARGE, "larger than the 10 MB"),
    Refused("too many columns", lambda: _wide(2001), _TOO_MANY, "2,001 columns .* at most 2,000"),
    Refused("too many members", lambda: json.dumps([{str(n): n for n in range(2001)}]).encode(), _TOO_MANY, "2,001"),
]
"""Every one of them; limits are the settings' defaults."""


def _saved(book: openpyxl.Workbook) -> bytes:
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def _written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _random(count: int) -> bytes:
    return np.random.default_rng(count).bytes(count)


def _zstd() -> bytes:
    packed: bytes = pa.compress(_random(30_000).hex().encode(), "zstd", asbytes=True)
    return packed


def _wide(columns: int) -> bytes:
    return (",".join(f"c{n}" for n in range(columns)) + "\n" + ",".join("1" * columns) + "\n").encode()
