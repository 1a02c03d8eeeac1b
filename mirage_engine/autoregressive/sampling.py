"""Drawing rows: a block of them at a time (see `mirage_engine.blocks`)."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mirage_engine.autoregressive.completion import TO_DRAW, complete
from mirage_engine.autoregressive.constraints import constrained_biases
from mirage_engine.autoregressive.network import AutoregressiveNetwork
from mirage_engine.blocks import draw
from mirage_engine.codec import TableCodec
from mirage_engine.conditions import Resolved, with_fixed
from mirage_engine.progress import Listener
from mirage_engine.randomness import single_uniforms, words

BLOCK_ROWS = 1_024
"""Part of what makes a seed's rows: another number may give rows that differ in their last bits."""


class Sampler:
    """Draws rows of one model under one set of conditions; rows are numbered from 0 without end."""

    def __init__(self, network: AutoregressiveNetwork, codec: TableCodec, seed: int, conditions: Resolved) -> None:
        self._network = network
        self._codec = codec
        self._seed = seed
        self._conditions = conditions
        self._order = conditions.order(len(codec.columns))
        self._biases = constrained_biases(network, conditions.shares)
        self._known = self._known_digits()

    def draw(self, first_row: int, rows: int, threads: int, listener: Listener) -> Iterator[pa.RecordBatch]:
        """Rows `first_row` … `first_row + rows - 1`, in order, a block at a time."""
        return draw(self._block, BLOCK_ROWS, first_row, rows, threads, listener)

    def _block(self, block: int) -> pa.RecordBatch:
        first_row, digits = block * BLOCK_ROWS, len(self._network.shape.digits)
        raw = words(self._seed, "rows", first_row, BLOCK_ROWS, digits + self._codec.words_per_row)
        values = np.repeat(self._known[None], BLOCK_ROWS, axis=0)
        complete(self._network, values, single_uniforms(raw[:, :digits]), self._order, self._biases)
        leaves = leaves_of(self._codec, values)
        batch = self._codec.decode(leaves, raw[:, digits:], first_row, self._conditions.within)
        return with_fixed(batch, self._codec, self._conditions)

    def _known_digits(self) -> NDArray[np.int64]:
        known = np.full(len(self._network.shape.digits), TO_DRAW, dtype=np.int64)
        for place, (leaf, _) in self._conditions.fixed.items():
            digits = self._codec.columns[place].digits.split(np.array([leaf], dtype=np.int32))
            owned = [index for index, digit in enumerate(self._network.shape.digits) if digit.column == place]
            known[owned] = [int(digit[0]) for digit in digits]
        return known


def leaves_of(codec: TableCodec, values: NDArray[np.int64]) -> NDArray[np.int32]:
    """The leaves that digits stand for; shapes (rows, digits) and (rows, learnt columns)."""
    leaves = np.empty((len(values), len(codec.columns)), dtype=np.int32, order="F")
    place = 0
    for number, column in enumerate(codec.columns):
        count = len(column.digits.sizes)
        leaves[:, number] = column.digits.joined(list(values[:, place : place + count].T))
        place += count
    return leaves
