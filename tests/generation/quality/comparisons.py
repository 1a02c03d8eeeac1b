"""Tables for tests of the quality: columns of every kind that hang together, made from a seed."""

import numpy as np

from services.generation.quality.tables import Column, Comparison, Kind, Table


def table(rows: int, seed: int, *, gaps: float = 0.1, ties: bool = True, labels: int = 0) -> Table:
    """Rows of three numbers, a date and three categories, most of which hang together by one hidden number.

    `labels` of the largest category can be given; the share `gaps` of four columns is missing.
    """
    draws = np.random.default_rng([seed, rows])
    hidden = draws.normal(size=rows)

    def gapped(values: np.ndarray, missing: float) -> np.ndarray:
        values = values.copy()
        values[draws.random(rows) < gaps] = missing
        return values

    many = labels or 40
    values = {
        Column("income", Kind.NUMBER): gapped(np.exp(hidden + draws.normal(size=rows)), np.nan),
        Column("age", Kind.NUMBER): (hidden * 10 + 40).round(0 if ties else 12),
        Column("noise", Kind.NUMBER): gapped(draws.normal(size=rows), np.nan),
        Column("joined", Kind.DATE): 1.6e9 + np.floor(86_400 * 100 * (hidden + draws.normal(size=rows))),
        Column("active", Kind.CATEGORY, ("no", "yes")): (hidden + draws.normal(size=rows) > 0).astype(np.int32),
        Column("plan", Kind.CATEGORY, ("a", "b", "c", "unseen")): gapped(
            np.clip(hidden + 1.5, 0, 2).astype(np.int32), -1
        ),
        Column("city", Kind.CATEGORY, tuple(f"City {number}" for number in range(many))): gapped(
            np.minimum(draws.exponential(many / 5, rows), many - 1).astype(np.int32), -1
        ),
    }
    return Table(tuple(values), tuple(values.values()))


def comparison(training: Table, synthetic: Table, holdout: Table | None = None, seed: int = 0) -> Comparison:
    """A comparison without target and sensitive columns."""
    return Comparison(training, holdout, synthetic, None, (), seed)


def shuffled(real: Table, seed: int) -> Table:
    """The same columns, each in another order: every column for itself is right, and nothing hangs together."""
    draws = np.random.default_rng(seed)
    return Table(real.columns, tuple(draws.permutation(values) for values in real.values))
