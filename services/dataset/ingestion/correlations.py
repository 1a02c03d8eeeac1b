"""How columns go together: Pearson's r between numbers, Cramér's V between categories, over the rows that have both."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from servicekit.column_types import ColumnType
from services.dataset.ingestion.database import batches
from services.dataset.ingestion.reading import batch_rows, internal

MOST_COLUMNS = 60
"""Of each kind, so that pairs stay bounded: the first ones in the table."""
MOST_CATEGORIES = 50
"""A column with more categories is left out: V means little where most combinations can't occur."""
MOST_CATEGORY_ROWS = 500_000
"""In larger tables V is computed on a sample: every second row, every third, and so on."""

Document = dict[str, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]


def correlations(
    connection: duckdb.DuckDBPyConnection,
    view: str,
    profiles: Sequence[Mapping[str, Any]],
    rows: int,
    notes: list[str],
) -> list[Document]:
    """The correlations of a table whose columns have these profiles; `notes` says what was left out."""
    numbers = [
        position
        for position, profile in enumerate(profiles)
        if profile["type"] in (ColumnType.INTEGER, ColumnType.FLOAT)
        and profile.get("numeric", {}).get("standard_deviation", 0.0) > 0.0
    ]
    categories = [
        position
        for position, profile in enumerate(profiles)
        if profile["type"] in (ColumnType.CATEGORICAL, ColumnType.BOOLEAN)
        and 2 <= profile["distinct_count"] <= MOST_CATEGORIES
    ]
    if len(numbers) > MOST_COLUMNS or len(categories) > MOST_COLUMNS:
        notes.append(
            f"Correlations were computed for the first {MOST_COLUMNS} columns of numbers and of categories only."
        )
    names = [str(profile["name"]) for profile in profiles]
    stride = max(1, rows // MOST_CATEGORY_ROWS)
    if stride > 1 and len(categories) > 1:
        notes.append(f"Correlations between categories were computed on one row in {stride}.")
    found = [
        *_pearson(connection, view, numbers[:MOST_COLUMNS], profiles),
        *_cramer(connection, view, categories[:MOST_COLUMNS], stride),
    ]
    return [
        {"first": names[first], "second": names[second], "method": method, "value": value}
        for first, second, method, value in found
    ]


def _pearson(
    connection: duckdb.DuckDBPyConnection, view: str, positions: Sequence[int], profiles: Sequence[Mapping[str, Any]]
) -> list[tuple[int, int, str, float]]:
    """Pearson's r of every pair, in one pass: sums over the rows where both are there, of standardised values."""
    if len(positions) < 2:
        return []
    means = np.array([profiles[position]["numeric"]["mean"] for position in positions])
    deviations = np.array([profiles[position]["numeric"]["standard_deviation"] for position in positions])
    shape = (len(positions), len(positions))
    rows, sums, products, squares = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for batch in _batches(connection, view, positions):
        with np.errstate(over="ignore", invalid="ignore"):
            values = (np.column_stack([_floats(column) for column in batch.columns]) - means) / deviations
        present = np.isfinite(values)
        values = np.where(present, values, 0.0)
        mask = present.astype(np.float64)
        rows += mask.T @ mask
        sums += values.T @ mask
        products += values.T @ values
        squares += (values**2).T @ mask
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = products - sums * sums.T / rows
        variance = squares - sums**2 / rows
        r = covariance / np.sqrt(variance * variance.T)
    constant = variance <= 1e-12 * np.maximum(squares, 1e-300)
    return [
        (positions[i], positions[j], "pearson", float(np.clip(r[i, j], -1.0, 1.0)))
        for i, j in combinations(range(len(positions)), 2)
        if rows[i, j] > 2 and np.isfinite(r[i, j]) and not (constant[i, j] or constant[j, i])
    ]


def _cramer(
    connection: duckdb.DuckDBPyConnection, view: str, positions: Sequence[int], stride: int
) -> list[tuple[int, int, str, float]]:
    """Cramér's V of every pair from its contingency table (Cramér 1946, section 21.9; not corrected for bias)."""
    if len(positions) < 2:
        return []
    codebooks: list[dict[Any, int]] = [{} for _ in positions]
    tables = {pair: np.zeros((MOST_CATEGORIES, MOST_CATEGORIES)) for pair in combinations(range(len(positions)), 2)}
    offset = 0  # of the next row to look at, in the next batch
    for batch in _batches(connection, view, positions):
        chosen = np.arange(offset, batch.num_rows, stride)
        offset = (offset - batch.num_rows) % stride
        codes = [_codes(column.take(chosen), book) for column, book in zip(batch.columns, codebooks, strict=True)]
        for (i, j), table in tables.items():
            both = (codes[i] >= 0) & (codes[j] >= 0)
            cells = codes[i][both] * MOST_CATEGORIES + codes[j][both]
            np.add(table, np.bincount(cells, minlength=MOST_CATEGORIES**2).reshape(table.shape), out=table)
    values = ((i, j, _cramers_v(table)) for (i, j), table in tables.items())
    return [(positions[i], positions[j], "cramers_v", value) for i, j, value in values if value is not None]


def _cramers_v(table: Floats) -> float | None:
    """V of a contingency table; None where one of the two is constant in it."""
    table = table[table.any(axis=1)][:, table.any(axis=0)]
    if min(table.shape) < 2:
        return None
    total = table.sum()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    chi_squared = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi_squared / (total * (min(table.shape) - 1))).clip(0.0, 1.0))


def _batches(connection: duckdb.DuckDBPyConnection, view: str, positions: Sequence[int]) -> Iterator[pa.RecordBatch]:
    columns = ", ".join(internal(position) for position in positions)
    return batches(connection, f"SELECT {columns} FROM {view}", batch_rows(len(positions)))


def _floats(values: pa.Array) -> Floats:
    return np.asarray(pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def _codes(values: pa.Array, book: dict[Any, int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    encoded = values.dictionary_encode()
    local = [book.setdefault(value, len(book)) for value in encoded.dictionary.to_pylist()]
    lookup = np.array([*local, -1], dtype=np.int64)
    codes: np.ndarray[Any, np.dtype[np.int64]] = lookup[pc.fill_null(encoded.indices, len(local)).to_numpy()]
    return codes
