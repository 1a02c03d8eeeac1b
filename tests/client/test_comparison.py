"""How synthetic tables are compared with real ones."""

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sdmetrics.single_column import KSComplement, TVComplement

from mirage import compare
from mirage.comparison import ks_complement, tv_complement
from mirage.errors import UnusableTable

numbers = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


@pytest.mark.filterwarnings("ignore::RuntimeWarning:scipy")  # of p-values, which nobody asked for
@given(numbers, numbers)
def test_numbers_as_scipy_sees_them(real: list[float], synthetic: list[float]) -> None:
    """The score of numbers is one minus SciPy's Kolmogorov-Smirnov statistic, ties and all."""
    expected = 1 - ks_2samp(real, synthetic, method="asymp").statistic
    assert ks_complement(np.array(real), np.array(synthetic)) == pytest.approx(expected)


@given(st.lists(st.sampled_from("abcd"), min_size=1), st.lists(st.sampled_from("bcde"), min_size=1))
def test_categories_as_sdmetrics_sees_them(real: list[str], synthetic: list[str]) -> None:
    """The score of categories is what SDMetrics calls the complement of the total variation distance."""
    expected = TVComplement.compute(pd.Series(real), pd.Series(synthetic))
    counts = [{value: values.count(value) for value in values} for values in (real, synthetic)]
    assert tv_complement(*counts) == pytest.approx(expected, abs=1e-5)  # SDMetrics smooths by a millionth


def test_dates_as_sdmetrics_sees_them() -> None:
    """Dates are compared as points in time, whatever the unit they are kept in."""
    start = datetime(2013, 1, 1)  # noqa: DTZ001 -- a table's times have no zone
    real = [start + timedelta(days=number) for number in range(100)]
    synthetic = [start + timedelta(days=number * 2) for number in range(100)]
    expected = KSComplement.compute(pd.Series(real), pd.Series(synthetic))
    (column,) = compare(
        pa.table({"at": pa.array(real, pa.timestamp("ms"))}), pa.table({"at": pa.array(synthetic, pa.timestamp("ns"))})
    )
    assert column.kind == "time"
    assert column.score == pytest.approx(expected)
    (column,) = compare(
        pa.table({"day": [moment.date() for moment in real]}),
        pa.table({"day": [moment.date() for moment in synthetic]}),
    )
    assert column.kind == "time"
    assert column.score == pytest.approx(expected)
    assert column.real.maximum == date(2013, 4, 10)


def test_table_compared_with_itself() -> None:
    """A table is as similar to itself as can be, in every column that has a score."""
    frame = pd.DataFrame(
        {
            "number": [1.5, 2.5, None, 4.0],
            "truth": [True, False, True, True],
            "word": ["a", "b", None, "a"],
            "day": [date(2013, 1, 1)] * 4,
        }
    )
    comparison = compare(frame, frame)
    assert [column.score for column in comparison] == [1.0] * 4
    assert comparison.score == 1.0
    assert comparison.dataframe().loc["word", "most_frequent_real"] == "a"


def test_nothing_in_common() -> None:
    """Columns that share no value score nothing."""
    comparison = compare(pa.table({"n": [1, 2], "w": ["a", "b"]}), pa.table({"n": [10, 20], "w": ["c", "d"]}))
    assert [column.score for column in comparison] == [0.0, 0.0]


def test_missing_values_are_told_apart() -> None:
    """Missing values don't enter the score; their share is told beside it. Not-a-number is missing."""
    real = pa.table({"n": [1.0, 2.0, None, float("nan")]})
    synthetic = pa.table({"n": [1.0, 2.0, 1.0, 2.0]})
    (column,) = compare(real, synthetic)
    assert (column.score, column.real.missing, column.synthetic.missing) == (1.0, 0.5, 0.0)
    assert column.real.mean == 1.5
    assert column.real.deviation == pytest.approx(0.5**0.5)


def test_empty_columns_have_no_score() -> None:
    """A column without values has no score, and neither has a table of such columns."""
    comparison = compare(pa.table({"n": pa.array([None, None], pa.int64())}), pa.table({"n": [1, 2]}))
    assert [column.score for column in comparison] == [None]
    assert comparison.score is None
    assert compare(pa.table({"n": pa.array([], pa.int64())}), pa.table({"n": [1]})).score is None


def test_text_and_identifiers_have_no_score() -> None:
    """Free text and identifiers aren't categories; a number that is one is compared as such where the type says so."""
    table = pa.table({"note": [f"note {number}" for number in range(100)], "code": [7, 8] * 50})
    assert {column.name: column.kind for column in compare(table, table)} == {"note": "other", "code": "number"}
    types = {"code": "categorical", "note": "identifier"}
    by_name = {column.name: column for column in compare(table, table, types)}
    assert (by_name["code"].kind, by_name["code"].real.most_frequent) == ("category", 7)
    assert by_name["note"].score is None


def test_column_that_isn_t_there() -> None:
    """A synthetic table that lacks a column is refused, by name."""
    with pytest.raises(UnusableTable, match="no column b"):
        compare(pa.table({"a": [1], "b": [2]}), pa.table({"a": [1]}))
