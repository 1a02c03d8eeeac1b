"""What is told of a column's values, by sorting them or by SQL: the same."""

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from services.dataset.ingestion.sorted_values import SortedValues
from services.dataset.ingestion.values import QueriedValues

RANDOM = np.random.default_rng(3)
NUMBERS = {
    "integers": pa.array([3, 1, 2, None, 3, -7, 3, 1]),
    "unsigned": pa.array([2**63 + 2048, 0, 2**63 + 2048], pa.uint64()),
    "money": pa.array(RANDOM.lognormal(3, 1, 500).round(2)),
    "noise": pa.array(RANDOM.random(500)),
    "small": pa.array([1e-7, 2.5e-7, 0.0, -0.0, 1e20, 123456789.125]),
    "missing": pa.array([1.5, None, 2.25, 1.5]),
    "single precision": pa.array([0.1, 2.25, 16777216.0], pa.float32()),
    "one": pa.array([4.5]),
}
MOMENTS = {
    "days": pa.array(["2024-02-29", None, "1500-01-01", "2024-02-29"]).cast(pa.date32()),
    "clocks": pa.array(["2024-02-29 12:30:00.25", "1969-12-31 23:59:59", "2024-02-29 12:30:00.25"]).cast(
        pa.timestamp("us")
    ),
    "instants": pa.array(["2024-02-29 12:30Z", None, "2024-02-29 14:30+02"]).cast(pa.timestamp("us", "UTC")),
    "milliseconds": pa.array(["2024-02-29 12:30:00", "0001-01-01 00:00:00"]).cast(pa.timestamp("ms")),
}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database."""
    with duckdb.connect(config={"threads": 1}) as made:
        made.execute("SET TimeZone = 'UTC'")
        yield made


def _both(connection: duckdb.DuckDBPyConnection, values: pa.Array) -> tuple[SortedValues, QueriedValues]:
    connection.register("given", pa.table({"v": values}))
    parts = [values.slice(0, 1), values.slice(1)]
    return (
        SortedValues(parts, values.type, len(values)),
        QueriedValues(connection, "given", "v", values.type, len(values)),
    )


def _counts(values: SortedValues | QueriedValues) -> tuple[Any, ...]:
    return values.count, values.distinct, values.top(3), values.top(1000)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Numbers are counted, ranked, averaged and binned alike."""
    ours, asked = _both(connection, NUMBERS[name])
    assert _counts(ours) == _counts(asked)
    if pa.types.is_integer(ours.kind):
        assert ours.whole_extremes == asked.whole_extremes
    numbers, expected = ours.numbers(), asked.numbers()
    assert (numbers.minimum, numbers.maximum) == (expected.minimum, expected.maximum)
    assert numbers.decimal_places == expected.decimal_places
    assert (numbers.mean, numbers.standard_deviation) == pytest.approx((expected.mean, expected.standard_deviation))
    assert numbers.quantiles == pytest.approx(expected.quantiles)
    edges = np.linspace(numbers.minimum, numbers.maximum + 1, 7).tolist()
    assert ours.histogram(edges) == asked.histogram(edges)


@pytest.mark.parametrize("name", MOMENTS)
def test_moments(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Dates and times are counted, ranked and binned alike."""
    ours, asked = _both(connection, MOMENTS[name])
    assert _counts(ours) == _counts(asked)
    assert ours.moments() == asked.moments()
    _, _, first, last = ours.moments()
    edges = np.linspace(first, last + 1, 7).tolist()
    assert ours.histogram(edges) == asked.histogram(edges)


def test_spelled_decimals(connection: duckdb.DuckDBPyConnection) -> None:
    """Digits behind the point are counted in numbers so long that only their spelling tells."""
    for numbers in ([1234567890123.4567], [0.1 + 0.2], [1e300, 0.25], [4503599627370497.5], [1e-15], [1.0000001]):
        ours, asked = _both(connection, pa.array(numbers))
        found, expected = ours.numbers(), asked.numbers()
        assert found.decimal_places == expected.decimal_places, numbers
