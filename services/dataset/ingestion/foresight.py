"""What columns will turn out to hold, told from a file's first rows."""

import itertools
from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa

from services.dataset.ingestion.database import GROUP_COLUMNS, Relation, database
from services.dataset.ingestion.reading import Reading
from services.dataset.ingestion.storage import SAMPLE_ROWS, Columns, Guess
from services.dataset.ingestion.tasks import Limits

_MOST_BYTES = 64 * 1024 * 1024  # of the first rows, which are held in memory


def foresee(
    reading: Reading, directory: Path, limits: Limits, open_positions: Collection[int]
) -> tuple[dict[int, Guess], Iterator[pa.RecordBatch]]:
    """What can be foreseen, by column, and all batches of the reading.

    Nothing is where types would be found as quickly afterwards: in few rows; and in very many columns. Columns at
    `open_positions` and those whose type the file tells are left alone.
    """
    if not reading.known_ahead:
        return {}, reading.batches
    first: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in reading.batches:
        first.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= SAMPLE_ROWS or size > _MOST_BYTES:
            break
    batches = itertools.chain(first, reading.batches)
    positions = range(len(reading.names))
    chosen = set(positions if rows >= SAMPLE_ROWS and len(positions) <= GROUP_COLUMNS else reading.targets)
    chosen -= set(open_positions)
    if not chosen or not first:
        return {}, batches
    sample = pa.Table.from_batches(first).slice(0, SAMPLE_ROWS)
    with database(directory, limits) as connection:
        connection.register("sample", sample)
        with Relation(connection, "sample", positions) as relation:
            columns = Columns(relation, reading, SAMPLE_ROWS)
            guesses = {position: columns.foresee(position) for position in sorted(chosen)}
    return {position: guess for position, guess in guesses.items() if guess is not None}, batches
