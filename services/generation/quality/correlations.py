"""Whether two numbers hang together as in the real table: Pearson's and Spearman's correlation.

The similarity is 1 - |r - r'| / 2 over the rows where both are present, as in SDMetrics' CorrelationSimilarity.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.generation.quality.groups import Judging, Sample
from services.generation.quality.parts import Floats
from services.generation.quality.scores import Similarity
from services.generation.quality.tables import Numbers

Mask = npt.NDArray[np.bool_]
Terms = tuple[Numbers, Numbers]

# Beyond this, squares of synthetic values would overflow.
_LARGEST = 1e100


@dataclass(frozen=True)
class Ranked:
    """A number column of one sample, as its correlations take it: arrays of shape (rows,).

    `scaled` are the values about the training column's mean, in units of its largest, 0 where missing. `key` is the
    place of a value among the distinct ones, in order, plus `keys` for each group before the row's.
    """

    scaled: Numbers
    present: Mask
    key: npt.NDArray[np.int64]
    keys: int


def ranked(sample: Sample, values: Numbers, centre: float, scale: float) -> Ranked:
    """Makes a column ready. The centre and the scale are the training column's: they keep the sums exact."""
    present = ~np.isnan(values)
    scaled = np.where(present, scaled_by(values, scale) - centre, 0.0)
    distinct, dense = np.unique(values, return_inverse=True)
    group = np.repeat(np.arange(sample.groups), len(values) // sample.groups)
    return Ranked(scaled, present, group * len(distinct) + dense, len(distinct))


def scaled_by(values: Numbers, scale: float) -> Numbers:
    """Values in units of a scale, those far beyond all others brought nearer so that no square of them overflows."""
    with np.errstate(over="ignore"):
        return np.clip(values / scale, -_LARGEST, _LARGEST)


def scale_of(values: Numbers) -> tuple[float, float]:
    """A centre and a scale for `ranked`: the largest value's size, and the mean of what it leaves."""
    largest = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    scaled = values / largest
    return float(np.nanmean(scaled)), largest


def correlation_similarity(
    rows: Judging,
    unrelated: Sequence[Sample],
    columns: tuple[str, ...],
    first: Sequence[Ranked],
    second: Sequence[Ranked],
    terms: Callable[[Sample, Ranked, Ranked, Mask], Terms],
) -> Similarity | None:
    """How alike a correlation is; None if it is undefined in the training rows, where one of the two is constant.

    `first` and `second` are the columns in the training and the synthetic sample, in that of the holdout if there is
    one, and in the two samples whose columns are `unrelated`. Where the correlation is undefined in a group it counts
    as 0: the columns don't hang together there. `terms` are what is correlated.
    """
    samples = [rows.training, rows.synthetic, *([rows.holdout] if rows.holdout else []), *unrelated]
    moments = [_moments(sample, x, y, terms) for sample, x, y in zip(samples, first, second, strict=True)]
    real = _correlation(samples[0].sums(moments[0]))
    if np.isnan(real[0]):
        return None
    judged = zip(samples[1:], moments[1:], strict=True)
    found = [1 - np.abs(real - _defined(_correlation(sample.sums(each)))) / 2 for sample, each in judged]
    drawn = [
        _defined(_correlation(sample.drawn_sums(each))) for sample, each in zip(samples[:2], moments[:2], strict=True)
    ]
    return Similarity(
        columns,
        float(found[0].mean()),
        (1 - np.abs(drawn[0] - drawn[1]) / 2).mean(axis=0),
        float(found[1].mean()) if rows.holdout else None,
        (float(found[-2].mean()), float(found[-1].mean())),
    )


def values_of(_sample: Sample, first: Ranked, second: Ranked, _both: Mask) -> Terms:
    """For Pearson's correlation."""
    return first.scaled, second.scaled


def ranks_of(sample: Sample, first: Ranked, second: Ranked, both: Mask) -> Terms:
    """For Spearman's: ranks, ties averaged, among the rows of a group where both are present."""
    return _ranks(sample, first, both), _ranks(sample, second, both)


def _ranks(sample: Sample, column: Ranked, both: Mask) -> Numbers:
    """Ranks from -1 to 1; 0 for rows that don't count."""
    counts = np.bincount(column.key[both], minlength=sample.groups * column.keys).reshape(sample.groups, column.keys)
    last = np.cumsum(counts, axis=1)
    middle = (2 * last - counts + 1 - (last[:, -1:] + 1)) / np.maximum(last[:, -1:], 1)
    return np.where(both, middle.ravel()[column.key], 0.0)


def _moments(
    sample: Sample, first: Ranked, second: Ranked, terms: Callable[[Sample, Ranked, Ranked, Mask], Terms]
) -> Floats:
    """What a correlation is made of, row by row: shape (6, rows)."""
    both = first.present & second.present
    x, y = terms(sample, first, second, both)
    x, y = np.where(both, x, 0.0), np.where(both, y, 0.0)
    return np.stack([both.astype(np.float64), x, y, x * x, y * y, x * y])


def _correlation(sums: Floats) -> Floats:
    """Correlations from sums of moments along the last axis; NaN where a column is constant or has no rows."""
    count, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread_x, spread_y = xx - x * x / count, yy - y * y / count
        # What rounding leaves of a constant column is no spread.
        constant = (spread_x <= 1e-12 * xx) | (spread_y <= 1e-12 * yy) | (count < 2)
        found = (xy - x * y / count) / (np.sqrt(spread_x) * np.sqrt(spread_y))
    return np.where(constant, np.nan, np.clip(found, -1.0, 1.0))


def _defined(correlations: Floats) -> Floats:
    return np.nan_to_num(correlations, nan=0.0)
