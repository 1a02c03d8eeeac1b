"""Source tables for tests: every kind of column, made from a seed."""

import datetime as dt
import uuid
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from servicekit.column_types import ColumnType
from services.generation.tables.columns import ColumnSpec

FIRST = dt.datetime(2020, 1, 1)  # noqa: DTZ001 columns without a zone are meant


def mixed_table(rows: int = 300, seed: int = 0) -> tuple[pa.Table, tuple[ColumnSpec, ...]]:
    """A table with columns of every type, many with missing values, and what each is taken for."""
    draws = np.random.default_rng(seed)

    def gaps(values: Sequence[object], share: float = 0.2) -> list[object]:
        return [None if gap else value for value, gap in zip(values, draws.random(rows) < share, strict=True)]

    days = [FIRST + dt.timedelta(days=int(day)) for day in draws.integers(0, 900, rows)]
    words = ["good", "bad", "service", "slow", "staff", "clean"]
    columns: dict[str, tuple[pa.Array, ColumnType]] = {
        "number": (pa.array(range(1, rows + 1)), ColumnType.IDENTIFIER),
        "Kürzel": (pa.array([f"C-{row:05d}" for row in range(rows)]), ColumnType.IDENTIFIER),
        "uuid": (
            pa.array([str(uuid.UUID(bytes=draws.bytes(16), version=4)) for _ in range(rows)]),
            ColumnType.IDENTIFIER,
        ),
        "mail": (pa.array(gaps([f"p{row}@x{row % 7}.example" for row in range(rows)])), ColumnType.IDENTIFIER),
        "age": (pa.array(gaps(draws.integers(18, 90, rows).tolist()), pa.int32()), ColumnType.INTEGER),
        "beyond 2^53": (
            pa.array((2**62 + draws.integers(0, 2**40, rows) * 7).tolist(), pa.int64()),
            ColumnType.INTEGER,
        ),
        "unsigned": (
            pa.array([2**64 - 1, 0, *draws.integers(0, 2**64 - 1, rows - 2, dtype=np.uint64).tolist()], pa.uint64()),
            ColumnType.INTEGER,
        ),
        "money": (pa.array(gaps(np.round(draws.lognormal(3, 1, rows), 2).tolist())), ColumnType.FLOAT),
        "single": (pa.array(draws.normal(size=rows).astype(np.float32)), ColumnType.FLOAT),
        "huge": (pa.array([1.7e308, -1.7e308, *(draws.normal(size=rows - 2) * 1e307)]), ColumnType.FLOAT),
        "infinite": (pa.array([float("inf"), float("nan"), *draws.normal(size=rows - 2)]), ColumnType.FLOAT),
        "flag": (pa.array(gaps((draws.random(rows) < 0.3).tolist())), ColumnType.BOOLEAN),
        "Farbe 色": (
            pa.array(gaps(draws.choice(["rot", "grün", "藍"], rows).tolist())).dictionary_encode(),
            ColumnType.CATEGORICAL,
        ),
        "grade": (pa.array(draws.choice([10, 20, 70], rows).tolist(), pa.int16()), ColumnType.CATEGORICAL),
        "many": (pa.array([f"v{value}" for value in draws.integers(0, 150, rows)]), ColumnType.CATEGORICAL),
        "day": (pa.array(gaps([day.date() for day in days])), ColumnType.DATE),
        "second": (
            pa.array(
                [FIRST + dt.timedelta(seconds=int(s)) for s in draws.integers(0, 10**7, rows)], pa.timestamp("us")
            ),
            ColumnType.DATETIME,
        ),
        "utc": (pa.array(days, pa.timestamp("ms", "UTC")), ColumnType.DATETIME),
        "local midnight": (
            pc.assume_timezone(pa.array(days, pa.timestamp("ns")), "Europe/Berlin"),
            ColumnType.DATETIME,
        ),
        "hour": (pa.array([dt.time(int(hour)) for hour in draws.integers(0, 24, rows)]), ColumnType.DATETIME),
        "price": (
            pa.array([Decimal(int(cents)) / 100 for cents in draws.integers(0, 99_999, rows)], pa.decimal128(10, 2)),
            ColumnType.FLOAT,
        ),
        "constant": (pa.array(["x"] * rows), ColumnType.CATEGORICAL),
        "constant or missing": (pa.array(gaps([5] * rows)), ColumnType.INTEGER),
        "nothing": (pa.nulls(rows, pa.int64()), ColumnType.INTEGER),
        "remark": (
            pa.array(
                gaps([" ".join([*draws.choice(words, int(draws.integers(2, 9))), f"Name{row}"]) for row in range(rows)])
            ),
            ColumnType.TEXT,
        ),
    }
    table = pa.table({name: array for name, (array, _) in columns.items()})
    return table, tuple(ColumnSpec(name=name, type=type_) for name, (_, type_) in columns.items())


def small_table(rows: int = 240, seed: int = 1) -> tuple[pa.Table, tuple[ColumnSpec, ...]]:
    """A table that trains in no time: an identifier, a number with gaps, an integer, two that hang together."""
    draws = np.random.default_rng(seed)
    kind = draws.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1])
    size = np.round(draws.normal(size=rows) + 5 * (kind == "b"), 1)
    absent = draws.random(rows) < np.where(kind == "a", 0.4, 0.0)
    table = pa.table({
        "id": pa.array([f"K{row:04d}" for row in range(rows)]),
        "size": pa.array(size, mask=absent),
        "count": pa.array(draws.integers(0, 50, rows)),
        "kind": pa.array(kind.tolist()),
        "flag": pa.array((kind == "b").tolist()),
    })  # fmt: skip
    types = [ColumnType.IDENTIFIER, ColumnType.FLOAT, ColumnType.INTEGER, ColumnType.CATEGORICAL, ColumnType.BOOLEAN]
    specs = (ColumnSpec(name=name, type=type_) for name, type_ in zip(table.column_names, types, strict=True))
    return table, tuple(specs)
