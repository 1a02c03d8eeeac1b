"""The table codec: any Arrow table as leaves and back."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirage_engine.codec import CodecSettings, TableCodec
from mirage_engine.codec.categories import REDACTED
from mirage_engine.codec.column import UNKNOWN, Range
from mirage_engine.codec.digits import Digits
from mirage_engine.codec.integers import is_exact
from mirage_engine.codec.types import plain_type, unwrapped
from mirage_engine.errors import TableRefused
from mirage_engine.randomness import words
from tests.mirage_engine.tables import tables

KEEP = CodecSettings(rare_levels="keep")
quick = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def round_trip(table: pa.Table, codec: TableCodec, seed: int = 0) -> pa.Table:
    """A table through the codec's leaves."""
    leaves = codec.encode(table)
    return pa.Table.from_batches([codec.decode(leaves, words(seed, "test", 0, len(table), codec.words_per_row))])


def plain(column: pa.ChunkedArray) -> pa.Array:
    """A column's plain values in one array."""
    return pa.concat_arrays([unwrapped(chunk) for chunk in column.chunks])


def sortable(values: pa.Array) -> list[Any]:
    """Finite values that compare as Python's."""
    if pa.types.is_temporal(values.type):
        values = values.view(pa.int32() if values.type.bit_width == 32 else pa.int64())
    return [value for value in values.to_pylist() if value is not None and value - value == 0]


@quick
@given(table=tables(), seed=st.integers(0, 2**40))
def test_any_table_comes_back_within_its_source(table: pa.Table, seed: int) -> None:
    """Schema, missing cells, category sets, ranges and grids of whatever table goes in hold for what comes out."""
    codec = TableCodec.fit(table, KEEP)
    back = round_trip(table, codec, seed)
    assert back.schema.equals(table.schema, check_metadata=True)
    assert back.num_rows == table.num_rows
    for name in table.column_names:
        source, made = plain(table[name]), plain(back[name])
        assert made.is_null().equals(source.is_null())
        kind = plain_type(table.schema.field(name).type)
        if pa.types.is_boolean(kind) or pa.types.is_null(kind) or not _is_numeric(kind):
            assert made.equals(source)  # every level is kept, so a category comes back as it was
            continue
        before, after = sortable(source), sortable(made)
        assert len(before) == len(after)
        assert not before or (min(before) <= min(after) and max(after) <= max(before))
        if pa.types.is_floating(kind):
            apart = [str(value) for value in source.to_pylist() if value is not None and value - value != 0]
            assert apart == [str(value) for value in made.to_pylist() if value is not None and value - value != 0]


def _is_numeric(kind: pa.DataType) -> bool:
    return is_exact(kind) or bool(pa.types.is_floating(kind))


@quick
@given(table=tables())
def test_every_value_of_the_source_can_be_drawn(table: pa.Table) -> None:
    """Where every value has a cell of its own, the table comes back exactly: no value is out of reach."""
    repeated = pa.concat_tables([table] * 5)
    back = round_trip(repeated, TableCodec.fit(repeated, CodecSettings(rows_per_cell=1, rare_levels="keep")))
    for name in table.column_names:
        source, made = plain(repeated[name]), plain(back[name])
        if pa.types.is_floating(source.type):  # nan is no equal of itself, and the cell of 0 keeps no sign of it
            source, made = source.cast(pa.float64()), made.cast(pa.float64())
            np.testing.assert_array_equal(source.to_numpy(zero_copy_only=False), made.to_numpy(zero_copy_only=False))
        else:
            assert made.equals(source)


@quick
@given(table=tables())
def test_what_is_kept_is_json(table: pa.Table) -> None:
    """A codec that went through JSON decodes the same leaves to the same rows."""
    codec = TableCodec.fit(table, CodecSettings(rare_rows=2, rare_levels="redact"))
    again = TableCodec.from_json(json.loads(json.dumps(codec.to_json())))
    leaves = codec.encode(table)
    np.testing.assert_array_equal(again.encode(table), leaves)
    raw = words(3, "test", 0, len(table), codec.words_per_row)
    for made, expected in zip(again.decode(leaves, raw), codec.decode(leaves, raw), strict=True):
        assert made.type == expected.type
        assert made.to_string(window=1000) == expected.to_string(window=1000)  # nan is no equal of itself


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1_000, 5_000, 250_000], pa.int64()),
        ([2**63 - 1, -(2**63), 0], pa.int64()),
        ([0, 2**64 - 1], pa.uint64()),
        ([0.1, 17.35, 99_999.99], pa.float64()),
        ([0.1, 17.35, 999.99], pa.float32()),
        ([1e-300, 1e300, -1e308], pa.float64()),
    ],
)
def test_a_cell_holds_its_ends_and_nothing_beyond(values: Sequence[float], kind: pa.DataType) -> None:
    """The least and the largest value are met by the least and the largest random word, and grids are kept."""
    table = pa.table({"x": pa.array(values, kind)})
    codec = TableCodec.fit(table, KEEP)  # so few rows share one cell
    extremes = np.array([[0], [2**64 - 1]], dtype=np.uint64)
    made = codec.decode(np.zeros((2, 1), np.int32), extremes).column(0)
    assert made[0] == pa.scalar(min(values), kind)
    assert made[1] == pa.scalar(max(values), kind)


def test_numbers_stay_on_the_grid_of_the_source() -> None:
    """Prices keep two decimals, salaries in thousands stay in thousands, midnights stay midnights."""
    random = np.random.default_rng(1)
    table = pa.table(
        {
            "price": np.round(random.lognormal(3, 1, 2000), 2),
            "salary": random.integers(20, 90_000, 2000) * 1000,
            "day": pa.array(random.integers(0, 20_000, 2000) * 86_400_000_000).cast(pa.timestamp("us", "UTC")),
        }
    )
    made = round_trip(table, TableCodec.fit(table, KEEP))
    assert made["price"].to_pylist() == [round(price, 2) for price in made["price"].to_pylist()]
    assert set(pc.bit_wise_and(made["salary"], 7).to_pylist()) == {0}
    assert all(salary % 1000 == 0 for salary in made["salary"].to_pylist())
    assert {moment.hour for moment in made["day"].to_pylist()} == {0}


def test_rare_levels_are_protected() -> None:
    """By default a level of fewer than five rows is learnt as rare, never drawn, and not in what is kept."""
    table = pa.table({"city": ["Paris"] * 10 + ["Lyon"] * 5 + ["Nowhere-sur-Mer"] * 4})
    codec = TableCodec.fit(table, CodecSettings())
    column = codec.columns[0].codec
    assert column.never_drawn.tolist() == [False, False, True]
    assert codec.encode(table)[-1, 0] == 2
    assert "Nowhere" not in json.dumps(codec.to_json())


def test_rare_levels_can_be_redacted_or_kept() -> None:
    """`redact` draws a label in their place, `keep` leaves them alone."""
    table = pa.table({"city": ["Paris"] * 10 + ["Nowhere-sur-Mer"]})
    redacted = round_trip(table, TableCodec.fit(table, CodecSettings(rare_levels="redact")))
    assert redacted["city"].to_pylist() == ["Paris"] * 10 + [REDACTED]
    assert round_trip(table, TableCodec.fit(table, KEEP))["city"].equals(table["city"])


def test_a_column_of_rare_levels_only_is_redacted() -> None:
    """Names of people can't be merged into anything frequent: none of them comes out."""
    table = pa.table({"name": [f"Person {number}" for number in range(20)]})
    assert set(round_trip(table, TableCodec.fit(table, CodecSettings()))["name"].to_pylist()) == {REDACTED}


def test_an_ordered_dictionary_keeps_its_order() -> None:
    """Entries of an ordered dictionary come back in the source's order, whatever is frequent."""
    sizes = pa.DictionaryArray.from_arrays(
        pa.array([2, 2, 2, 0, 1, 1], pa.int8()), pa.array(["small", "medium", "large"]), ordered=True
    )
    made = round_trip(pa.table({"size": sizes}), TableCodec.fit(pa.table({"size": sizes}), KEEP))
    assert made["size"].chunk(0).dictionary.to_pylist() == ["small", "medium", "large"]
    assert made["size"].to_pylist() == sizes.to_pylist()


def test_what_the_source_could_not_hold_is_unknown() -> None:
    """New levels, numbers out of range and nulls where there were none have no leaf."""
    table = pa.table({"city": ["Paris"] * 6, "age": [30, 40, 50, 30, 40, 50]})
    codec = TableCodec.fit(table, KEEP)
    other = pa.table({"city": ["Rome", None, "Paris"], "age": pa.array([29, None, 50])})
    assert codec.encode(other).tolist() == [[UNKNOWN, UNKNOWN], [UNKNOWN, UNKNOWN], [0, 0]]


def test_every_column_that_cannot_be_learnt_is_named() -> None:
    """A table's problems are told all at once, with what would be right."""
    table = pa.table({"tags": [["a"], ["b"]], "at": [{"x": 1}, {"x": 2}], "age": [1, 2]})
    with pytest.raises(TableRefused) as refused:
        TableCodec.fit(table, CodecSettings(exclude=("nope",), identifiers=("also",)))
    assert set(refused.value.problems) == {"tags", "at", "nope", "also"}
    with pytest.raises(TableRefused, match="no row"):
        TableCodec.fit(table.select(["age"]).slice(0, 0), CodecSettings())


def test_identifiers_are_made_and_columns_left_out() -> None:
    """Identifiers are new, unique, and depend on the row's number alone; excluded columns aren't there."""
    table = pa.table({"id": [7, 8, 9], "key": ["x", "y", "z"], "secret": ["s", "t", "u"], "age": [1, 2, 3]})
    codec = TableCodec.fit(table, CodecSettings(identifiers=("id", "key"), exclude=("secret",)))
    raw = words(0, "test", 0, 10, codec.words_per_row)
    leaves = np.zeros((10, 1), np.int32)
    whole = codec.decode(leaves, raw)
    assert whole.schema.names == ["id", "key", "age"]
    assert whole["id"].to_pylist() == list(range(1, 11))
    assert len(set(whole["key"].to_pylist())) == 10
    assert codec.decode(leaves[4:], raw[4:], first_row=4).equals(whole.slice(4))


@given(regular=st.integers(0, 3000), apart=st.integers(0, 3), ordered=st.booleans())
@settings(max_examples=60, deadline=None)
def test_digits_tell_each_leaf(regular: int, apart: int, ordered: bool) -> None:
    """Leaves and digits are the same, however large the vocabulary."""
    digits = Digits(regular, regular + apart + (regular + apart == 0), ordered)
    leaves = np.arange(digits.leaves, dtype=np.int32)
    split = digits.split(leaves)
    assert all(part.min() >= 0 and part.max() < size for part, size in zip(split, digits.sizes, strict=True))
    np.testing.assert_array_equal(digits.joined(split), leaves)


@pytest.mark.parametrize(
    ("column", "within", "allowed"),
    [
        ("age", Range(31, 45.5), {40}),
        ("age", Range(None, 30), {30}),
        ("city", Range("M", "Q"), {"Paris"}),
        ("price", Range("0.2", 0.3), {0.25}),
    ],
)
def test_ranges_choose_leaves(column: str, within: Range, allowed: set[Any]) -> None:
    """A range allows the leaves that hold a value in it, and their values keep to it."""
    table = pa.table({"age": [30, 40, 50] * 5, "city": ["Paris", "Lyon", "Rome"] * 5, "price": [0.1, 0.25, 0.5] * 5})
    codec = TableCodec.fit(table, KEEP).column(column)
    assert codec is not None
    leaves = np.flatnonzero(codec.codec.shares(within)).astype(np.int32)
    assert set(codec.decode(leaves, np.zeros(len(leaves), np.uint64), within).to_pylist()) == allowed
