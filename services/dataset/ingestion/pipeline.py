"""From a file to a table: read, find the types, write Parquet, profile."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from services.dataset.columns import Column
from services.dataset.ingestion import table
from services.dataset.ingestion.advice import advice
from services.dataset.ingestion.correlations import correlations
from services.dataset.ingestion.faults import named
from services.dataset.ingestion.formats.detect import open_file
from services.dataset.ingestion.meaning import judge
from services.dataset.ingestion.profile import Document, duplicate_rows, profile_columns
from services.dataset.ingestion.reading import Reading, internal, internals
from services.dataset.ingestion.staging import (
    GROUP_COLUMNS,
    ROW,
    Relation,
    batches,
    create_view,
    database,
    one_row,
    stage,
)
from services.dataset.ingestion.storage import Columns, Storage, settle
from services.dataset.ingestion.tasks import Outcome, Report, Task
from services.dataset.personal_data.scan import scan

TABLE_FILE = "table.parquet"
_STAGED, _TABLE = "staged", "final"


def ingest(task: Task, report: Report) -> Outcome:
    """Reads one file in. The memory it takes doesn't grow with the file, workbooks aside.

    Raises:
        Fault: the file can't be read.
        TypesDontFit: a type set by hand doesn't hold every value.
    """
    report("reading", 0.0, 0)
    reading = open_file(task.source, task.directory, task.limits)
    staged, rows = stage(reading, task.directory, report)
    with database(task.directory, task.limits) as connection:
        create_view(connection, _STAGED, staged, [ROW, *internals(len(reading.names))])
        report("reading", 0.4, rows)
        columns, storages = _settle(connection, reading, task, rows)
        report("reading", 0.6, rows)
        path = task.directory / TABLE_FILE
        kinds = [storage.arrow for storage in storages]
        schema = table.schema_of(columns, kinds)
        _write_table(connection, storages, schema, path)
        for part in staged:
            part.unlink()
        report("profiling", 0.7, rows)
        profile = _profile(connection, path, columns, kinds, rows)
    return Outcome(
        source_format=reading.source_format,
        table=path,
        row_count=rows,
        columns=tuple(_with_nullable(columns, profile)),
        notes=tuple(reading.notes),
        profile=profile,
        personal_data=tuple(scan(path)),
    )


def _settle(
    connection: duckdb.DuckDBPyConnection, reading: Reading, task: Task, rows: int
) -> tuple[list[Column], list[Storage]]:
    """The columns of the table and how they are stored."""
    columns, storages = [], []
    with Relation(connection, _STAGED, len(reading.names)) as relation:
        settled = settle(Columns(relation, reading, rows), reading, task.required, task.wished)
        for inferred, chosen in settled:
            position = chosen.position
            if position in reading.left_out:
                continue
            if position in reading.unnamed and _is_empty(relation, position):
                reading.notes.append(f"Column {position + 1}, which has neither a name nor a value, was left out.")
                continue
            name = reading.names[position]
            inferred_type = judge(relation, name, inferred)
            # Nobody said otherwise, or the type that was wished for doesn't hold every value.
            as_inferred = chosen is inferred
            column_type = inferred_type if as_inferred else judge(relation, name, chosen)
            columns.append(Column(name=name, type=column_type, inferred_type=inferred_type, nullable=True))
            storages.append(chosen)
            if chosen.note:
                reading.notes.append(f"Column {named([name])} {chosen.note}.")
    return columns, storages


def _is_empty(relation: Relation, position: int) -> bool:
    [count] = one_row(relation.connection, f"SELECT count({internal(position)}) FROM {relation.of(position)}")
    return not count


def _write_table(
    connection: duckdb.DuckDBPyConnection, storages: Sequence[Storage], schema: pa.Schema, path: Path
) -> None:
    """Writes the table; one of many columns in parts of some of them, which are put side by side then."""
    rows = table.group_rows(len(schema))
    parts = []
    for start in range(0, len(storages), GROUP_COLUMNS):
        chosen = slice(start, start + GROUP_COLUMNS)
        part_schema = pa.schema(list(schema)[chosen])
        if len(storages) <= GROUP_COLUMNS:
            table.write(path, part_schema, _typed(connection, storages, part_schema, rows), rows)
            return
        parts.append(path.with_name(f"part-{start:06d}.parquet"))
        table.write(parts[-1], part_schema, _typed(connection, storages[chosen], part_schema, rows), rows)
    table.put_side_by_side(parts, path, schema, rows)
    for part in parts:
        part.unlink()


def _typed(
    connection: duckdb.DuckDBPyConnection, storages: Sequence[Storage], schema: pa.Schema, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    values = ", ".join(f"{storage.value} AS {internal(storage.position)}" for storage in storages)
    rows = 0
    for batch in batches(connection, f"SELECT {ROW}, {values} FROM {_STAGED}", batch_rows):
        numbers, *staged = batch.columns
        if not numbers.equals(pa.array(range(rows, rows + batch.num_rows), pa.int64())):
            raise RuntimeError("the query lost the order of the rows")
        rows += batch.num_rows
        columns = [column.cast(field.type) for column, field in zip(staged, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _profile(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    columns: Sequence[Column],
    kinds: Sequence[pa.DataType],
    rows: int,
) -> Document:
    create_view(connection, _TABLE, [path], internals(len(columns)))
    with Relation(connection, _TABLE, len(columns)) as relation:
        profiles = list(profile_columns(relation, columns, kinds, rows))
    duplicates = duplicate_rows(connection, _TABLE, len(columns), rows)
    warnings = list(advice(profiles, rows, duplicates))
    found = correlations(connection, _TABLE, profiles, rows, warnings)
    return {
        "row_count": rows,
        "duplicate_row_count": duplicates,
        "columns": profiles,
        "correlations": found,
        "warnings": warnings,
    }


def _with_nullable(columns: Sequence[Column], profile: Document) -> Iterator[Column]:
    for column, document in zip(columns, profile["columns"], strict=True):
        yield column.model_copy(update={"nullable": document["missing_count"] > 0})
