"""Leaves in one digit or two.

A large vocabulary in one piece makes a model's last layer huge, so it is written as a coarse digit (which group of
neighbouring leaves) and a fine one (which leaf of the group). Leaves that stand apart are groups of their own.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirage_engine.codec.column import Leaves

MOST_ORDERED = 256
MOST_LEVELS = 1024
"""Above these many leaves, two digits. Levels have no neighbours, so that grouping them costs more."""


@dataclass(frozen=True)
class Digits:
    """How a column's `leaves`, of which `regular` are cells or levels, are written."""

    regular: int
    leaves: int
    ordered: bool

    @cached_property
    def group(self) -> int:
        """How many leaves a full group has; 1 if one digit is enough."""
        if self.leaves <= (MOST_ORDERED if self.ordered else MOST_LEVELS):
            return 1
        return int(np.ceil(np.sqrt(self.regular)))

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each digit can have, coarse first."""
        groups = -(-self.regular // self.group) + self.leaves - self.regular
        return (groups,) if self.group == 1 else (groups, self.group)

    @cached_property
    def starts(self) -> NDArray[np.int32]:
        """The first leaf of each group, and how many leaves there are; shape (groups + 1,)."""
        regular = np.arange(0, self.regular, self.group)
        return np.concatenate([regular, np.arange(self.regular, self.leaves + 1)]).astype(np.int32)

    def split(self, leaves: Leaves) -> list[Leaves]:
        """Each digit of known leaves."""
        if self.group == 1:
            return [leaves]
        coarse = (np.searchsorted(self.starts, leaves, side="right") - 1).astype(np.int32)
        return [coarse, leaves - self.starts[coarse]]

    def joined(self, digits: Any) -> Leaves:
        """The leaves that digits stand for, coarse first."""
        return np.asarray(digits[0] if self.group == 1 else self.starts[digits[0]] + digits[1], dtype=np.int32)
