"""The Gaussian copula's estimators against slow and plain references."""

from math import erf, sqrt

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

import mirage_engine
from mirage_engine import CodecSettings, GaussianCopulaSettings
from mirage_engine.gaussian_copula.box import Box, drawn_in, draws_needed, even_points, log_probabilities
from mirage_engine.gaussian_copula.correlations import positive_definite
from mirage_engine.gaussian_copula.normal import cumulative, drawn_within, quantiles


def bivariate(correlation: float, rows: int = 20_000) -> NDArray[np.float64]:
    """Pairs of standard normal variables."""
    normal = np.random.default_rng(7).normal(size=(rows, 2))
    normal[:, 1] = correlation * normal[:, 0] + sqrt(1 - correlation**2) * normal[:, 1]
    return normal


@pytest.mark.parametrize("correlation", [-0.9, -0.3, 0.0, 0.6, 0.95])
@pytest.mark.parametrize("cuts", [(0.0,), (1.2,), (-1.0, 0.2, 0.9), None])
def test_correlations_survive_ties(correlation: float, cuts: tuple[float, ...] | None) -> None:
    """However coarsely two normal variables are seen, the correlation that is found is theirs."""
    values = bivariate(correlation)
    first = values[:, 0] if cuts is None else np.searchsorted(cuts, values[:, 0])
    table = pa.table({"a": first, "b": np.searchsorted([0.3], values[:, 1]), "c": values[:, 1]})
    model = mirage_engine.fit(table, GaussianCopulaSettings())
    found = model._learnt.correlations
    assert found[0, 1] == pytest.approx(correlation, abs=0.06)
    assert found[0, 2] == pytest.approx(correlation, abs=0.06)


def test_gaps_do_not_hide_correlations() -> None:
    """Where a number is missing at random, its correlation is found in the rows that have it."""
    values = bivariate(0.7)
    gaps = np.random.default_rng(1).random(len(values)) < 0.6
    table = pa.table({"a": pa.array(values[:, 0], mask=gaps), "b": values[:, 1]})
    found = mirage_engine.fit(table, GaussianCopulaSettings())._learnt.correlations
    assert found[0, 2] == pytest.approx(0.7, abs=0.03)
    assert abs(found[1, 2]) < 0.04


def test_few_rows_and_many_columns_stay_uncorrelated() -> None:
    """Columns that only seem to move together, since there are few rows, are hardly taken to."""
    noise = np.random.default_rng(3).normal(size=(40, 30))
    table = pa.table({f"c{place}": column for place, column in enumerate(noise.T)})
    found = mirage_engine.fit(table, GaussianCopulaSettings())._learnt.correlations
    apparent = np.asarray(np.corrcoef(noise.T))
    apart = ~np.eye(30, dtype=np.bool_)
    assert np.abs(found[apart]).mean() < 0.4 * np.abs(apparent[apart]).mean()


def test_correlations_are_made_to_fit_together() -> None:
    """Correlations that no variables can have become ones that some do, and others stay as they are."""
    wrong = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1.0]])
    fitting = positive_definite(wrong, 1e-4)
    assert np.linalg.eigvalsh(fitting)[0] > 5e-5
    assert np.allclose(np.diagonal(fitting), 1.0)
    right = np.array([[1, 0.5], [0.5, 1.0]])
    assert np.array_equal(positive_definite(right, 1e-4), right)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 0.5), (-np.inf, -3.0), (7.0, 7.5), (12.0, np.inf), (-9.0, -8.9)])
def test_truncated_normals(low: float, high: float) -> None:
    """Draws lie in the interval and have the distribution's own quantiles there, far into either tail."""
    parts = np.array([0.01, 0.25, 0.5, 0.75, 0.99])
    bounds = np.full((5, 1), low), np.full((5, 1), high)
    values, masses = drawn_within(np.zeros(5), 1.0, *bounds, parts)
    assert np.all((low <= values) & (values <= high))
    sign = 1.0 if low <= 0 else -1.0  # the upper tail is the lower one's mirror image, which has all digits
    ends = sorted((cumulative(np.array([sign * low]))[0], cumulative(np.array([sign * high]))[0]))
    assert masses == pytest.approx(ends[1] - ends[0], rel=1e-9)
    inside = (cumulative(sign * values) - ends[0]) / (ends[1] - ends[0])
    assert inside == pytest.approx(parts, abs=1e-6)


def test_unions_of_intervals_are_met_by_their_probabilities() -> None:
    """Of two intervals, each is drawn as often as it is probable; where none is probable, the nearest end is taken."""
    parts = (np.arange(1000) + 0.5) / 1000
    low, high = np.tile([-2.0, 0.5], (1000, 1)), np.tile([-1.0, np.inf], (1000, 1))
    values, masses = drawn_within(np.zeros(1000), 1.0, low, high, parts)

    def below(value: float) -> float:
        return 0.5 * (1 + erf(value / sqrt(2)))

    first, second = below(-1) - below(-2), 1 - below(0.5)
    assert masses == pytest.approx(first + second)
    assert np.mean(values < 0) == pytest.approx(first / (first + second), abs=2e-3)
    assert np.all(((values >= -2) & (values <= -1)) | (values >= 0.5))
    far, none = drawn_within(np.zeros(1), 1.0, np.array([[-70.0, 50.0]]), np.array([[-60.0, 60.0]]), np.array([0.3]))
    assert (far[0], none[0]) == (50.0, 0.0)


def test_boxes_against_rejection() -> None:
    """Draws in a box, and its probability, are those of the draws that happen to fall into it."""
    correlations = np.array([[1, 0.8, -0.4], [0.8, 1, 0.1], [-0.4, 0.1, 1.0]])
    random = np.random.default_rng(0)
    free = random.normal(size=(200_000, 3)) @ np.linalg.cholesky(correlations).T
    inside = free[(free[:, 0] > 0.5) & (free[:, 1] < 0.8) & (np.abs(free[:, 2]) > 0.5)]
    box = Box.of([[(0.5, np.inf)], [(-np.inf, 0.8)], [(-np.inf, -0.5), (0.5, np.inf)]])
    parts = random.random((len(inside), draws_needed(3)))
    drawn = drawn_in(box.repeated(len(inside)), correlations, parts)
    error = 4 / np.sqrt(len(inside))
    assert drawn.mean(0) == pytest.approx(inside.mean(0), abs=1.5 * error)
    assert np.asarray(np.cov(drawn.T)) == pytest.approx(np.asarray(np.cov(inside.T)), abs=2 * error)
    probability = np.exp(log_probabilities(box, correlations, even_points(512, 3)))[0]
    assert probability == pytest.approx(len(inside) / 200_000, rel=0.04)


def test_quantiles_undo_probabilities() -> None:
    """Normal quantiles and probabilities are each other's inverse, ends included."""
    values = np.array([-np.inf, -30.0, -8.0, -1.0, 0.0, 2.0, np.inf])
    assert quantiles(cumulative(values)) == pytest.approx(values, abs=1e-9)


def test_merged_rare_levels_leave_correlations_alone() -> None:
    """Rows of protected levels don't count where their level would."""
    values = bivariate(0.8, 5_000)
    levels = np.array(["low", "high"])[(values[:, 0] > 0).astype(int)].astype(object)
    levels[:200] = [f"rare {row}" for row in range(200)]
    table = pa.table({"a": pa.array(levels.tolist()), "b": values[:, 1]})
    found = mirage_engine.fit(table, GaussianCopulaSettings(), CodecSettings())._learnt.correlations
    assert abs(found[0, 1]) == pytest.approx(0.8, abs=0.05)
