"""What a network needs to know of a table: its digits."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mirage_engine.codec.digits import Digits


@dataclass(frozen=True)
class Digit:
    """One digit of a row.

    It has `size` values. A coarse digit's value is a token by itself; a fine one's token tells the group as well
    (`joint`, for levels, which share nothing with those of other groups) or only the place within the group.
    """

    column: int
    fine: bool
    size: int
    tokens: int
    joint: bool


@dataclass(frozen=True)
class TableShape:
    """The digits of a table's learnt columns, in order."""

    columns: Sequence[Digits]

    @cached_property
    def digits(self) -> list[Digit]:
        """All digits, column by column, coarse before fine."""
        found = []
        for place, column in enumerate(self.columns):
            for level, size in enumerate(column.sizes):
                joint = level == 1 and not column.ordered
                found.append(Digit(place, level == 1, size, column.leaves if joint else size, joint))
        return found

    @cached_property
    def token_starts(self) -> NDArray[np.int64]:
        """Where each digit's tokens begin among all, and how many there are in all; shape (digits + 1,)."""
        return np.concatenate([[0], np.cumsum([digit.tokens for digit in self.digits])]).astype(np.int64)

    @cached_property
    def value_starts(self) -> NDArray[np.int64]:
        """Where each digit's values begin among all, and how many there are in all; shape (digits + 1,)."""
        return np.concatenate([[0], np.cumsum([digit.size for digit in self.digits])]).astype(np.int64)

    def tokens(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """The tokens of digits' values, numbered over all digits; both of shape (rows, digits)."""
        tokens = values + self.token_starts[:-1]
        for place, digit in enumerate(self.digits):
            if digit.joint:
                tokens[:, place] += self.columns[digit.column].starts[values[:, place - 1]]
        return tokens
