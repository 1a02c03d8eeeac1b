"""From a file to a table: read, find the types, write Parquet, profile."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from servicekit.column_types import ColumnType
from services.dataset.columns import Column
from services.dataset.ingestion import table
from services.dataset.ingestion.advice import advice
from services.dataset.ingestion.correlations import correlations
from services.dataset.ingestion.database import GROUP_COLUMNS, Relation, batches, create_view, database, one_row
from services.dataset.ingestion.faults import named
from services.dataset.ingestion.foresight import foresee
from services.dataset.ingestion.formats.detect import open_file
from services.dataset.ingestion.meaning import judge
from services.dataset.ingestion.profile import Document, Profiled, duplicate_rows, profile_columns
from services.dataset.ingestion.reading import Reading, internal, internals
from services.dataset.ingestion.staging import ROW, Misfit, Staged, stage
from services.dataset.ingestion.storage import Columns, Storage, settle
from services.dataset.ingestion.tasks import Outcome, Report, Task
from services.dataset.ingestion.values import QueriedValues
from services.dataset.personal_data.scan import scan

TABLE_FILE = "table.parquet"
_STAGED, _TABLE = "staged", "final"
_MOST_BEGINNINGS = 3


@dataclass(frozen=True)
class _Chosen:
    """A column of the table. `inferred` is what it would be, had nobody said otherwise; None where nobody did."""

    name: str
    storage: Storage
    inferred: ColumnType | None


@dataclass(frozen=True)
class _Read:
    """A file that was read: its cells, and how those columns are stored that have their types already."""

    reading: Reading
    staged: Staged
    settled: dict[int, Storage]

    @property
    def open_positions(self) -> list[int]:
        """Columns whose types are yet to be found."""
        return [position for position in range(len(self.reading.names)) if position not in self.settled]


def ingest(task: Task, report: Report) -> Outcome:
    """Reads one file in. The memory it takes doesn't grow with the file, workbooks aside.

    Raises:
        Fault: the file can't be read.
        TypesDontFit: a type set by hand doesn't hold every value.
    """
    report("reading", 0.0, 0)
    read = _read(task, report)
    reading, rows = read.reading, read.staged.rows
    with database(task.directory, task.limits) as connection:
        report("reading", 0.4, rows)
        chosen = _settle(connection, read, task)
        report("reading", 0.6, rows)
        path = _make_table(connection, read, chosen, task.directory / TABLE_FILE)
        report("profiling", 0.7, rows)
        profile = _profile(connection, path, chosen, rows)
    columns = [_column(one, document) for one, document in zip(chosen, profile["columns"], strict=True)]
    table.describe(path, table.schema_of(columns, [one.storage.arrow for one in chosen]))
    return Outcome(
        source_format=reading.source_format,
        table=path,
        row_count=rows,
        columns=tuple(columns),
        notes=tuple(reading.notes),
        profile=profile,
        personal_data=tuple(scan(path)),
    )


def _read(task: Task, report: Report) -> _Read:
    """Reads the file; once more from its beginning where columns turn out to hold something else than expected."""
    open_positions: set[int] = set()
    for beginning in range(_MOST_BEGINNINGS):
        reading = open_file(task.source, task.directory, task.limits)
        by_hand = task.required.keys() | task.wished.keys()
        open_positions |= {position for position, name in enumerate(reading.names) if name in by_hand}
        open_positions |= reading.unnamed | reading.declared.keys()
        if beginning == _MOST_BEGINNINGS - 1:
            open_positions = set(range(len(reading.names)))
        foreseen, read = foresee(reading, task.directory, task.limits, open_positions)
        try:
            staged = stage(reading, read, foreseen, task.directory, report)
        except Misfit as misfit:
            open_positions |= misfit.positions
        else:
            return _Read(reading, staged, {position: guess.stored(position) for position, guess in foreseen.items()})
    raise AssertionError("nothing was foreseen, and yet it was wrong")


def _settle(connection: duckdb.DuckDBPyConnection, read: _Read, task: Task) -> list[_Chosen]:
    """The columns of the table and how they are stored."""
    reading, rows = read.reading, read.staged.rows
    chosen_columns = []
    if read.staged.texts:
        create_view(connection, _STAGED, read.staged.texts, [ROW, *map(internal, read.open_positions)])
    with Relation(connection, _STAGED, read.open_positions) as relation:
        columns = Columns(relation, reading, rows, read.settled)
        for inferred, chosen in settle(columns, reading, task.required, task.wished):
            position = chosen.position
            if position in reading.left_out:
                continue
            if position in reading.unnamed and _is_empty(relation, position):
                reading.notes.append(f"Column {position + 1}, which has neither a name nor a value, was left out.")
                continue
            name = reading.names[position]
            if chosen.note:
                reading.notes.append(f"Column {named([name])} {chosen.note}.")
            # What it would be otherwise can be told only as long as its text is there.
            otherwise = None if chosen is inferred else _meaning(relation, name, inferred, rows)
            chosen_columns.append(_Chosen(name, chosen, otherwise))
    return chosen_columns


def _meaning(relation: Relation, name: str, storage: Storage, rows: int) -> ColumnType:
    if storage.type is not None:
        return storage.type
    source = f"(SELECT {storage.value} AS v FROM {relation.of(storage.position)})"
    values = QueriedValues(relation.connection, source, "v", storage.arrow, rows)
    return judge(name, values, values)


def _is_empty(relation: Relation, position: int) -> bool:
    [count] = one_row(relation.connection, f"SELECT count({internal(position)}) FROM {relation.of(position)}")
    return not count


def _make_table(connection: duckdb.DuckDBPyConnection, read: _Read, chosen: Sequence[_Chosen], path: Path) -> Path:
    """Writes the table, as far as it isn't written yet, and puts it together."""
    typed = read.staged.typed
    if typed and not read.open_positions:
        return typed.rename(path)
    rows = table.group_rows(len(chosen))
    late = [one for one in chosen if one.storage.position not in read.settled]
    parts = [typed] if typed else []
    for start in range(0, len(late), GROUP_COLUMNS):
        part = late[start : start + GROUP_COLUMNS]
        schema = pa.schema([pa.field(one.name, one.storage.arrow) for one in part])
        parts.append(path.with_name(f"part-{start:06d}.parquet"))
        table.write(parts[-1], schema, _typed(connection, [one.storage for one in part], schema, rows), rows)
    for text in read.staged.texts:
        text.unlink()
    if len(parts) == 1:
        return parts[0].rename(path)
    table.put_side_by_side(parts, path, [one.name for one in chosen], rows)
    for piece in parts:
        piece.unlink()
    return path


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


def _profile(connection: duckdb.DuckDBPyConnection, path: Path, chosen: Sequence[_Chosen], rows: int) -> Document:
    create_view(connection, _TABLE, [path], internals(len(chosen)))
    columns = [Profiled(one.name, one.storage.arrow, one.storage.type) for one in chosen]
    profiles = profile_columns(connection, _TABLE, path, columns, rows)
    duplicates = duplicate_rows(connection, _TABLE, profiles, rows)
    warnings = list(advice(profiles, rows, duplicates))
    found = correlations(connection, _TABLE, profiles, rows, warnings)
    return {
        "row_count": rows,
        "duplicate_row_count": duplicates,
        "columns": profiles,
        "correlations": found,
        "warnings": warnings,
    }


def _column(chosen: _Chosen, document: Document) -> Column:
    column_type = ColumnType(document["type"])
    return Column(
        name=chosen.name,
        type=column_type,
        inferred_type=chosen.inferred or column_type,
        nullable=document["missing_count"] > 0,
    )
