"""Preparing a table for a model and restoring it, without any model between."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servicekit.column_types import ColumnRole, ColumnType
from services.generation.engines.protocol import Failure
from services.generation.tables.columns import ColumnSpec
from services.generation.tables.numbers import RealNumber, WholeNumber
from services.generation.tables.plan import Plan
from services.generation.tables.prepare import Prepared, prepare
from services.generation.tables.restore import Restorer
from tests.generation.tables.sources import mixed_table

MADE_OUTSIDE = {"number", "Kürzel", "uuid", "mail", "remark"}
# Grouped categories come back as others of their group, and floats can't tell neighbours beyond 2^53.
NOT_EXACT = MADE_OUTSIDE | {"many", "unsigned", "huge", "infinite"}


def prepared(table: pa.Table, specs: tuple[ColumnSpec, ...], limit: int | None = 50) -> Prepared:
    """A table prepared with nothing held out."""
    return prepare(table, specs, held_out=np.zeros(len(table), dtype=np.bool_), seed=1, category_limit=limit)


def restored(plan: Plan, learned: pa.Table, seed: int = 1) -> pa.Table:
    """Learned rows as rows of the source."""
    return Restorer(plan, len(learned), seed, plan.conditions({})).restore(learned)


@pytest.fixture(scope="module")
def source() -> tuple[pa.Table, tuple[ColumnSpec, ...]]:
    """A table with every kind of column."""
    return mixed_table()


@pytest.fixture(scope="module")
def ready(source: tuple[pa.Table, tuple[ColumnSpec, ...]]) -> Prepared:
    """The same, prepared."""
    return prepared(*source)


def test_learned_table_is_plain(ready: Prepared) -> None:
    """A model sees finite numbers and dense codes under ASCII names, and nothing missing."""
    assert all(name.isascii() and name.isalnum() for name in ready.learned.column_names)
    for column in ready.learned.itercolumns():
        assert column.null_count == 0
        if pa.types.is_floating(column.type):
            assert np.isfinite(column.to_numpy()).all()
        else:
            codes = np.unique(column.to_numpy())
            assert column.type == pa.int32()
            assert codes.tolist() == list(range(len(codes)))
            assert len(codes) <= 50


def test_schema_survives(source: tuple[pa.Table, tuple[ColumnSpec, ...]], ready: Prepared) -> None:
    """Names, order and Arrow types come back exactly, whatever the script and the type."""
    assert restored(ready.plan, ready.learned).schema.equals(source[0].schema)


def test_values_survive(source: tuple[pa.Table, tuple[ColumnSpec, ...]], ready: Prepared) -> None:
    """What a model gives back unchanged is restored to the very values that were prepared."""
    table = source[0]
    back = restored(ready.plan, ready.learned)
    for name in set(table.column_names) - NOT_EXACT:
        assert back[name].to_pylist() == table[name].to_pylist(), name


def test_missing_stays_missing(source: tuple[pa.Table, tuple[ColumnSpec, ...]], ready: Prepared) -> None:
    """Rows with a missing value keep it missing, in columns made outside of the model too."""
    table = source[0]
    back = restored(ready.plan, ready.learned)
    for name in set(table.column_names) - {"infinite"}:
        assert back[name].is_null().to_pylist() == table[name].is_null().to_pylist(), name


def test_plan_survives_storage(ready: Prepared) -> None:
    """A plan read back from JSON restores the same rows."""
    again = Plan.model_validate_json(ready.plan.model_dump_json())
    assert again == ready.plan or again.model_dump_json() == ready.plan.model_dump_json()
    assert restored(again, ready.learned).equals(restored(ready.plan, ready.learned))


def test_ranges_and_categories_hold(source: tuple[pa.Table, tuple[ColumnSpec, ...]], ready: Prepared) -> None:
    """However far a model's numbers go astray, no value leaves the source's range, places or categories."""
    table, specs = source
    wild = {}
    draws = np.random.default_rng(7)
    for name in ready.learned.column_names:
        column = ready.learned[name]
        if pa.types.is_floating(column.type):
            wild[name] = pa.array(draws.normal(size=len(column)) * 10.0 ** draws.integers(0, 25, len(column)))
        else:
            wild[name] = pa.array(draws.permutation(column.to_numpy()))
    back = restored(ready.plan, pa.table(wild))
    for spec in specs:
        values, own = back[spec.name].drop_null(), table[spec.name].drop_null()
        if spec.name in MADE_OUTSIDE or spec.name == "nothing":
            continue
        if spec.type in {ColumnType.CATEGORICAL, ColumnType.BOOLEAN}:
            assert set(values.to_pylist()) <= set(own.to_pylist()), spec.name
        else:
            finite = own.filter(pc.is_finite(own)) if pa.types.is_floating(own.type) else own
            low, high = (pc.min_max(finite)[end].as_py() for end in ("min", "max"))
            assert low <= pc.min(values).as_py(), spec.name
            assert pc.max(values).as_py() <= high, spec.name
    assert all(value == round(value, 2) for value in back["money"].drop_null().to_pylist())
    assert all(value.microsecond == 0 for value in back["second"].to_pylist())
    assert all((value.hour, value.minute) == (0, 0) for value in back["local midnight"].to_pylist())


def test_columns_without_missing_values_stay_so() -> None:
    """Where the schema allows no missing value, what is no finite number comes back as no number."""
    schema = pa.schema([pa.field("x", pa.float64(), nullable=False), pa.field("y", pa.int64(), nullable=False)])
    table = pa.table({"x": [float("nan"), float("inf"), *range(18)], "y": list(range(20))}, schema=schema)
    ready = prepared(table, (_spec("x", ColumnType.FLOAT), _spec("y", ColumnType.INTEGER)))
    back = restored(ready.plan, ready.learned)
    assert back.schema.equals(schema)
    assert back["x"].null_count == 0
    assert np.isnan(back["x"].to_numpy()).sum() == 2


def test_rare_categories_come_back() -> None:
    """Categories beyond the engine's limit share a code and come back by their frequencies, none lost from the set."""
    values = [f"c{number % 40}" for number in range(400)] + ["often"] * 400
    table = pa.table({"c": values, "x": np.arange(800.0)})
    specs = (ColumnSpec(name="c", type=ColumnType.CATEGORICAL), ColumnSpec(name="x", type=ColumnType.FLOAT))
    ready = prepared(table, specs, limit=10)
    assert len(pc.unique(ready.learned["c0"])) == 10
    back = restored(ready.plan, ready.learned)["c"].to_pylist()
    assert set(back) == set(values)
    assert back.count("often") == 400


def test_missing_rate_is_corrected() -> None:
    """A model that says "missing" too often or too rarely is corrected to the source's rate."""
    draws = np.random.default_rng(0)
    table = pa.table({
        "x": pa.array(draws.normal(size=4000), mask=draws.random(4000) < 0.3),
        "c": pa.array(draws.choice(["a", "b"], 4000), mask=draws.random(4000) < 0.1),
    })  # fmt: skip
    specs = (ColumnSpec(name="x", type=ColumnType.FLOAT), ColumnSpec(name="c", type=ColumnType.CATEGORICAL))
    ready = prepared(table, specs)
    wrong = ready.learned.set_column(
        ready.learned.column_names.index("m0"), "m0", pa.array((draws.random(4000) < 0.7).astype(np.int32))
    )
    wrong = wrong.set_column(wrong.column_names.index("c1"), "c1", pa.array(draws.integers(0, 2, 4000, dtype=np.int32)))
    back = restored(ready.plan.calibrated(wrong), wrong)
    assert back["x"].null_count / 4000 == pytest.approx(0.3, abs=0.03)
    assert back["c"].null_count / 4000 == pytest.approx(0.1, abs=0.03)


def test_held_out_rows_are_not_learned() -> None:
    """A held-out row leaves no trace in ranges and categories, yet its identifier is avoided."""
    table = pa.table({"id": list(range(50)), "x": [*range(49), 1000], "c": ["a", "b"] * 24 + ["a", "only here"]})
    specs = tuple(
        ColumnSpec(name=name, type=type_)
        for name, type_ in (("id", ColumnType.IDENTIFIER), ("x", ColumnType.INTEGER), ("c", ColumnType.CATEGORICAL))
    )
    held = np.arange(50) == 49
    ready = prepare(table, specs, held_out=held, seed=1)
    back = restored(ready.plan, ready.learned)
    assert pc.max(back["x"]).as_py() == 48
    assert set(back["c"].to_pylist()) == {"a", "b"}
    assert pc.min(back["id"]).as_py() > 49


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30))
def test_whole_numbers(values: list[int]) -> None:
    """Any 64-bit integers are learned and restored within their range, exactly where floats can tell them apart."""
    array = pa.array(values, pa.int64())
    number = WholeNumber.of(array)
    back = number.decode(number.encode(array), pa.int64()).to_pylist()
    assert all(min(values) <= value <= max(values) for value in back)
    if number.steps < 2**53:
        assert back == values


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=30).filter(
        lambda x: len(set(x)) > 1
    )
)
def test_real_numbers(values: list[float]) -> None:
    """Any finite floats are learned as finite numbers and restored within their range, near where they were."""
    array = pa.array(values)
    number = RealNumber.of(array)
    learned = number.encode(array)
    assert np.isfinite(learned).all()
    back = number.decode(learned, pa.float64()).to_pylist()
    spread = max(values) / 2 - min(values) / 2
    for value, again in zip(values, back, strict=True):
        assert min(values) <= again <= max(values)
        assert abs(value / 2 - again / 2) <= spread * 1e-9 + abs(value) * 1e-9


def _spec(name: str, type_: ColumnType, role: ColumnRole = ColumnRole.FEATURE) -> ColumnSpec:
    return ColumnSpec(name=name, type=type_, role=role)


@pytest.mark.parametrize(
    ("table", "specs", "said"),
    [
        (pa.table({"x": [1.0] * 5 + [2.0]}), (_spec("x", ColumnType.FLOAT),), "at least 10"),
        (pa.table({"x": range(20)}), (_spec("y", ColumnType.INTEGER),), "no column 'y'"),
        (pa.table({"x": [[1]] * 20}), (_spec("x", ColumnType.CATEGORICAL),), "can't be learned"),
        (pa.table({"x": [b"1"] * 20}), (_spec("x", ColumnType.IDENTIFIER),), "can't identify"),
        (pa.table({"x": range(20), "y": [1] * 20}),
         (_spec("x", ColumnType.INTEGER, ColumnRole.PRIMARY_KEY), _spec("y", ColumnType.INTEGER)), "nothing to learn"),
    ],
    ids=["too few rows", "no such column", "nested values", "unfit identifier", "nothing to learn"],
)  # fmt: skip
def test_tables_that_cannot_be_learned(table: pa.Table, specs: tuple[ColumnSpec, ...], said: str) -> None:
    """A table that can't be learned is refused in words that say what is wrong with it."""
    with pytest.raises(Failure, match=said) as caught:
        prepared(table, specs)
    assert caught.value.reason == "TABLE_NOT_LEARNABLE"
