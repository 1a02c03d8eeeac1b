"""DuckDB over Parquet files, with bounded memory."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from services.dataset.ingestion.reading import internal
from services.dataset.ingestion.tasks import Limits

GROUP_COLUMNS = 100
"""Of a table with more, some columns at a time are worked on: both time and memory grow with those in a query."""


@contextmanager
def database(directory: Path, limits: Limits) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with bounded memory that spills into `directory`, and can read files only by what we tell it."""
    connection = duckdb.connect(
        config={
            "memory_limit": f"{limits.database_memory_bytes}B",
            "temp_directory": str(directory / "spill"),
            "threads": 2,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def create_view(
    connection: duckdb.DuckDBPyConnection, name: str, paths: Sequence[Path], columns: Iterable[str]
) -> None:
    """Makes Parquet files a view with these columns, by position."""
    aliases = ", ".join(columns)
    connection.execute(
        f"CREATE OR REPLACE VIEW {name} AS "
        f"SELECT * FROM read_parquet({_list(paths)}, union_by_name={len(paths) > 1}) AS t({aliases})"
    )


class Relation:
    """A view of many rows by its columns, for queries over one column at a time.

    Every query over a wide view has to look at all of its columns. So of a wide one, some columns at a time are copied
    into a table, and columns should be asked for in their order.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, view: str, positions: Sequence[int]) -> None:
        self.connection = connection
        self._view = view
        self._positions = positions
        self._groups = {position: index // GROUP_COLUMNS for index, position in enumerate(positions)}
        self._group = -1  # the one that was copied

    def of(self, position: int) -> str:
        """What to select a column from; good until the next call."""
        if len(self._positions) <= GROUP_COLUMNS:
            return self._view
        group = self._groups[position]
        copy = f"{self._view}_group"
        if group != self._group:
            chosen = self._positions[group * GROUP_COLUMNS : (group + 1) * GROUP_COLUMNS]
            names = ", ".join(internal(column) for column in chosen)
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {copy} AS SELECT {names} FROM {self._view}")
            self._group = group
        return copy

    def __enter__(self) -> "Relation":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.connection.execute(f"DROP TABLE IF EXISTS {self._view}_group")


def one_row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """The only row of a query's result."""
    row: tuple[Any, ...]
    [row] = connection.execute(query).fetchall()
    return row


def batches(connection: duckdb.DuckDBPyConnection, query: str, rows: int) -> Iterator[pa.RecordBatch]:
    """A query's result as it is made, so many rows at a time."""
    reader: Iterator[pa.RecordBatch] = connection.sql(query).to_arrow_reader(rows)
    return reader


def counted(condition: str) -> str:
    """SQL: how many rows fulfil a condition; 0 where there is no row at all."""
    return f"count(*) FILTER (WHERE {condition})"


def literal(text: str) -> str:
    """A string as SQL."""
    return "'" + text.replace("'", "''") + "'"


def _list(paths: Sequence[Path]) -> str:
    return "[" + ", ".join(literal(str(path)) for path in paths) + "]"
