"""What is known of a table without looking at its rows, in the shape of `mirage.dataset.v1.DatasetProfile`."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from servicekit.column_types import ColumnType
from services.dataset.ingestion.database import GROUP_COLUMNS, Relation, one_row
from services.dataset.ingestion.histograms import day_edges, even_edges, integer_edges
from services.dataset.ingestion.meaning import judge
from services.dataset.ingestion.reading import internal
from services.dataset.ingestion.sorted_values import SortedValues, can_be_sorted
from services.dataset.ingestion.values import EXACT_QUANTILE_ROWS, QUANTILES, QueriedValues, Values

TOP_VALUES = 20
_LONGEST_VALUE = 200  # characters of a value that are shown
_BATCH_ROWS = 65_536
_THREADS = 2
_NUMBERS = (ColumnType.INTEGER, ColumnType.FLOAT)
_MOMENTS = (ColumnType.DATE, ColumnType.DATETIME)
_TEXTS = (ColumnType.TEXT, ColumnType.IDENTIFIER)

Document = dict[str, Any]


@dataclass(frozen=True)
class Profiled:
    """A column to profile. `type` is None for strings and integers whose meaning is yet to be judged."""

    name: str
    kind: pa.DataType
    type: ColumnType | None


def profile_columns(
    connection: duckdb.DuckDBPyConnection, view: str, path: Path, columns: Sequence[Profiled], rows: int
) -> list[Document]:
    """The profiles of a table's columns. `view` has the columns of the file at `path` under internal names."""
    positions = range(len(columns))
    if len(columns) > GROUP_COLUMNS:
        with Relation(connection, view, positions) as relation, pq.ParquetFile(path, pre_buffer=False) as file:
            return [_profile(relation, file, position, columns[position], rows) for position in positions]
    metadata = pq.read_metadata(path)
    sorting = threading.Lock()

    def profile(position: int) -> Document:
        # One column at a time is held in memory; another one may be in the database meanwhile.
        held = sorting if can_be_sorted(columns[position].kind) else contextlib.nullcontext()
        with (
            held,
            connection.cursor() as cursor,
            pq.ParquetFile(path, metadata=metadata, pre_buffer=False) as file,
        ):
            return _profile(Relation(cursor, view, positions), file, position, columns[position], rows)

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="profile") as threads:
        return list(threads.map(profile, positions))


def duplicate_rows(connection: duckdb.DuckDBPyConnection, view: str, profiles: Sequence[Document], rows: int) -> int:
    """Rows that are equal to an earlier one in every column, told by a 64-bit hash of the row."""
    if any(profile["distinct_count"] == rows for profile in profiles):
        return 0
    row = ", ".join(internal(position) for position in range(len(profiles)))
    [different] = one_row(connection, f"SELECT count(*) FROM (SELECT DISTINCT hash({row}) FROM {view})")
    return rows - int(different)


def _profile(relation: Relation, file: pq.ParquetFile, position: int, column: Profiled, rows: int) -> Document:
    queried = QueriedValues(relation.connection, relation.of(position), internal(position), column.kind, rows)
    values: Values = queried
    if rows <= EXACT_QUANTILE_ROWS and can_be_sorted(column.kind):
        values = SortedValues(_parts(file, column.name), column.kind, rows)
    column_type = column.type or judge(column.name, values, queried)
    missing = rows - values.count
    document: Document = {
        "name": column.name,
        "type": column_type.value,
        "count": values.count,
        "missing_count": missing,
        "missing_fraction": missing / rows if rows else 0.0,
        "distinct_count": values.distinct,
    }
    if column_type not in _TEXTS:
        document["top_values"] = [{"value": shown(top.text), "count": top.times} for top in values.top(TOP_VALUES)]
    if not values.count:
        return document
    if column_type in _NUMBERS:
        document |= _numbers(values)
    elif column_type in _MOMENTS:
        document |= _moments(values, column_type)
    elif column_type in _TEXTS and (lengths := queried.lengths):
        document["text"] = {
            "minimum_length": lengths.shortest,
            "maximum_length": lengths.longest,
            "mean_length": lengths.mean,
        }
    return document


def _parts(file: pq.ParquetFile, name: str) -> Iterator[pa.Array]:
    # By name again: Arrow takes “a” for the beginning of “a.b” as well.
    for batch in file.iter_batches(_BATCH_ROWS, columns=[name], use_threads=False):
        yield batch.column(name)


def _numbers(values: Values) -> Document:
    numbers = values.numbers()
    minimum, maximum = numbers.minimum, numbers.maximum
    whole = pa.types.is_integer(values.kind)
    edges = integer_edges(int(minimum), int(maximum)) if whole else even_edges(minimum, maximum)
    return {
        "numeric": {
            "minimum": minimum,
            "maximum": maximum,
            "mean": numbers.mean,
            "standard_deviation": numbers.standard_deviation,
            "quantiles": [
                {"probability": share, "value": value}
                for share, value in zip(QUANTILES, numbers.quantiles, strict=True)
            ],
            "decimal_places": numbers.decimal_places,
        },
        "histogram": {"edges": list(edges), "counts": values.histogram(edges)},
    }


def _moments(values: Values, column_type: ColumnType) -> Document:
    earliest, latest, first, last = values.moments()
    edges = day_edges(first, last) if column_type is ColumnType.DATE else even_edges(first, last)
    return {
        "temporal": {"minimum": earliest, "maximum": latest},
        "histogram": {"edges": list(edges), "counts": values.histogram(edges)},
    }


def shown(text: str) -> str:
    """A value as it is shown: not too long, and without the null character, which no database takes."""
    short = text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
    return short.replace("\0", "\N{REPLACEMENT CHARACTER}")
