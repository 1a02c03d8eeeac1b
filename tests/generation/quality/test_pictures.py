"""What is drawn tells of no single row."""

import numpy as np
import pytest

from services.generation.quality.pictures import OTHERS, distribution, pictures
from services.generation.quality.report import Distribution, Part, PartName
from services.generation.quality.tables import Column, Kind, Table
from tests.generation.quality.comparisons import comparison, table

NO_PART = Part(name=PartName.STATISTICAL_SIMILARITY, score=None)


def drawn(column: Column, real: np.ndarray, synthetic: np.ndarray) -> Distribution:
    """A column's distribution, which is there, with shares that add up."""
    found = distribution(column, real, synthetic)
    assert found is not None
    assert sum(found.real) + found.real_missing == pytest.approx(1)
    assert sum(found.synthetic) + found.synthetic_missing == pytest.approx(1)
    return found


def test_rare_categories_are_not_named() -> None:
    """A category is named if ten training rows are of it; all others are told together."""
    column = Column("diagnosis", Kind.CATEGORY, ("flu", "rare", "cold", "invented"))
    real = np.repeat(np.array([0, 1, 2, -1], dtype=np.int32), [60, 9, 10, 21])
    synthetic = np.repeat(np.array([0, 3], dtype=np.int32), [30, 20])
    found = drawn(column, real, synthetic)
    assert found.labels == ("flu", "cold", OTHERS)
    assert found.real == (0.6, 0.1, 0.09)
    assert found.synthetic == (0.6, 0.0, 0.4)
    assert found.real_missing == 0.21
    assert distribution(column, real[60:69], synthetic) is None


def test_extremes_are_not_shown() -> None:
    """The ends of a number's bins are no row's value, and at least five rows lie at either end or beyond."""
    draws = np.random.default_rng(0)
    column = Column("income", Kind.NUMBER)
    for rows in (20, 100, 5000):
        real = draws.lognormal(10, 1, rows)
        found = drawn(column, real, draws.lognormal(10, 1, 700))
        ordered = np.sort(real)
        assert found.edges[0] > ordered[0] - 0.05 * np.ptp(ordered)
        assert found.edges[-1] < ordered[-1]
        assert not set(found.edges) & set(real)
    assert distribution(column, real[:19], real) is None


@pytest.mark.parametrize("kind", [Kind.NUMBER, Kind.DATE])
@pytest.mark.parametrize("whole", [False, True])
def test_nobody_stands_alone(kind: Kind, whole: bool) -> None:
    """One row between two crowds isn't drawn where it is, nor is any bin with fewer than five training rows."""
    draws = np.random.default_rng(0)
    crowds = np.concatenate([draws.normal(20, 3, 150), [60.0], draws.normal(100, 3, 150)])
    real = crowds.round() if whole else crowds
    found = drawn(Column("age", kind), real, np.full(40, 60.0))
    assert min(share for share in found.real if share) >= 5 / len(real)
    middle = int(np.searchsorted(found.edges, 60.0, side="right")) - 1
    assert found.real[middle] == 0
    assert found.synthetic[middle] == 1


@pytest.mark.parametrize(
    "values",
    [
        np.full(50, 3.0),
        np.full(50, 0.25),
        np.zeros(50),
        np.array([1e308, -1e308] * 30),
        np.array([1e-300, 2e-300, 0.0] * 30),
        np.arange(100) * 1e9 + 1.6e18,
        np.array([*range(40), np.nan]) / 7,
        np.array([1.0] * 99 + [1e12]),
    ],
    ids=str,
)
def test_odd_numbers(values: np.ndarray) -> None:
    """Constant, huge and tiny numbers are drawn in bins that grow."""
    found = drawn(Column("x", Kind.NUMBER), values, values[::-1])
    assert np.all(np.isfinite(found.edges))
    assert np.all(np.diff(found.edges) > 0)
    assert found.real == found.synthetic


def test_whole_numbers_have_bins_of_their_own() -> None:
    """Few whole numbers are drawn one by one."""
    values = np.repeat(np.arange(1.0, 6.0), 20)
    found = drawn(Column("stars", Kind.NUMBER), values, values)
    assert found.edges == (0.5, 1.5, 2.5, 3.5, 4.5, 5.5)
    assert found.real == (0.2,) * 5


def test_associations() -> None:
    """Matrices have one row a column, are symmetric, and leave out constant columns."""
    real = table(400, 1)
    constant = Table((*real.columns, Column("same", Kind.NUMBER)), (*real.values, np.ones(400)))
    found = pictures(comparison(constant, constant), NO_PART).pictures
    assert found.associations is not None
    assert found.associations.columns == tuple(column.name for column in real.columns)
    matrix = np.array(found.associations.real, dtype=np.float64)
    assert np.array_equal(matrix, matrix.T)
    assert np.all(np.diag(matrix) == 1)
    assert matrix[1, 4] > 0.3 > abs(matrix[1, 2])
    assert len(found.distributions) == 8


def test_many_columns() -> None:
    """Of very many columns those that differ most are drawn, and a note says so."""
    columns = tuple(Column(f"c{place}", Kind.NUMBER) for place in range(230))
    values = tuple(np.arange(30.0) for _ in columns)
    found = pictures(comparison(Table(columns, values), Table(columns, values)), NO_PART)
    assert len(found.pictures.distributions) == 200
    assert found.pictures.associations is not None
    assert len(found.pictures.associations.columns) == 40
    assert len(found.notes) == 2
