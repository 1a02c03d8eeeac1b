"""JSON arrays and JSON lines."""

import datetime as dt
import json
import math

import pytest

from services.dataset.ingestion.faults import Fault, Reason
from services.dataset.ingestion.tasks import Limits
from tests.dataset.ingestion.conftest import Ingest

ROWS = [
    {"whole": 1, "number": 1.0, "flag": True, "text": "12", "day": "2024-02-29", "nested": {"a": [1, "ü"]}},
    {"whole": None, "number": 2.5, "flag": None, "text": "x", "day": None, "nested": None},
    {"whole": 2**53 + 1, "number": math.nan, "flag": False, "text": "", "late": "here"},
]


@pytest.mark.parametrize("layout", ["array", "pretty", "lines", "objects"])
def test_layouts(read: Ingest, layout: str) -> None:
    """Arrays, lines, and objects over several lines hold the same table."""
    text = {
        "array": json.dumps(ROWS),
        "pretty": json.dumps(ROWS, indent=4),
        "lines": "\n".join(map(json.dumps, ROWS)) + "\n",
        "objects": "\n".join(json.dumps(row, indent=2) for row in ROWS),
    }[layout]
    found = read(text)
    assert found.outcome.source_format == ("json" if layout in {"array", "pretty"} else "jsonl")
    assert {
        name: column.to_pylist() for name, column in zip(found.table.column_names, found.table.columns, strict=True)
    } == {
        "whole": [1, None, 2**53 + 1],
        "number": [1.0, 2.5, None],
        "flag": [True, None, False],
        "text": ["12", "x", ""],
        "day": [dt.date(2024, 2, 29), None, None],
        "nested.a": ['[1,"ü"]', None, None],
        "late": [None, None, "here"],
    }
    assert found.types["number"] == "float"
    assert found.outcome.notes == (
        "Members of nested objects became the columns “nested.a”.",
        "Nested lists and empty objects were kept as JSON text: “nested.a”.",
    )


def test_nested_objects_become_columns(read: Ingest) -> None:
    """Members of nested objects are columns with dotted names, which meet no other column, and nothing is lost."""
    rows: list[dict[str, object]] = [
        {"a": {"b": 1, "c": {"d": "x"}}, "a.b": 5, "list": [1, {"q": None}], "empty": {}},
        {"a": 3, "list": None},
        {"a": {"b": None}},
    ]
    found = read(json.dumps(rows))
    assert found.table.to_pydict() == {
        "a.b": [1, None, None],
        "a.c.d": ["x", None, None],
        "a.b_2": [5, None, None],
        "list": ['[1,{"q":null}]', None, None],
        "empty": ["{}", None, None],
        "a": [None, 3, None],
    }
    assert found.outcome.notes == (
        "Columns whose name occurred before were called “a.b_2”.",
        "Members of nested objects became the columns “a.b”, “a.c.d”.",
        "Nested lists and empty objects were kept as JSON text: “list”, “empty”.",
    )


def test_objects_nested_deeply(read: Ingest) -> None:
    """Objects nested deeper than anybody means it stay JSON text; what no reader takes is refused by its place."""
    found = read('{"a":' * 100 + "1" + "}" * 100)
    [name] = found.table.column_names
    assert name == ".".join(["a"] * 32)
    assert found.table[name].to_pylist() == ['{"a":' * 68 + "1" + "}" * 68]
    for deep in ('{"a":' * 100_000 + "1" + "}" * 100_000, '[{"a":' + "[" * 100_000 + "]" * 100_000 + "}]"):
        with pytest.raises(Fault, match=r"line 1 at character .*nested too deeply"):
            read(deep)


def test_members_that_come_twice(read: Ingest) -> None:
    """A name that an object has twice gets a number; both values are kept."""
    found = read('[{"z": 1, "z": 2, "z_2": 9}, {"z": 3}]')
    assert found.table.to_pydict() == {"z": [1, 3], "z_3": [2, None], "z_2": [9, None]}
    assert found.outcome.notes == ("Members that an object has more than once were numbered: “z”.",)


def test_strings_stay_strings(read: Ingest) -> None:
    """What is in quotes is text, whatever it looks like: JSON can tell numbers from text."""
    found = read(json.dumps([{"a": "1", "b": "true", "c": 1}, {"a": "2", "b": "false", "c": "3"}]))
    assert found.table.to_pydict() == {"a": ["1", "2"], "b": ["true", "false"], "c": [1, 3]}


def test_columns_that_come_late(read: Ingest) -> None:
    """A member that first occurs after many rows is a column, missing in all rows before."""
    rows: list[dict[str, object]] = [{"a": number} for number in range(40_000)]
    rows += [{"a": 1, "b": "x"}, {"b": "y"}]
    found = read("\n".join(map(json.dumps, rows)))
    assert found.table["a"].to_pylist() == [row.get("a") for row in rows]
    assert found.table["b"].to_pylist() == [row.get("b") for row in rows]


def test_characters_across_chunks(read: Ingest) -> None:
    """Text of several megabytes is read whole though it is read in pieces."""
    texts = ["€ä漢😀" * 1000 + str(number) for number in range(300)]
    found = read(json.dumps([{"a": text} for text in texts], ensure_ascii=False))
    assert found.table["a"].to_pylist() == texts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"a": 1},\n {"a": }]', "line 2 at character 8: expecting value"),
        ('{"a": 1}\n{"a": 2\n', "line 3 at character 1"),
        ('[{"a": 1}, 5]', "line 1 at character 12: an object"),
        ('[{"a": 1}', r"line 1 at character 10: “\]”"),
        ('[{"a": 1}] x', "nothing may follow"),
        ('{"meta": 1, "data": [{"a": 1}]}', "member “data”"),
        ("[1, 2]", "an object"),
    ],
)
def test_faults_are_located(read: Ingest, content: str, message: str) -> None:
    """What is wrong is told by line and character."""
    with pytest.raises(Fault, match=message) as fault:
        read(content)
    assert fault.value.reason is Reason.UNREADABLE


@pytest.mark.parametrize("content", ["[]", "[{}]", "  "])
def test_nothing_in_it(read: Ingest, content: str) -> None:
    """An array without a row is refused."""
    with pytest.raises(Fault) as fault:
        read(content)
    assert fault.value.reason is Reason.EMPTY


def test_too_many_columns(read: Ingest) -> None:
    """More members than allowed are refused as soon as they are seen."""
    with pytest.raises(Fault) as fault:
        read(json.dumps([{str(number): number} for number in range(50)]), Limits(max_columns=20))
    assert fault.value.reason is Reason.TOO_MANY_COLUMNS
