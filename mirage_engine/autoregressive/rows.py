"""A table's rows as a network reads them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mirage_engine.autoregressive.shape import TableShape
from mirage_engine.randomness import generator_for

LEAST_ROWS_TO_HOLD_OUT = 20
MOST_HELD_OUT_ROWS = 20_000


@dataclass(frozen=True)
class Rows:
    """Digits' values of some rows, in the smallest type that holds them; shape (rows, digits)."""

    shape: TableShape
    values: NDArray[np.integer]

    @classmethod
    def of(cls, shape: TableShape, values: NDArray[np.int64]) -> "Rows":
        """Packs the values."""
        largest = max(digit.size for digit in shape.digits)
        return cls(shape, values.astype(np.min_scalar_type(largest)))

    def __len__(self) -> int:
        return len(self.values)

    def take(self, places: NDArray[np.int64]) -> "Rows":
        """Some of the rows."""
        return Rows(self.shape, self.values[places])

    def tensors(self, places: NDArray[np.int64] | slice) -> tuple[Tensor, Tensor]:
        """Tokens and values of some rows, each of shape (rows, digits)."""
        values = self.values[places].astype(np.int64)
        return torch.from_numpy(self.shape.tokens(values)), torch.from_numpy(values)


def held_out_places(rows: int, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which rows are trained on and which held out; none of the latter if there are too few rows to tell anything."""
    wanted = min(round(rows * share), MOST_HELD_OUT_ROWS) if rows >= LEAST_ROWS_TO_HOLD_OUT else 0
    order = generator_for(seed, "held-out rows").permutation(rows)
    return np.sort(order[wanted:]), np.sort(order[:wanted])
