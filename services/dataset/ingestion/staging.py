"""A file's cells as Parquet on disk: with their types where these were foreseen, as text where they aren't known yet.

Staged rows of text are numbered: no query has to be trusted to keep their order.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from services.dataset.ingestion.conversion import Converter
from services.dataset.ingestion.faults import Fault, Reason
from services.dataset.ingestion.reading import Reading, internal
from services.dataset.ingestion.storage import Guess
from services.dataset.ingestion.table import group_rows
from services.dataset.ingestion.tasks import Report

ROW = "row_number"
_REPORT_ROWS = 50_000
_THREADS = 2


@dataclass(frozen=True)
class Staged:
    """What was written. `typed` holds the columns that were foreseen, under their names and in their order."""

    rows: int
    typed: Path | None
    texts: tuple[Path, ...]  # the other columns under internal names, behind the number of the row


class Misfit(Exception):
    """Columns don't hold what was foreseen."""

    def __init__(self, positions: frozenset[int]) -> None:
        super().__init__(positions)
        self.positions = positions


def stage(
    reading: Reading,
    batches: Iterator[pa.RecordBatch],
    foreseen: Mapping[int, Guess],
    directory: Path,
    report: Report,
) -> Staged:
    """Writes everything that is read into Parquet files.

    Raises:
        Fault: the file is broken, or has no rows.
        Misfit: some columns don't hold what was foreseen.
    """
    rows = reported = 0
    with ExitStack() as stack:
        typed = stack.enter_context(_TypedFile(directory / "typed.parquet", reading, foreseen)) if foreseen else None
        texts = stack.enter_context(_TextFiles(directory))
        for batch in batches:
            if typed:
                typed.write(batch.select([internal(position) for position in sorted(foreseen)]))
            open_columns = [name for name in batch.schema.names if int(name[1:]) not in foreseen]
            if open_columns:
                texts.write(batch.select(open_columns), rows)
            rows += batch.num_rows
            if rows - reported >= _REPORT_ROWS:
                reported = rows
                report("reading", 0.0, rows)
    pa.default_memory_pool().release_unused()  # what comes next needs memory of other kinds
    if rows == 0:
        raise Fault(Reason.EMPTY, "The file has a header but no rows: it should have at least one.")
    return Staged(rows, typed.path if typed else None, tuple(texts.paths))


class _TextFiles:
    """Files of text; a new one is begun where there are more columns than before."""

    def __init__(self, directory: Path) -> None:
        self.paths: list[Path] = []
        self._directory = directory
        self._writer: pq.ParquetWriter | None = None

    def write(self, columns: pa.RecordBatch, first_row: int) -> None:
        numbers = pa.array(range(first_row, first_row + columns.num_rows), pa.int64())
        batch = columns.add_column(0, ROW, numbers)
        if self._writer is None or batch.schema != self._writer.schema:
            self.close()
            self.paths.append(self._directory / f"staged-{len(self.paths):05d}.parquet")
            self._writer = pq.ParquetWriter(
                self.paths[-1],
                batch.schema,
                compression="lz4",
                use_dictionary=columns.schema.names,
                column_encoding={ROW: "DELTA_BINARY_PACKED"},
            )
        self._writer.write_batch(batch, row_group_size=group_rows(batch.num_columns))

    def close(self) -> None:
        if self._writer:
            self._writer.close()

    def __enter__(self) -> "_TextFiles":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


class _TypedFile:
    """A file of values, read from text a group of rows at a time by two threads, while a third writes."""

    def __init__(self, path: Path, reading: Reading, foreseen: Mapping[int, Guess]) -> None:
        self.path = path
        self._guesses: Sequence[Guess] = [foreseen[position] for position in sorted(foreseen)]
        self._positions = sorted(foreseen)
        self._names = [reading.names[position] for position in self._positions]
        self._rows = group_rows(len(self._names))
        self._converter = Converter()
        self._readers = ThreadPoolExecutor(_THREADS, thread_name_prefix="convert")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._writer: pq.ParquetWriter | None = None
        self._written: Future[None] | None = None
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        while batch.num_rows:
            head = batch.slice(0, self._rows - self._pending_rows)
            batch = batch.slice(head.num_rows)
            self._pending.append(head)
            self._pending_rows += head.num_rows
            if self._pending_rows == self._rows:
                self._flush()

    def _flush(self) -> None:
        texts = pa.Table.from_batches(self._pending)
        self._pending, self._pending_rows = [], 0
        columns = list(self._readers.map(self._read, self._guesses, texts.columns))
        misfits = frozenset(p for p, column in zip(self._positions, columns, strict=True) if column is None)
        if misfits:
            raise Misfit(misfits)
        self._settle()
        self._written = self._writing.submit(self._append, pa.table(columns, self._names))

    def _read(self, guess: Guess, texts: pa.ChunkedArray) -> pa.Array | None:
        values = texts.combine_chunks()
        return values if guess.candidate is None else self._converter.convert(values, guess.candidate)

    def _append(self, values: pa.Table) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, values.schema, compression="zstd")
        self._writer.write_table(values, row_group_size=self._rows)

    def _settle(self) -> None:
        if self._written:
            self._written.result()
            self._written = None

    def __enter__(self) -> "_TypedFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        try:
            if kind is None:
                if self._pending:
                    self._flush()
                self._settle()
        finally:
            self._readers.shutdown()
            self._writing.shutdown()
            if self._writer:
                self._writer.close()
            self._converter.close()
