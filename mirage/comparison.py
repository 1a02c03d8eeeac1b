"""How much a synthetic table looks like the real one, column by column.

One score a column, from 0 (nothing in common) to 1 (the same distribution), missing values aside:

- numbers, dates and times: 1 - sup |F(x) - G(x)|, one minus the two-sample Kolmogorov-Smirnov statistic of the
  empirical distribution functions F and G (N. Smirnov, "Table for estimating the goodness of fit of empirical
  distributions", 1948);
- categories and booleans: 1 - 1/2 sum |p - q|, one minus the total variation distance of the relative frequencies p and
  q.

It says nothing of how columns go together, nor of privacy.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mirage.errors import UnusableTable
from mirage.uploading import as_arrow

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["number", "time", "category", "other"]

# Text of which more than this share is different is no category: names, comments, keys.
LARGEST_DISTINCT_SHARE = 0.5
FEWEST_DISTINCT_OF_TEXT = 20

_KINDS: dict[str, Kind] = {
    "integer": "number",
    "float": "number",
    "date": "time",
    "datetime": "time",
    "boolean": "category",
    "categorical": "category",
    "text": "other",
    "identifier": "other",
}


@dataclass(frozen=True)
class ColumnSummary:
    """One column of one table."""

    missing: float
    """Share of values that are missing, 0 to 1."""
    distinct: int
    """Different values, missing ones aside."""
    mean: float | None
    """Arithmetic mean; None unless it is a column of numbers with values."""
    deviation: float | None
    """Sample standard deviation; None unless it is a column of numbers with two values or more."""
    minimum: Any
    """Smallest value; None unless it is a column of numbers, dates or times with values."""
    maximum: Any
    """Largest value; likewise."""
    most_frequent: Any
    """The most frequent category; None for other columns."""
    most_frequent_share: float | None
    """Its share of the values that are there."""


@dataclass(frozen=True)
class ColumnComparison:
    """One column of both tables."""

    name: str
    kind: Kind
    real: ColumnSummary
    synthetic: ColumnSummary
    score: float | None
    """0 to 1; None for free text and identifiers, and where a table has no values."""


@dataclass(frozen=True)
class Comparison:
    """Every column of both tables, in the order of the real one."""

    columns: tuple[ColumnComparison, ...]

    @property
    def score(self) -> float | None:
        """Mean of the columns' scores; None if there are none."""
        scores = [column.score for column in self.columns if column.score is not None]
        return float(np.mean(scores)) if scores else None

    def dataframe(self) -> "pd.DataFrame":
        """Returns one row for each column."""
        import pandas as pd

        rows = [
            {"column": column.name, "kind": column.kind, "score": column.score}
            | {f"{name}_real": value for name, value in vars(column.real).items()}
            | {f"{name}_synthetic": value for name, value in vars(column.synthetic).items()}
            for column in self.columns
        ]
        return pd.DataFrame(rows).set_index("column") if rows else pd.DataFrame()

    def __iter__(self) -> Iterator[ColumnComparison]:
        return iter(self.columns)


def compare(real: Any, synthetic: Any, types: Mapping[str, str] | None = None) -> Comparison:
    """Compares two tables by the columns of the real one.

    Args:
        real: a DataFrame, an Arrow table, or anything that speaks Arrow.
        synthetic: likewise, with the same columns.
        types: what columns are taken for, as a dataset says it (`integer`, `categorical`, `identifier` and so on); for
            others the type of the column in `real` decides.

    Raises:
        UnusableTable: if a column is missing in `synthetic`, or one of the two isn't a table.
    """
    real, synthetic = as_arrow(real), as_arrow(synthetic)
    lacking = [name for name in real.column_names if name not in synthetic.column_names]
    if lacking:
        raise UnusableTable(f"The synthetic table has no column {', '.join(lacking)}.", reason="MISSING_COLUMNS")
    types = types or {}
    return Comparison(
        tuple(_column(name, types.get(name), real.column(name), synthetic.column(name)) for name in real.column_names)
    )


def ks_complement(real: npt.NDArray[np.float64], synthetic: npt.NDArray[np.float64]) -> float:
    """Returns one minus the two-sample Kolmogorov-Smirnov statistic of two non-empty samples."""
    real, synthetic = np.sort(real), np.sort(synthetic)
    points = np.concatenate([real, synthetic])
    real_share = np.searchsorted(real, points, side="right") / len(real)
    synthetic_share = np.searchsorted(synthetic, points, side="right") / len(synthetic)
    return float(1 - np.max(np.abs(real_share - synthetic_share)))


def tv_complement(real: Mapping[Any, int], synthetic: Mapping[Any, int]) -> float:
    """Returns one minus the total variation distance of two non-empty counts by category."""
    real_total, synthetic_total = sum(real.values()), sum(synthetic.values())
    apart = sum(
        abs(real.get(category, 0) / real_total - synthetic.get(category, 0) / synthetic_total)
        for category in {*real, *synthetic}
    )
    return 1 - apart / 2


def _column(name: str, given: str | None, real: pa.ChunkedArray, synthetic: pa.ChunkedArray) -> ColumnComparison:
    kind = _KINDS.get(given or "") or _kind_of(real)
    real_there, synthetic_there = _there(real), _there(synthetic)
    score: float | None = None
    if len(real_there) and len(synthetic_there):
        if kind == "category":
            score = tv_complement(_counts(real_there), _counts(synthetic_there))
        elif kind in ("number", "time"):
            score = ks_complement(_numbers(real_there), _numbers(synthetic_there))
    return ColumnComparison(
        name=name,
        kind=kind,
        real=_summary(kind, len(real), real_there),
        synthetic=_summary(kind, len(synthetic), synthetic_there),
        score=score,
    )


def _kind_of(column: pa.ChunkedArray) -> Kind:
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        return "number"
    if pa.types.is_temporal(column.type):
        return "time"
    if pa.types.is_boolean(column.type):
        return "category"
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        distinct = pc.count_distinct(column).as_py()
        is_text = distinct > max(FEWEST_DISTINCT_OF_TEXT, LARGEST_DISTINCT_SHARE * len(column))
        return "other" if is_text else "category"
    return "other"


def _there(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns the values that aren't missing; "not a number" counts as missing."""
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column.drop_null()


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    if pa.types.is_date32(column.type) or pa.types.is_time(column.type):
        column = column.cast(pa.timestamp("s") if pa.types.is_date32(column.type) else pa.int64())
    if pa.types.is_timestamp(column.type):
        # In one unit, whichever the two tables have.
        column = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _counts(column: pa.ChunkedArray) -> dict[Any, int]:
    return {pair["values"]: pair["counts"] for pair in column.value_counts().to_pylist()}


def _summary(kind: Kind, rows: int, there: pa.ChunkedArray) -> ColumnSummary:
    mean = deviation = minimum = maximum = most_frequent = most_frequent_share = None
    if kind == "number" and len(there):
        mean = float(pc.mean(there.cast(pa.float64(), safe=False)).as_py())
        deviation = float(pc.stddev(there, ddof=1).as_py()) if len(there) > 1 else None
    if kind in ("number", "time") and len(there):
        extremes = pc.min_max(there)
        minimum, maximum = extremes["min"].as_py(), extremes["max"].as_py()
    if kind == "category" and len(there):
        counts = _counts(there)
        # The first in order where several are as frequent, so that the answer doesn't depend on the order of rows.
        most_frequent = min(counts, key=lambda category: (-counts[category], str(category)))
        most_frequent_share = counts[most_frequent] / len(there)
    return ColumnSummary(
        missing=1 - len(there) / rows if rows else 0.0,
        distinct=pc.count_distinct(there).as_py(),
        mean=mean,
        deviation=deviation,
        minimum=minimum,
        maximum=maximum,
        most_frequent=most_frequent,
        most_frequent_share=most_frequent_share,
    )
