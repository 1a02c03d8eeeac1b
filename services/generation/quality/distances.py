"""Similarities of two samples from how many of their rows have each value.

Counts have the values along their last axis and broadcast over the others: a group, a resample.
"""

import numpy as np

from services.generation.quality.parts import Floats


def total_variation_complement(first: Floats, second: Floats) -> Floats:
    """One less half the sum of differences between shares; NaN where a side has no row."""
    similarity: Floats = 1 - np.abs(_shares(first) - _shares(second)).sum(axis=-1) / 2
    return similarity


def ks_complement(first: Floats, second: Floats) -> Floats:
    """One less the largest difference between the cumulative shares of ordered values (Kolmogorov-Smirnov's D)."""
    difference = np.abs(np.cumsum(_shares(first), axis=-1) - np.cumsum(_shares(second), axis=-1))
    similarity: Floats = 1 - difference.max(axis=-1)
    return similarity


def coverage(first: Floats, second: Floats) -> Floats:
    """The share of the values of the first that the second has as well."""
    there = first > 0
    similarity: Floats = (there & (second > 0)).sum(axis=-1) / np.where(there.any(axis=-1), there.sum(axis=-1), np.nan)
    return similarity


def _shares(counts: Floats) -> Floats:
    total = counts.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        shares: Floats = counts / total
    return shares
