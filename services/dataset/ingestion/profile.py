"""What is known of a table without looking at its rows, in the shape of `mirage.dataset.v1.DatasetProfile`."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from servicekit.column_types import ColumnType
from servicekit.tabular.text import as_text
from services.dataset.columns import Column
from services.dataset.ingestion.histograms import day_edges, even_edges, integer_edges
from services.dataset.ingestion.reading import internal
from services.dataset.ingestion.staging import Relation, counted, one_row

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
TOP_VALUES = 20
EXACT_QUANTILE_ROWS = 5_000_000
"""In larger tables quantiles are estimated, in bounded memory."""
_MOST_DECIMAL_PLACES = 15
_LONGEST_VALUE = 200  # characters of a value that are shown
_NUMBERS = (ColumnType.INTEGER, ColumnType.FLOAT)
_MOMENTS = (ColumnType.DATE, ColumnType.DATETIME)
_TEXTS = (ColumnType.TEXT, ColumnType.IDENTIFIER)

Document = dict[str, Any]


def profile_columns(
    relation: Relation, columns: Sequence[Column], kinds: Sequence[pa.DataType], rows: int
) -> Iterator[Document]:
    """The profile of one column after another."""
    for position, (column, kind) in enumerate(zip(columns, kinds, strict=True)):
        view = relation.of(position)
        yield _Profiler(relation.connection, view, internal(position), column, kind, rows).document()


def duplicate_rows(connection: duckdb.DuckDBPyConnection, view: str, columns: int, rows: int) -> int:
    """Rows that are equal to an earlier one in every column, told by a 64-bit hash of the row."""
    row = ", ".join(internal(position) for position in range(columns))
    [different] = one_row(connection, f"SELECT count(*) FROM (SELECT DISTINCT hash({row}) FROM {view})")
    return rows - int(different)


class _Profiler:
    """Profiles one column of a view."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        view: str,
        name: str,
        column: Column,
        kind: pa.DataType,
        rows: int,
    ) -> None:
        self._connection = connection
        self._view = view
        self._name = name
        self._column = column
        self._kind = kind
        self._rows = rows

    def document(self) -> Document:
        """The column's profile."""
        [count] = self._one(f"count({self._name})")
        [distinct] = one_row(
            self._connection,
            f"SELECT count(*) FROM (SELECT DISTINCT {self._name} FROM {self._view} WHERE {self._name} IS NOT NULL)",
        )
        missing = self._rows - count
        document: Document = {
            "name": self._column.name,
            "type": self._column.type.value,
            "count": count,
            "missing_count": missing,
            "missing_fraction": missing / self._rows if self._rows else 0.0,
            "distinct_count": distinct,
        }
        if self._column.type not in _TEXTS:
            document["top_values"] = self._top_values()
        if count == 0:
            return document
        if self._column.type in _NUMBERS:
            document |= self._numbers()
        elif self._column.type in _MOMENTS:
            document |= self._moments()
        elif self._column.type in _TEXTS:
            document["text"] = self._text()
        return document

    def _one(self, expressions: str, condition: str = "true") -> tuple[Any, ...]:
        return one_row(self._connection, f"SELECT {expressions} FROM {self._view} WHERE {condition}")

    def _top_values(self) -> list[Document]:
        found = self._connection.sql(
            f"SELECT {self._name} AS value, count(*) AS count FROM {self._view} WHERE {self._name} IS NOT NULL "
            f"GROUP BY value ORDER BY count DESC, value LIMIT {TOP_VALUES}"
        ).to_arrow_table()
        texts = as_text(found["value"].combine_chunks()).to_pylist()
        counts = found["count"].to_pylist()
        return [{"value": shown(text), "count": count} for text, count in zip(texts, counts, strict=True)]

    def _numbers(self) -> Document:
        name, finite = self._name, "true"
        if self._column.type is ColumnType.FLOAT:
            finite = f"isfinite({name})"
        quantile = "quantile_cont" if self._rows <= EXACT_QUANTILE_ROWS else "approx_quantile"
        shares = ", ".join(map(str, QUANTILES))
        value = f"CAST({name} AS DOUBLE)"
        found = self._one(
            f"count({name}), min({value}), max({value}), avg({value}), stddev_samp({value}), "
            f"{quantile}({value}, [{shares}]), {_decimal_places(name) if pa.types.is_floating(self._kind) else 0}",
            f"{name} IS NOT NULL AND {finite}",
        )
        count, minimum, maximum, mean, deviation, quantiles, places = found
        if not count:  # nothing but infinity
            return {}
        whole = pa.types.is_integer(self._kind)
        edges = integer_edges(int(minimum), int(maximum)) if whole else even_edges(minimum, maximum)
        return {
            "numeric": {
                "minimum": minimum,
                "maximum": maximum,
                "mean": mean,
                "standard_deviation": deviation or 0.0,
                "quantiles": [
                    {"probability": share, "value": value} for share, value in zip(QUANTILES, quantiles, strict=True)
                ],
                "decimal_places": min(places, _MOST_DECIMAL_PLACES),
            },
            "histogram": self._histogram(value, edges, finite),
        }

    def _moments(self) -> Document:
        name = self._name
        extremes = self._connection.sql(f"SELECT min({name}) AS a, max({name}) AS b FROM {self._view}").to_arrow_table()
        [earliest] = as_text(extremes["a"].combine_chunks()).to_pylist()
        [latest] = as_text(extremes["b"].combine_chunks()).to_pylist()
        seconds = f"epoch(CAST({name} AS TIMESTAMPTZ))"
        first, last = self._one(f"min({seconds}), max({seconds})")
        days = self._column.type is ColumnType.DATE
        edges = day_edges(first, last) if days else even_edges(float(first), float(last))
        return {
            "temporal": {"minimum": earliest, "maximum": latest},
            "histogram": self._histogram(seconds, edges, "true"),
        }

    def _text(self) -> Document:
        length = f"length(CAST({self._name} AS VARCHAR))"
        shortest, longest, mean = self._one(f"min({length}), max({length}), avg({length})")
        return {"minimum_length": shortest, "maximum_length": longest, "mean_length": mean}

    def _histogram(self, value: str, edges: Sequence[float], condition: str) -> Document:
        below = ", ".join(counted(f"{value} < {edge!r}::DOUBLE") for edge in edges[1:-1])
        found = self._one(f"count({value}){', ' if below else ''}{below}", condition)
        total, *inner = found
        steps = [0, *inner, total]
        counts = [after - before for before, after in itertools.pairwise(steps)]
        return {"edges": list(edges), "counts": counts}


def shown(text: str) -> str:
    """A value as it is shown: not too long, and without the null character, which no database takes."""
    short = text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
    return short.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _decimal_places(name: str) -> str:
    """SQL: the most digits behind the point in the shortest spelling of any value of the column."""
    spelled = f"CAST({name} AS VARCHAR)"
    fraction = f"split_part(split_part({spelled}, 'e', 1), '.', 2)"
    digits = f"CASE WHEN {fraction} = '0' THEN 0 ELSE length({fraction}) END"
    exponent = f"coalesce(TRY_CAST(split_part({spelled}, 'e', 2) AS INTEGER), 0)"
    return f"max(greatest(0, {digits} - {exponent}))"
