"""Metrics that SDMetrics defines as well come out the same, within 1e-6."""

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from services.generation.quality import correlation_preservation, statistical_similarity
from services.generation.quality.parts import never
from services.generation.quality.report import Part
from services.generation.quality.tables import Comparison, Kind, Table
from tests.generation.quality.comparisons import comparison, table

SEEDS = range(8)
CLOSE = 1e-6


def frame(of: Table) -> pd.DataFrame:
    """A table as pandas has it: texts, with None where missing."""
    return pd.DataFrame(
        {
            column.name: np.array([*column.labels, None], dtype=object)[values]
            if column.kind is Kind.CATEGORY
            else values
            for column, values in zip(of.columns, of.values, strict=True)
        }
    )


def details(part: Part, name: str) -> Mapping[tuple[str, ...], float]:
    """A metric's values by columns."""
    metric = next(metric for metric in part.metrics if metric.name == name)
    return {detail.columns: detail.figure.value for detail in metric.details}


@pytest.fixture(params=SEEDS)
def compared(request: pytest.FixtureRequest) -> Comparison:
    """Two tables of different sizes with missing values, ties and categories that only one of them has."""
    draws = np.random.default_rng(request.param)
    sizes = draws.integers(3, 900, 2).tolist()
    gaps, ties = float(draws.choice([0.0, 0.1, 0.5])), bool(draws.integers(2))
    training, synthetic = (
        table(size, 2 * request.param + place, gaps=gaps, ties=ties, labels=int(draws.choice([3, 40, 700])) or 0)
        for place, size in enumerate(sizes)
    )
    # Both under the same, longer, list of labels.
    columns = max((training, synthetic), key=lambda each: len(each.columns[-1].labels)).columns
    return comparison(Table(columns, training.values), Table(columns, synthetic.values))


def test_single_columns(compared: Comparison) -> None:
    """KSComplement, TVComplement, RangeCoverage, CategoryCoverage and MissingValueSimilarity, column by column."""
    from sdmetrics.single_column import (
        CategoryCoverage,
        KSComplement,
        MissingValueSimilarity,
        RangeCoverage,
        TVComplement,
    )

    part = statistical_similarity.measure(compared, never).part
    real, synthetic = frame(compared.training), frame(compared.synthetic)
    ours = {metric.name: details(part, metric.name) for metric in part.metrics}
    theirs = {
        "ks_complement": KSComplement,
        "total_variation_complement": TVComplement,
        "range_coverage": RangeCoverage,
        "category_coverage": CategoryCoverage,
        "missing_similarity": MissingValueSimilarity,
    }
    assert ours.keys() - {"missing_similarity"} == theirs.keys() - {"missing_similarity"}
    for name, found in ours.items():
        for (column,), value in found.items():
            assert value == pytest.approx(theirs[name].compute(real[column], synthetic[column]), abs=CLOSE), (
                name,
                column,
            )
    assert len(ours["ks_complement"]) == 4
    assert len(ours["total_variation_complement"]) == 3


def test_pairs(compared: Comparison) -> None:
    """CorrelationSimilarity by both coefficients and ContingencySimilarity, pair by pair, missing values included."""
    from sdmetrics.column_pairs import ContingencySimilarity, CorrelationSimilarity

    part = correlation_preservation.measure(compared, never).part
    real, synthetic = frame(compared.training), frame(compared.synthetic)
    checked = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's, of constant input, and pandas's
        for name, coefficient in (("correlation_similarity", "Pearson"), ("rank_correlation_similarity", "Spearman")):
            for pair, value in details(part, name).items():
                names = list(pair)
                if synthetic[names].dropna().nunique().min() < 2:
                    continue  # undefined there; here the correlation is lost
                expected = CorrelationSimilarity.compute(real[names], synthetic[names], coefficient=coefficient)
                assert value == pytest.approx(expected, abs=CLOSE), (name, pair)
                checked += 1
        for pair, value in details(part, "contingency_similarity").items():
            expected = ContingencySimilarity.compute(real[list(pair)], synthetic[list(pair)])
            assert value == pytest.approx(expected, abs=CLOSE), pair
            checked += 1
    assert checked >= 3
