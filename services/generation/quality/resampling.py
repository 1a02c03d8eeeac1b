"""Rows drawn: without replacement where there are too many, and with it for the bootstrap."""

import numpy as np
import numpy.typing as npt

from services.generation.quality.parts import RESAMPLES, Floats
from services.generation.quality.report import Figure
from services.generation.quality.tables import Table

Rows = npt.NDArray[np.int64]


def draws(seed: int, purpose: int) -> np.random.Generator:
    """Random numbers for one purpose; the same for the same seed."""
    return np.random.default_rng([seed, purpose])


def drawn(table: Table, most: int, generator: np.random.Generator) -> Table:
    """At most so many rows, in random order."""
    return table.take(generator.permutation(len(table))[:most])


def resampled(rows: int, generator: np.random.Generator) -> Rows:
    """Which rows each resample holds, shape (RESAMPLES, rows): drawn with replacement (Efron & Tibshirani 1993, 6)."""
    return generator.integers(0, rows, size=(RESAMPLES, rows))


def counts(rows: int, generator: np.random.Generator) -> Floats:
    """How often each resample holds each row, shape (RESAMPLES, rows)."""
    places = resampled(rows, generator) + rows * np.arange(RESAMPLES)[:, None]
    return np.bincount(places.ravel(), minlength=RESAMPLES * rows).reshape(RESAMPLES, rows).astype(np.float64)


def shares(share: float, rows: int, generator: np.random.Generator) -> Floats:
    """A share of rows in each resample, shape (RESAMPLES,): what drawing the rows anew comes to."""
    return generator.binomial(rows, share, size=RESAMPLES) / rows


def interval(value: float, replicates: Floats, ceiling: float | None = None) -> Figure:
    """A figure with the bootstrap's percentile interval (Efron & Tibshirani 1993, chapter 13)."""
    usable = replicates[np.isfinite(replicates)]
    if not len(usable):
        return Figure(value=value, ceiling=ceiling)
    low, high = (float(end) for end in np.quantile(usable, [0.025, 0.975]))
    return Figure(value=value, low=min(low, value), high=max(high, value), ceiling=ceiling)
