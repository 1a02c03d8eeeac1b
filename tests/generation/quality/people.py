"""Tables of people, for what is measured of synthetic rows."""

from collections.abc import Sequence

import numpy as np

from services.generation.quality.tables import Codes, Column, Comparison, Kind, Numbers, Table

TOWNS = tuple(f"town {number}" for number in range(12))
COLUMNS = (
    Column("age", Kind.NUMBER),
    Column("income", Kind.NUMBER),
    Column("joined", Kind.DATE),
    Column("town", Kind.CATEGORY, TOWNS),
    Column("ill", Kind.CATEGORY, ("no", "yes")),
    Column("height", Kind.NUMBER),
)


def people(rows: int, seed: int, *, missing: float = 0.0) -> Table:
    """So many people, whose income and illness go by their age and town; some values are missing."""
    draws = np.random.default_rng(seed)
    age = draws.integers(18, 90, rows).astype(np.float64)
    town = draws.choice(len(TOWNS), size=rows, p=np.arange(1, 13) / 78).astype(np.int32)
    income = 900 + 40 * age + 150 * town + draws.normal(0, 150, rows)
    joined = 1.5e9 + draws.integers(0, 2_000, rows).astype(np.float64) * 86_400
    ill = (draws.random(rows) < 1 / (1 + np.exp((55 - age) / 6))).astype(np.int32)
    height = draws.normal(170, 9, rows)

    def some(column: Numbers) -> Numbers:
        return np.where(draws.random(rows) < missing, np.nan, column)

    def some_of(codes: Codes) -> Codes:
        return np.where(draws.random(rows) < missing, np.int32(-1), codes)

    return Table(COLUMNS, (some(age), some(income), some(joined), some_of(town), some_of(ill), some(height)))


def together(*tables: Table) -> Table:
    """All their rows."""
    return Table(
        tables[0].columns, tuple(np.concatenate(values) for values in zip(*(t.values for t in tables), strict=True))
    )


def blurred(table: Table, share: float, seed: int) -> Table:
    """The same rows with their numbers moved by a share of their spread."""
    draws = np.random.default_rng(seed)
    moved = tuple(
        values
        if column.kind == Kind.CATEGORY
        else values + draws.normal(0, share * float(np.nanstd(values)), len(values))
        for column, values in zip(table.columns, table.values, strict=True)
    )
    return Table(table.columns, moved)


def shuffled(table: Table, seed: int) -> Table:
    """The same values with nothing to do with one another."""
    draws = np.random.default_rng(seed)
    return Table(table.columns, tuple(draws.permutation(values) for values in table.values))


def compared(
    training: Table,
    holdout: Table | None,
    synthetic: Table,
    *,
    target: str | None = None,
    sensitive: Sequence[str] = (),
    seed: int = 0,
) -> Comparison:
    """A comparison of tables."""
    return Comparison(training, holdout, synthetic, target, tuple(sensitive), seed)
