"""What a column's codec is."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Leaves = NDArray[np.int32]
UNKNOWN = -1
"""The leaf of a value that the learnt column couldn't have held."""


@dataclass(frozen=True)
class Range:
    """Values from `low` to `high`, both ends included; None leaves an end open."""

    low: Any = None
    high: Any = None


class ColumnCodec(Protocol):
    """Turns a column's plain values into leaves, and leaves into values.

    Leaves are numbered from 0: first `regular` ones (cells of numbers in ascending order, or levels), then those that
    stand apart (missing, not-a-number, infinities, protected rare levels).
    """

    @property
    def regular(self) -> int:
        """How many leaves are cells or levels."""

    @property
    def leaves(self) -> int:
        """How many leaves there are in all; at least one."""

    @property
    def ordered(self) -> bool:
        """Whether neighbouring regular leaves are near in meaning."""

    @property
    def log_widths(self) -> NDArray[np.float64]:
        """Natural logarithm of how many values, or how wide a range, each leaf holds; shape (leaves,)."""

    @property
    def never_drawn(self) -> NDArray[np.bool_]:
        """Leaves that are learnt and never drawn; shape (leaves,)."""

    def encode(self, values: pa.Array) -> Leaves:
        """The leaf of each value; UNKNOWN for what the learnt column couldn't have held. Shape (rows,)."""

    def decode(self, leaves: Leaves, raw: NDArray[np.uint64], within: Range | None = None) -> pa.Array:
        """A value of each leaf, chosen evenly by the random words among those that lie `within`."""

    def shares(self, within: Range) -> NDArray[np.float64]:
        """How much of each leaf lies in a range, 0 to 1; shape (leaves,).

        Raises ValueError with what would be right if the range makes no sense, or nothing lies in it.
        """

    def to_json(self) -> dict[str, Any]:
        """All there is to it, for `mirage_engine.codec.table` to make it anew."""
