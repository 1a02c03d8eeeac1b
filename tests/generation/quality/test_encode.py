"""Tables as people have them, made comparable."""

import datetime as dt
import io
from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from servicekit.column_types import ColumnRole, ColumnType
from servicekit.personal_data import PersonalKind
from services.generation.engines.protocol import Failure
from services.generation.quality.encode import encode
from services.generation.quality.tables import Kind, Table
from services.generation.tables.columns import ColumnSpec
from tests.generation.tables.sources import mixed_table


def values_of(table: Table) -> Mapping[str, np.ndarray]:
    """Arrays by column."""
    return {column.name: values for column, values in zip(table.columns, table.values, strict=True)}


def test_kinds() -> None:
    """Every column is compared as what it is taken for; identifiers, texts and personal data aren't compared."""
    table, specs = mixed_table(300)
    specs = tuple(
        spec.model_copy(update={"personal_data": PersonalKind.CITY}) if spec.name == "many" else spec for spec in specs
    )
    found = encode(table, table.slice(0, 50), table, specs)
    assert {column.name: column.kind for column in found.training.columns} == {
        **dict.fromkeys(["age", "beyond 2^53", "unsigned", "money", "single", "huge", "infinite"], Kind.NUMBER),
        **dict.fromkeys(["price", "constant or missing", "nothing"], Kind.NUMBER),
        **dict.fromkeys(["flag", "Farbe 色", "grade", "constant"], Kind.CATEGORY),
        **dict.fromkeys(["day", "second", "utc", "local midnight", "hour"], Kind.DATE),
    }
    assert found.holdout is not None
    assert [len(each) for each in (found.training, found.holdout, found.synthetic)] == [300, 50, 300]
    assert any("identify rows: 'number', 'Kürzel', 'uuid', 'mail'" in note for note in found.notes)
    assert any("free text: 'remark'" in note for note in found.notes)
    assert any("personal data, which is invented anew: 'many'" in note for note in found.notes)


def test_values() -> None:
    """Numbers are themselves, what isn't finite is missing, dates are seconds, categories share their codes."""
    table = pa.table(
        {
            "number": pa.array([1.5, None, float("inf"), float("nan")]),
            "exact": pa.array([Decimal("1.25"), None, Decimal("-3.00"), Decimal("0")], pa.decimal128(9, 2)),
            "day": pa.array([dt.date(1970, 1, 2), None, dt.date(1969, 12, 31), dt.date(2020, 1, 1)]),
            "instant": pa.array([86_400_500, None, 0, -1], pa.timestamp("ms", "Europe/Berlin")),
            "time": pa.array([dt.time(1, 0, 0, 250_000), None, dt.time(0), dt.time(23, 59, 59)]),
            "long": pa.array([dt.timedelta(minutes=2), None, dt.timedelta(0), dt.timedelta(seconds=-1)]),
            "colour": pa.array(["red", None, "blue", "red"]).dictionary_encode(),
        }
    )
    types = [*[ColumnType.FLOAT] * 2, *[ColumnType.DATE] * 3, ColumnType.FLOAT, ColumnType.CATEGORICAL]
    specs = [ColumnSpec(name=name, type=type_) for name, type_ in zip(table.column_names, types, strict=True)]
    made = table.slice(0, 2).set_column(6, "colour", pa.array(["green", "blue"]))
    found = encode(table, None, made, specs)
    values = values_of(found.training)
    gap = np.nan
    for name, expected in {
        "number": [1.5, gap, gap, gap],
        "exact": [1.25, gap, -3, 0],
        "day": [86_400, gap, -86_400, 1_577_836_800],
        "instant": [86_400.5, gap, 0, -0.001],
        "time": [3600.25, gap, 0, 86_399],
        "long": [120, gap, 0, -1],
    }.items():
        assert np.array_equal(values[name], expected, equal_nan=True), name
    assert found.training.columns[6].labels == ("red", "blue", "green")
    assert values["colour"].tolist() == [0, -1, 1, 0]
    assert values_of(found.synthetic)["colour"].tolist() == [2, 1]


def test_table_from_a_csv_file() -> None:
    """A table that went through a CSV file, and has other types, is read as what the real table holds."""
    table, specs = mixed_table(300)
    file = io.BytesIO()
    pyarrow.csv.write_csv(table, file)
    file.seek(0)
    options = pyarrow.csv.ConvertOptions(
        strings_can_be_null=True, column_types={"grade": pa.float64(), "day": pa.string()}
    )
    again = pyarrow.csv.read_csv(file, convert_options=options)
    assert again.schema.field("hour").type == pa.string()
    found = encode(table, None, again, specs)
    for column, real, made in zip(found.training.columns, found.training.values, found.synthetic.values, strict=True):
        assert np.allclose(real, made, rtol=1e-6, equal_nan=True), column.name


@pytest.mark.parametrize(
    ("real", "made", "taken_for"),
    [
        (pa.array([True, False]), pa.array(["TRUE", "no"]), ColumnType.BOOLEAN),
        (pa.array([True, False]), pa.array([1, 0]), ColumnType.BOOLEAN),
        (pa.array([10, 20]), pa.array([10.0, 20.0]), ColumnType.CATEGORICAL),
        (pa.array([10, 20]), pa.array(["10", "20.0"]), ColumnType.CATEGORICAL),
        (pa.array([1.5, 2.0]), pa.array(["1.50", "2"]), ColumnType.CATEGORICAL),
        (pa.array(["a", "b"]), pa.array(["a", "b"]).dictionary_encode(), ColumnType.CATEGORICAL),
        (pa.array([1, 2]), pa.array(["1", " 2 "]), ColumnType.INTEGER),
        (pa.array([1.5, 2.0]), pa.array([1.5, 2.0], pa.float16()), ColumnType.CATEGORICAL),
        (pa.array([1.5, 2.0], pa.float16()), pa.array(["1.50", "2"]), ColumnType.CATEGORICAL),
    ],
    ids=str,
)
def test_same_values_of_other_types(real: pa.Array, made: pa.Array, taken_for: ColumnType) -> None:
    """The same values in other types are the same."""
    found = encode(pa.table({"x": real}), None, pa.table({"x": made}), [ColumnSpec(name="x", type=taken_for)])
    assert np.array_equal(found.training.values[0], found.synthetic.values[0])


@pytest.mark.parametrize("taken_for", [ColumnType.INTEGER, ColumnType.CATEGORICAL, ColumnType.DATETIME])
def test_values_that_cannot_be_compared(taken_for: ColumnType) -> None:
    """Months, days and times in one value are refused in the table to judge, and not compared in the real one."""
    spans, days = pa.array([(1, 2, 3)] * 2, pa.month_day_nano_interval()), pa.array([dt.date(2020, 1, 1)] * 2)
    with pytest.raises(Failure, match="'x' holds month_day_nano_interval"):
        encode(pa.table({"x": days}), None, pa.table({"x": spans}), [ColumnSpec(name="x", type=taken_for)])
    with pytest.raises(Failure, match="no column in common"):
        encode(pa.table({"x": spans}), None, pa.table({"x": spans}), [ColumnSpec(name="x", type=taken_for)])


def test_unreadable_columns_are_named_together() -> None:
    """Every column that can't be read as the real one is named, with why."""
    real = pa.table({"age": [1, 2], "day": [dt.date(2020, 1, 1)] * 2, "plan": ["a", "b"]})
    made = pa.table({"age": ["one", "two"], "day": [1.5, 2.5], "plan": [["a"], ["b"]]})
    types = [ColumnType.INTEGER, ColumnType.DATE, ColumnType.CATEGORICAL]
    specs = [ColumnSpec(name=name, type=type_) for name, type_ in zip(real.column_names, types, strict=True)]
    with pytest.raises(Failure) as caught:
        encode(real, None, made, specs)
    assert caught.value.reason == "TABLE_NOT_COMPARABLE"
    assert caught.value.metadata == {"columns": "age, day, plan"}
    assert "'age' holds text, where the real column holds numbers" in caught.value.message
    assert "one" not in caught.value.message


def test_missing_and_added_columns() -> None:
    """Columns that only one table has are named and left out; without any in common there is nothing to compare."""
    real, made = pa.table({"a": [1, 2], "b": [1, 2]}), pa.table({"c": [1], "b": [2]})
    specs = [ColumnSpec(name=name, type=ColumnType.INTEGER) for name in ("a", "b")]
    found = encode(real, None, made, specs)
    assert [column.name for column in found.training.columns] == ["b"]
    assert "Not compared, since the synthetic table hasn't got them once: 'a'." in found.notes
    assert "Not compared, since the real table hasn't got them: 'c'." in found.notes
    with pytest.raises(Failure, match="no column in common"):
        encode(real, None, made.select(["c"]), specs)


def predictable(rows: int = 400) -> tuple[pa.Table, list[ColumnSpec]]:
    """A table in which two columns tell of each other, and others of nothing."""
    draws = np.random.default_rng(0)
    size = draws.normal(size=rows)
    table = pa.table(
        {
            "noise": draws.normal(size=rows),
            "colour": draws.choice(["red", "blue"], rows),
            "size": size,
            "grade": np.where(size + draws.normal(size=rows) / 4 > 0, "large", "small"),
            "twice": size * 2 + draws.normal(size=rows),
            "same": ["x"] * rows,
        }
    )
    types = {"colour": ColumnType.CATEGORICAL, "grade": ColumnType.CATEGORICAL, "same": ColumnType.CATEGORICAL}
    return table, [ColumnSpec(name=name, type=types.get(name, ColumnType.FLOAT)) for name in table.column_names]


def test_target() -> None:
    """The target is the one given, else the one of that role, else the one that the others tell most about."""
    table, specs = predictable()
    chosen = encode(table, None, table, specs)
    assert chosen.target in {"size", "grade", "twice"}
    assert chosen.target_chosen
    assert set(chosen.sensitive) == {"size", "grade", "twice"}
    given = encode(table, None, table, specs, target="noise", sensitive=["colour"])
    assert (given.target, given.target_chosen, given.sensitive) == ("noise", False, ("colour",))
    roles = [spec.model_copy(update={"role": ColumnRole.TARGET}) if spec.name == "colour" else spec for spec in specs]
    by_role = encode(table, None, table, roles)
    assert (by_role.target, by_role.target_chosen) == ("colour", False)


def test_unusable_target() -> None:
    """A target that can't be predicted is none, and a note says so; without any usable column there is none."""
    table, specs = predictable()
    found = encode(table, None, table, specs, target="same")
    assert found.target is None
    assert any("'same' can't be predicted" in note for note in found.notes)
    few = table.slice(0, 30)
    assert encode(few, None, few, specs).target is None
    assert encode(few, None, few, specs).sensitive == ()


def test_unknown_target_and_sensitive_columns() -> None:
    """Columns that aren't compared can't be asked for; they are named."""
    table, specs = predictable()
    with pytest.raises(Failure, match="'height'") as caught:
        encode(table, None, table, specs, target="height")
    assert caught.value.reason == "COLUMN_NOT_COMPARED"
    with pytest.raises(Failure) as caught:
        encode(table, None, table, specs, sensitive=["size", "a", "b"])
    assert caught.value.metadata == {"columns": "a, b"}
