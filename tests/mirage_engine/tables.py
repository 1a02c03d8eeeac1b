"""Arrow tables of any kind, for property tests."""

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

Values = st.SearchStrategy[Any]


def _integers(bits: int, signed: bool) -> Values:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.one_of(st.integers(low, high), st.integers(max(low, 0), min(high, 5)))


def _floats(width: Literal[16, 32, 64]) -> Values:
    return st.one_of(
        st.floats(width=width),
        st.integers(-500, 500).map(lambda number: number / 4),
        st.sampled_from([0.0, 1.0, math.nan, math.inf]),
    )


def _decimals(digits: int, scale: int) -> Values:
    whole = st.integers(-(10**digits) + 1, 10**digits - 1)
    return st.one_of(whole, st.integers(-99, 99)).map(lambda number: _as_decimal(number, scale))


def _as_decimal(number: int, scale: int) -> Any:
    from decimal import Context, Decimal

    return Decimal(number).scaleb(-scale, Context(prec=80))


_TEXTS = st.one_of(st.sampled_from(["", "a", "b", "Łódź", "∅"]), st.text(max_size=5))
_BYTES = st.binary(max_size=3)
_INSTANTS = st.one_of(st.integers(-(2**62), 2**62), st.integers(0, 3).map(lambda days: days * 86_400_000_000_000))

# Each type, and the integers or Python values that its columns are made of.
KINDS: list[tuple[pa.DataType, Values]] = [
    (pa.int8(), _integers(8, signed=True)),
    (pa.int32(), _integers(32, signed=True)),
    (pa.int64(), _integers(64, signed=True)),
    (pa.uint8(), _integers(8, signed=False)),
    (pa.uint64(), _integers(64, signed=False)),
    (pa.float16(), _floats(16)),
    (pa.float32(), _floats(32)),
    (pa.float64(), _floats(64)),
    (pa.decimal32(7, 2), _decimals(7, 2)),
    (pa.decimal64(18, 4), _decimals(18, 4)),
    (pa.decimal128(38, 6), _decimals(38, 6)),
    (pa.decimal256(70, 0), _decimals(70, 0)),
    (pa.bool_(), st.booleans()),
    (pa.string(), _TEXTS),
    (pa.large_string(), _TEXTS),
    (pa.string_view(), _TEXTS),
    (pa.binary(), _BYTES),
    (pa.binary_view(), _BYTES),
    (pa.binary(4), st.binary(min_size=4, max_size=4)),
    (pa.date32(), st.dates()),
    (pa.date64(), st.dates()),
    (pa.time32("s"), st.integers(0, 86_399)),
    (pa.time64("us"), st.integers(0, 86_399_999_999)),
    (pa.timestamp("ns"), _INSTANTS),
    (pa.timestamp("us", "Europe/Warsaw"), _INSTANTS),
    (pa.timestamp("s"), st.integers(-(2**40), 2**40)),
    (pa.duration("ms"), st.integers(-(2**40), 2**40)),
    (pa.dictionary(pa.int32(), pa.string()), _TEXTS),
    (pa.dictionary(pa.int16(), pa.string(), ordered=True), _TEXTS),
    (pa.dictionary(pa.int32(), pa.int64()), _integers(64, signed=True)),
    (pa.null(), st.none()),
]


@st.composite
def columns(draw: Callable[..., Any], rows: int) -> pa.ChunkedArray:
    """A column of so many rows of any type that can be learnt, often with nulls, sometimes in two chunks."""
    kind, values = draw(st.sampled_from(KINDS))
    missing = draw(st.sampled_from([0, 0, 1, 3, 4]))
    cells = [None if index % 4 < missing else draw(values) for index in range(rows)]
    as_integers = pa.types.is_time(kind) or pa.types.is_timestamp(kind) or pa.types.is_duration(kind)
    if as_integers:
        array = pa.array(cells, pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind)
    else:
        array = pa.array(cells, kind)
    cut = draw(st.integers(0, rows))
    return pa.chunked_array([array.slice(0, cut), array.slice(cut)], kind)


@st.composite
def tables(draw: Callable[..., Any], most_columns: int = 4, most_rows: int = 40) -> pa.Table:
    """A table of at least one column and one row."""
    rows = draw(st.integers(1, most_rows))
    made = [draw(columns(rows)) for _ in range(draw(st.integers(1, most_columns)))]
    return pa.table(made, names=[f"c{place}" for place in range(len(made))])


def people(rows: int = 600, seed: int = 0) -> pa.Table:
    """A table in which columns depend on one another, some cells are missing, and types are of all kinds."""
    random = np.random.default_rng(seed)
    age = random.integers(18, 80, rows)
    city = np.array(["Paris", "Lyon", "Rome"])[np.minimum(age // 25, 2)]
    income = np.round(np.exp(random.normal(6 + age / 40, 0.3)), 2)
    return pa.table(
        {
            "age": age,
            "city": pa.array(city),
            "income": pa.array(income, mask=(city == "Rome") & (random.random(rows) < 0.6)),
            "member": pa.array(age > 50),
            "since": pa.array(random.integers(10_000, 19_000, rows).astype("datetime64[D]")),
            "seen": pa.array(random.integers(0, 10**6, rows) * 1000, pa.timestamp("ms", "Europe/Paris")),
            "weight": random.normal(70, 9, rows),
        }
    )
