"""Whether single columns are distributed as in the real table."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from services.generation.quality.correlations import scaled_by
from services.generation.quality.distances import coverage, ks_complement, total_variation_complement
from services.generation.quality.groups import Judging, Sample, judging, most_frequent
from services.generation.quality.parts import CalledOff, Floats, Measured, check, compose, unmeasured
from services.generation.quality.report import PartName
from services.generation.quality.scores import Similarity, metric_of, of_counts
from services.generation.quality.tables import Codes, Comparison, Kind, Numbers

NAME = PartName.STATISTICAL_SIMILARITY
# What a column counts for: its distribution 1, whether its values are covered and how many are missing half as much.
_SIDE = 0.5
# Steps of the cumulative distribution for the replicates.
_STEPS = 128
# Categories for the replicates; rarer ones are counted together.
_MOST_CATEGORIES = 2_048


def measure(comparison: Comparison, called_off: CalledOff) -> Measured:
    """The part, from every column of the comparison. Raises Cancelled."""
    if not len(comparison.training) or not len(comparison.synthetic):
        return unmeasured(NAME, "A table without rows can't be judged.")
    rows = judging(comparison)
    found: dict[str, list[Similarity]] = {name: [] for name in _METRICS}
    for place, column in enumerate(rows.training.table.columns):
        check(called_off)
        for name, similarity in _of_column(rows, place, column.kind).items():
            found[name].append(similarity)
    readings = [
        metric_of(name, description, found[name], weight * len(found[name]))
        for name, (description, weight) in _METRICS.items()
        if found[name]
    ]
    if not readings:
        return unmeasured(NAME, "No column has a value in the real table.")
    return compose(NAME, readings)


_METRICS = {
    "ks_complement": ("How alike the distributions of numbers and dates are: 1 less Kolmogorov-Smirnov's D.", 1.0),
    "total_variation_complement": ("How alike the shares of categories are: 1 less the total variation.", 1.0),
    "missing_similarity": ("How alike the shares of missing values are.", _SIDE),
    "range_coverage": ("How much of the range of numbers and dates is there.", _SIDE),
    "category_coverage": ("How many of the categories are there.", _SIDE),
}


def _of_column(rows: Judging, place: int, kind: Kind) -> dict[str, Similarity]:
    samples = [sample for sample in (rows.training, rows.synthetic, rows.holdout) if sample is not None]
    columns = (rows.training.table.columns[place].name,)
    values = [sample.table.values[place] for sample in samples]
    missing = [_missing(each, kind) for each in values]
    found = {}
    if missing[0].any() or missing[1].any():
        found["missing_similarity"] = of_counts(
            rows, columns, [each.astype(np.int32) for each in missing], 3, total_variation_complement
        )
    if missing[0].all():
        return found
    if kind is Kind.CATEGORY:
        cells = len(rows.training.table.columns[place].labels) + 1
        codes = [np.where(gaps, cells - 1, each) for each, gaps in zip(values, missing, strict=True)]
        folded = most_frequent(codes, cells, _MOST_CATEGORIES)
        found["total_variation_complement"] = of_counts(rows, columns, codes, cells, total_variation_complement, folded)
        found["category_coverage"] = of_counts(rows, columns, codes, cells, coverage, folded)
    else:
        numbers = cast(Sequence[Numbers], values)
        found["ks_complement"] = _ks_complement(rows, columns, numbers, missing)
        training = numbers[0][~missing[0]]
        if training.min() < training.max():
            found["range_coverage"] = _range_coverage(rows, columns, numbers)
    return found


def _ks_complement(
    rows: Judging, columns: tuple[str, ...], values: Sequence[Numbers], missing: Sequence[npt.NDArray[np.bool_]]
) -> Similarity:
    """Exact for the value and the ceiling; the replicates look at `_STEPS` places of the distribution."""
    distinct, dense = np.unique(np.concatenate(values), return_inverse=True)
    cells = int(np.count_nonzero(~np.isnan(distinct))) + 1
    ends = np.cumsum([len(each) for each in values])[:-1]
    codes = [
        np.where(gaps, cells - 1, each).astype(np.int32)
        for each, gaps in zip(np.split(dense, ends), missing, strict=True)
    ]
    if cells <= _STEPS:
        return of_counts(rows, columns, codes, cells, ks_complement)
    below = np.cumsum(np.bincount(dense, minlength=cells)[: cells - 1])
    steps = np.append((below - 1) * (_STEPS - 1) // below[-1], _STEPS - 1).astype(np.int32)
    return of_counts(rows, columns, codes, cells, ks_complement, ([steps[each] for each in codes], _STEPS))


def _range_coverage(rows: Judging, columns: tuple[str, ...], values: Sequence[Numbers]) -> Similarity:
    largest = float(np.nanmax(np.abs(values[0])))
    scaled = [scaled_by(each, largest) for each in values]
    training = _ends(rows.training, scaled[0])
    ceiling = None if rows.holdout is None else _covered(training, _ends(rows.holdout, scaled[2])).mean()
    return Similarity(
        columns,
        float(_covered(training, _ends(rows.synthetic, scaled[1])).mean()),
        _covered(_drawn_ends(rows.training, scaled[0]), _drawn_ends(rows.synthetic, scaled[1])).mean(axis=0),
        None if ceiling is None else float(ceiling),
    )


def _covered(real: tuple[Floats, Floats], synthetic: tuple[Floats, Floats]) -> Floats:
    """How much of the real range, not of length 0, the synthetic one covers; 0 where that has no value.

    As in SDMetrics' RangeCoverage.
    """
    low, high = real
    length = high - low
    with np.errstate(divide="ignore", invalid="ignore"):
        short = np.maximum((synthetic[0] - low) / length, 0) + np.maximum((high - synthetic[1]) / length, 0)
    covered: Floats = np.nan_to_num(np.maximum(1 - short, 0), nan=0.0)
    return covered


def _ends(sample: Sample, values: Numbers) -> tuple[Floats, Floats]:
    """The least and the largest value of each group, shape (groups,); NaN where there is none."""
    by_group = values.reshape(sample.groups, -1)
    return np.fmin.reduce(by_group, axis=1), np.fmax.reduce(by_group, axis=1)


def _drawn_ends(sample: Sample, values: Numbers) -> tuple[Floats, Floats]:
    """The same in each resample, shape (groups, RESAMPLES)."""
    starts = np.flatnonzero(np.diff(sample.block, prepend=-1))
    drawn = sample.draws > 0
    low, high = (end.reduceat(values, starts).reshape(sample.groups, 1, sample.blocks) for end in (np.fmin, np.fmax))
    return (
        np.fmin.reduce(np.where(drawn, low, np.nan), axis=2),
        np.fmax.reduce(np.where(drawn, high, np.nan), axis=2),
    )


def _missing(values: Numbers | Codes, kind: Kind) -> npt.NDArray[np.bool_]:
    gaps: npt.NDArray[np.bool_] = values < 0 if kind is Kind.CATEGORY else np.isnan(values)
    return gaps
