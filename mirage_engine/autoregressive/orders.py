"""Orders of columns, as the rank of each digit."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mirage_engine.autoregressive.shape import TableShape


def ranks_of(shape: TableShape, columns: Sequence[int]) -> NDArray[np.int64]:
    """The rank of each digit when columns come in an order; a fine digit follows its coarse one. Shape (digits,)."""
    rank = np.empty(len(shape.columns), dtype=np.int64)
    rank[list(columns)] = np.arange(len(shape.columns))
    return np.array([2 * rank[digit.column] + digit.fine for digit in shape.digits])


def random_ranks(shape: TableShape, rows: int, home_share: float, generator: np.random.Generator) -> NDArray[np.int64]:
    """Ranks for each of some rows: a share of them in the table's own order, the others each in one drawn evenly.

    Shape (rows, digits).
    """
    keys = generator.random((rows, len(shape.columns)))
    keys[: round(home_share * rows)] = np.arange(len(shape.columns))
    rank = keys.argsort(axis=1).argsort(axis=1)
    columns = np.array([digit.column for digit in shape.digits])
    fine = np.array([digit.fine for digit in shape.digits])
    ranks: NDArray[np.int64] = 2 * rank[:, columns] + fine
    return ranks
