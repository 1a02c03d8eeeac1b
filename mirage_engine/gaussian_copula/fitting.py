"""From a table to a fitted Gaussian copula."""

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from mirage_engine.codec import CodecSettings, TableCodec
from mirage_engine.codec.column import Leaves
from mirage_engine.gaussian_copula.correlations import correlations_of, moments_of
from mirage_engine.gaussian_copula.latents import latents_of
from mirage_engine.gaussian_copula.learnt import Learnt
from mirage_engine.gaussian_copula.model import GaussianCopulaModel, Record
from mirage_engine.gaussian_copula.ordering import orders_by_association, orders_by_frequency, rows_needed
from mirage_engine.gaussian_copula.settings import GaussianCopulaSettings
from mirage_engine.progress import Listener, Prepared, nobody
from mirage_engine.provenance import hash_of, processor, versions
from mirage_engine.randomness import generator_for


def fit(
    table: pa.Table,
    settings: GaussianCopulaSettings | None = None,
    codec_settings: CodecSettings | None = None,
    *,
    seed: int = 0,
    listener: Listener = nobody,
) -> GaussianCopulaModel:
    """Fits a Gaussian copula to a table, in closed form; `seed` chooses the rows that categories are ordered by.

    Raises TableRefused naming every column that can't be learnt, and Cancelled (from the listener).
    """
    settings, codec_settings = settings or GaussianCopulaSettings(), codec_settings or CodecSettings()
    codec = TableCodec.fit(table, codec_settings)
    leaves = _encoded(codec, table, listener)
    counts = [
        np.bincount(leaves[:, place], minlength=column.codec.leaves).astype(np.int64)
        for place, column in enumerate(codec.columns)
    ]
    orders = orders_by_frequency(codec, counts)
    if settings.ordering_rows:
        chosen = _some_rows(len(leaves), rows_needed(orders, settings.ordering_rows), seed)
        orders = orders_by_association(codec, counts, leaves[chosen], settings.ordering_rows)
    latents = latents_of(codec, counts, orders)
    correlations = np.zeros((0, 0))
    if latents:
        moments = moments_of(latents, leaves, lambda done: listener(Prepared("rows", done, len(leaves))))
        correlations = correlations_of(latents, moments, settings.least_eigenvalue)
    record = Record(
        seed=seed,
        rows=table.num_rows,
        data_hash=hash_of(table),
        settings=settings,
        versions=versions(),
        processor=processor(),
        threads=torch.get_num_threads(),
    )
    return GaussianCopulaModel(Learnt(codec, counts, orders, correlations), record)


def _encoded(codec: TableCodec, table: pa.Table, listener: Listener) -> Leaves:
    leaves = np.empty((len(table), len(codec.columns)), dtype=np.int32, order="F")
    for place, found in codec.encoded_columns(table):
        leaves[:, place] = found
        listener(Prepared("columns", place + 1, len(codec.columns)))
    return leaves


def _some_rows(rows: int, most: int, seed: int) -> NDArray[np.int64]:
    """Places of rows, all of them or as many as may be, in an order drawn at random."""
    return generator_for(seed, "ordering").choice(rows, min(rows, most), replace=False)
