"""Filling a table's gaps with what could have been there."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mirage_engine.autoregressive.completion import SET_ASIDE, TO_DRAW, complete
from mirage_engine.autoregressive.constraints import constrained_biases
from mirage_engine.autoregressive.network import AutoregressiveNetwork
from mirage_engine.autoregressive.sampling import BLOCK_ROWS, leaves_of
from mirage_engine.codec import TableCodec
from mirage_engine.codec.column import UNKNOWN
from mirage_engine.codec.table import LearntColumn
from mirage_engine.codec.types import unwrapped, wrapped
from mirage_engine.errors import TableRefused
from mirage_engine.randomness import single_uniforms, words


def imputed(network: AutoregressiveNetwork, codec: TableCodec, table: pa.Table, seed: int) -> Iterator[pa.Table]:
    """A table with its gaps filled, block by block. See `AutoregressiveModel.impute`."""
    if len(set(table.column_names)) < table.num_columns:
        raise TableRefused({"table": "several columns have the same name: rename them"})
    leaves, gaps = codec.encode(table), _gaps(codec, table)
    biases = constrained_biases(network, {place: _present(column) for place, column in enumerate(codec.columns)})
    column_of = np.array([digit.column for digit in network.shape.digits])
    digits = len(column_of)
    for start in range(0, len(leaves), BLOCK_ROWS):
        rows = min(BLOCK_ROWS, len(leaves) - start)
        # Blocks are of one size, so that a row doesn't depend on how many come after it.
        places = np.minimum(np.arange(start, start + BLOCK_ROWS), len(leaves) - 1)
        values = codec.split(np.maximum(leaves[places], 0))
        values[(leaves[places] == UNKNOWN)[:, column_of]] = SET_ASIDE
        values[gaps[places][:, column_of]] = TO_DRAW
        raw = words(seed, "imputed", start, BLOCK_ROWS, digits + codec.words_per_row)
        complete(network, values, single_uniforms(raw[:, :digits]), range(len(codec.columns)), biases)
        made = codec.decode(leaves_of(codec, np.maximum(values, 0)), raw[:, digits:], start)
        part = table.slice(start, rows)
        for place in np.flatnonzero(gaps[start : start + rows].any(axis=0)):
            column = codec.columns[place]
            filled = _filled(column, part[column.name], made.column(column.name), gaps[start : start + rows, place])
            part = part.set_column(part.schema.get_field_index(column.name), column.field, filled)
        yield part


def _gaps(codec: TableCodec, table: pa.Table) -> NDArray[np.bool_]:
    """Missing cells of columns that have something to fill them with; shape (rows, learnt columns)."""
    gaps = np.zeros((len(table), len(codec.columns)), dtype=np.bool_)
    for place, column in enumerate(codec.columns):
        if column.codec.regular:
            gaps[:, place] = pc.is_null(table[column.name]).to_numpy()
    return gaps


def _present(column: LearntColumn) -> NDArray[np.float64]:
    """Cells and levels may be drawn; what stands apart, missing among it, may not."""
    shares = np.zeros(column.codec.leaves)
    shares[: column.codec.regular or None] = 1.0
    return shares


def _filled(column: LearntColumn, source: pa.ChunkedArray, made: pa.Array, gaps: NDArray[np.bool_]) -> pa.Array:
    kind = column.field.type
    kept = [unwrapped(chunk) for chunk in source.cast(kind).chunks]
    places = np.where(gaps, len(gaps) + np.arange(len(gaps)), np.arange(len(gaps)))
    values = pa.concat_arrays([*kept, unwrapped(made)]).take(pa.array(places))
    entries = column.entries
    if entries is not None:  # a dictionary may hold what the model hasn't seen
        others = [value for value in pc.unique(values.drop_null()).to_pylist() if value not in set(entries.to_pylist())]
        entries = pa.concat_arrays([entries, pa.array(others, entries.type)])
    return wrapped(values, kind, entries)
