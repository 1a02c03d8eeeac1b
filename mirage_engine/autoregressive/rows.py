"""A table's rows as a network reads them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from mirage_engine.autoregressive.shape import TableShape
from mirage_engine.codec import TableCodec
from mirage_engine.randomness import generator_for

PRIOR_ROWS = 1.0
"""Rows that are thought to be spread evenly over a column's leaves, so that none starts out impossible."""
LEAST_ROWS_TO_HOLD_OUT = 20
MOST_HELD_OUT_ROWS = 20_000


@dataclass(frozen=True)
class Rows:
    """Digits' values of some rows, in the smallest type that holds them; shape (rows, digits)."""

    shape: TableShape
    values: NDArray[np.integer]

    @classmethod
    def of(cls, shape: TableShape, codec: TableCodec, table: pa.Table) -> "Rows":
        """A table's rows; one column at a time is larger than it need be."""
        largest = max(digit.size for digit in shape.digits)
        values = np.empty((len(table), len(shape.digits)), dtype=np.min_scalar_type(largest))
        first = np.searchsorted([digit.column for digit in shape.digits], range(len(shape.columns)))
        for column, leaves in codec.encoded_columns(table):
            for level, digit in enumerate(shape.columns[column].split(leaves)):
                values[:, first[column] + level] = digit
        return cls(shape, values)

    def __len__(self) -> int:
        return len(self.values)

    def frequencies(self) -> list[NDArray[np.float64]]:
        """Of each column's leaves, as shares."""
        shares, first = [], 0
        for column in self.shape.columns:
            digits = self.values[:, first : first + len(column.sizes)].astype(np.int64)
            first += len(column.sizes)
            counts = np.bincount(column.joined(list(digits.T)), minlength=column.leaves) + PRIOR_ROWS / column.leaves
            shares.append(counts / counts.sum())
        return shares

    def take(self, places: NDArray[np.int64]) -> "Rows":
        """Some of the rows."""
        return Rows(self.shape, self.values[places])

    def tensors(self, places: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Tokens and values of some rows, each of shape (rows, digits)."""
        values = self.values[places].astype(np.int64)
        return torch.from_numpy(self.shape.tokens(values)), torch.from_numpy(values)


def held_out_places(rows: int, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which rows are trained on and which held out; none of the latter if there are too few rows to tell anything."""
    wanted = min(round(rows * share), MOST_HELD_OUT_ROWS) if rows >= LEAST_ROWS_TO_HOLD_OUT else 0
    order = generator_for(seed, "held-out rows").permutation(rows)
    return np.sort(order[wanted:]), np.sort(order[:wanted])
