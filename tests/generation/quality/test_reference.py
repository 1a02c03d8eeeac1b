"""What is counted fast comes out as what is counted slowly, row by row."""

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from services.generation.quality import correlation_preservation, statistical_similarity
from services.generation.quality.bins import bins_for, bins_of
from services.generation.quality.correlation_preservation import combinations, products
from services.generation.quality.groups import Sample, grouping, judging, sample
from services.generation.quality.parts import never
from services.generation.quality.report import Figure, Part
from services.generation.quality.tables import Kind
from tests.generation.quality.comparisons import comparison, table


def detail(part: Part, name: str, columns: Sequence[str]) -> Figure:
    """A figure of some columns."""
    metric = next(metric for metric in part.metrics if metric.name == name)
    return next(each.figure for each in metric.details if set(each.columns) == set(columns))


def total_variation(first: Sequence[object], second: Sequence[object]) -> float:
    """Half the sum of differences between shares, from dictionaries."""
    counts = Counter(first), Counter(second)
    return sum(abs(counts[0][key] / len(first) - counts[1][key] / len(second)) for key in {*first, *second}) / 2


def binned(sample: Sample, training: Sample, columns: Sequence[str], rows: slice) -> list[tuple[int, ...]]:
    """Each row's bins."""
    names = [column.name for column in training.table.columns]
    bins = bins_of(training.table, bins_for(130, len(columns)))
    places = [names.index(column) for column in columns]
    return list(zip(*(bins[place].codes(sample.table.values[place])[rows].tolist() for place in places), strict=True))


@pytest.mark.parametrize("columns", [("income", "age"), ("income", "city"), ("age", "plan", "joined")], ids=str)
def test_marginals(columns: tuple[str, ...]) -> None:
    """Marginals are means over groups as large as the holdout; the ceiling is the holdout's own."""
    compared = comparison(table(500, 1), table(450, 2), table(130, 3))
    rows = judging(compared)
    assert rows.holdout is not None
    assert (rows.synthetic.groups, len(rows.synthetic.table)) == (3, 390)
    training = binned(rows.training, rows.training, columns, slice(None))
    groups = [binned(rows.synthetic, rows.training, columns, slice(at, at + 130)) for at in (0, 130, 260)]
    part = correlation_preservation.measure(compared, never).part
    found = detail(part, "two_way_marginals" if len(columns) == 2 else "three_way_marginals", columns)
    assert found.value == pytest.approx(1 - np.mean([total_variation(training, group) for group in groups]))
    unseen = binned(rows.holdout, rows.training, columns, slice(None))
    assert found.ceiling == pytest.approx(1 - total_variation(training, unseen))


def test_kolmogorov_smirnov_by_group() -> None:
    """The figure of a number is the mean of SciPy's statistics of each group."""
    from scipy.stats import ks_2samp

    compared = comparison(table(400, 1), table(410, 2), table(100, 3))
    rows = judging(compared)
    for place, name in ((0, "income"), (3, "joined")):
        real = rows.training.table.values[place]
        groups = rows.synthetic.table.values[place].reshape(4, 100)
        expected = [1 - ks_2samp(real, group, nan_policy="omit").statistic for group in groups]
        found = detail(statistical_similarity.measure(compared, never).part, "ks_complement", (name,))
        assert found.value == pytest.approx(np.mean(expected))


def test_bins_come_from_the_training_rows_alone() -> None:
    """Ten bins of as many training rows each, and one for what is missing; the outer ones have no end."""
    training = table(1000, 1)
    bins = bins_of(training)
    assert [each.cells for each in bins] == [11, 11, 11, 11, 4, 5, 12]
    counts = np.bincount(bins[2].codes(training.values[2]), minlength=11)
    present = int(np.count_nonzero(~np.isnan(training.values[2])))
    assert counts[:10].min() >= present // 10 - 1
    assert counts[10] == 1000 - present
    assert bins[2].codes(np.array([-1e9, 1e9, np.nan])).tolist() == [0, 9, 10]
    # A category that no training row has shares a bin with the rare ones.
    assert bins[5].codes(np.array([3, -1], dtype=np.int32)).tolist() == [3, 4]


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [(10, 2, 2), (79, 2, 2), (180, 2, 3), (2_000, 2, 10), (50_000, 2, 10), (180, 3, 2), (540, 3, 3), (20_000, 3, 10)],
)
def test_number_of_bins(rows: int, columns: int, expected: int) -> None:
    """So many bins that a combination has twenty rows on average; two at least, ten at most."""
    assert bins_for(rows, columns) == expected


def test_drawn_combinations() -> None:
    """All combinations if there are few; else so many different ones, any of them."""
    draws = np.random.default_rng(0)
    assert combinations([2, 5, 7], 2, 3, draws) == [(2, 5), (2, 7), (5, 7)]
    every = set(itertools.combinations(range(9), 3))
    seen = set()
    for _ in range(60):
        drawn = combinations(list(range(9)), 3, 20, draws)
        assert len(set(drawn)) == 20
        seen |= set(drawn)
    assert seen == every
    assert len(set(combinations(list(range(2000)), 3, 50, draws))) == 50
    assert set(products([1, 2], [3, 4], 9, draws)) == {(1, 3), (1, 4), (2, 3), (2, 4)}
    drawn = products(list(range(50)), list(range(50, 90)), 30, draws)
    assert len(set(drawn)) == 30
    assert all(first < 50 <= second < 90 for first, second in drawn)


@pytest.mark.parametrize(
    ("holdout", "synthetic", "groups"),
    [(None, 500, (1, 500)), (19, 500, (1, 500)), (20, 500, (10, 20)), (100, 450, (4, 100)), (100, 30, (1, 30))],
)
def test_groups(holdout: int | None, synthetic: int, groups: tuple[int, int]) -> None:
    """Synthetic rows are judged in groups as large as the holdout, ten at most; too small a holdout sets nothing."""
    unseen = None if holdout is None else table(holdout, 3)
    assert grouping(comparison(table(50, 1), table(synthetic, 2), unseen)) == groups


@pytest.mark.parametrize("column", ["active", "income", "city"])
def test_groups_in_strata(column: str) -> None:
    """By a column's values, every group has its share of each category or tenth to within a row, and no row twice."""
    made = table(450, 2)
    place = next(place for place, each in enumerate(made.columns) if each.name == column)
    rows = sample(made, 4, 100, np.random.default_rng(0), column)
    values, whole = rows.table.values[place], made.values[place]
    if made.columns[place].kind is Kind.NUMBER:
        edges = np.quantile(whole[~np.isnan(whole)], np.linspace(0.1, 0.9, 9))
        values, whole = (np.where(np.isnan(each), -1, np.searchsorted(edges, each)) for each in (values, whole))
    for stratum in np.unique(whole):
        share = 100 * np.mean(whole == stratum)
        assert np.all(np.abs((values.reshape(4, 100) == stratum).sum(axis=1) - share) <= 1.5)
    noise = np.asarray(rows.table.values[2])
    assert len(np.unique(noise[~np.isnan(noise)])) == np.count_nonzero(~np.isnan(noise))
    assert np.corrcoef(np.arange(100), values[:100])[0, 1] < 0.5, "rows of a group are in random order, for the blocks"


def test_resampled_counts() -> None:
    """Counts of resamples are those of whole blocks drawn with replacement, and have the bootstrap's spread."""
    rows = judging(comparison(table(40, 1, gaps=0), table(4000, 2, gaps=0)))
    few, many = rows.training, rows.synthetic
    code = np.asarray(few.table.values[4], dtype=np.int32)
    drawn = few.drawn_counts(code, 2)
    assert drawn.shape == (1, 200, 2)
    # With fewer rows than blocks every row is a block: the plain bootstrap.
    assert few.blocks == 40
    assert np.array_equal(drawn[0, :, 1], few.draws[0] @ code)
    assert np.all(drawn.sum(axis=2) == 40)
    ones = many.drawn_counts(np.asarray(many.table.values[4], dtype=np.int32), 2)[0]
    share = ones[:, 1] / ones.sum(axis=1)
    assert share.std() == pytest.approx(np.sqrt(0.25 / 4000), rel=0.25)
