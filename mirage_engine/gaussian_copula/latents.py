"""Columns as normal variables.

Each column is a normal variable, cut into intervals that are as probable as the column's leaves are frequent: a
number's cells in ascending order, a category's levels in an order that is chosen for it. Where a number can be missing
or not a number, a second variable tells whether it is, so that the rate of gaps and what they go with is learnt.
A column of one leaf only is no variable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mirage_engine.codec import TableCodec
from mirage_engine.codec.column import Leaves
from mirage_engine.gaussian_copula.normal import Floats, density, quantiles

SEE_VALUE = -1
"""What an interval stands for where the column's other variable tells the leaf."""


@dataclass(frozen=True, eq=False)
class Latent:
    """A normal variable of the learnt column number `column`.

    `place_of` has the interval of each leaf, -1 for a leaf that tells nothing of this variable; `leaf_of` the leaf of
    each interval, or SEE_VALUE; `counts` how many rows each interval had.
    """

    column: int
    place_of: NDArray[np.int64]
    leaf_of: NDArray[np.int64]
    counts: NDArray[np.int64]

    @cached_property
    def probabilities(self) -> Floats:
        """How probable each interval is; shape (intervals,)."""
        return np.asarray(self.counts / self.counts.sum())

    @cached_property
    def bounds(self) -> Floats:
        """Where the intervals end, infinities included; shape (intervals + 1,)."""
        shares = np.cumsum(self.counts)[:-1] / self.counts.sum()
        return np.concatenate([[-np.inf], quantiles(shares), [np.inf]])

    @cached_property
    def scores(self) -> Floats:
        """The variable's mean in each interval; shape (intervals,). Their mean over the source's rows is 0."""
        return np.asarray(-np.diff(density(self.bounds)) / self.probabilities)

    def places(self, values: Floats) -> NDArray[np.int64]:
        """The interval that each value of the variable lies in; its lower bound belongs to an interval."""
        return np.searchsorted(self.bounds[1:-1], values, side="right")


def latents_of(
    codec: TableCodec, counts: Sequence[NDArray[np.int64]], orders: Mapping[int, NDArray[np.int64]]
) -> list[Latent]:
    """The variables of a codec's columns.

    `counts` are rows by leaf for each learnt column, `orders` the leaves of categories in order, by column.
    """
    latents = []
    for place, column in enumerate(codec.columns):
        drawn = np.where(column.codec.never_drawn, 0, counts[place])
        if place in orders:
            latents.append(_variable(place, [np.array([leaf]) for leaf in orders[place]], drawn))
            continue
        regular, leaves = column.codec.regular, column.codec.leaves
        cells = [np.array([leaf]) for leaf in range(regular)]
        standing_apart = [np.array([leaf]) for leaf in range(regular, leaves)]
        latents.append(_variable(place, cells, drawn))
        latents.append(_variable(place, [np.arange(regular), *standing_apart], drawn))
    return [latent for latent in latents if len(latent.counts) > 1]


def _variable(column: int, groups: Sequence[NDArray[np.int64]], counts: NDArray[np.int64]) -> Latent:
    """A variable with one interval for each group of leaves that has rows."""
    groups = [group for group in groups if counts[group].sum() > 0]
    place_of = np.full(len(counts), -1, dtype=np.int64)
    for place, group in enumerate(groups):
        place_of[group] = place
    leaf_of = np.array([group[0] if len(group) == 1 else SEE_VALUE for group in groups], dtype=np.int64)
    return Latent(column, place_of, leaf_of, np.array([counts[group].sum() for group in groups], dtype=np.int64))


def leaves_of(
    codec: TableCodec, counts: Sequence[NDArray[np.int64]], latents: Sequence[Latent], values: Floats
) -> Leaves:
    """The leaves that values of the variables, of shape (rows, variables), stand for; shape (rows, learnt columns)."""
    leaves = np.empty((len(values), len(codec.columns)), dtype=np.int32, order="F")
    for place, column in enumerate(codec.columns):
        leaves[:, place] = np.argmax(np.where(column.codec.never_drawn, -1, counts[place]))
    for number, latent in enumerate(latents):
        found = latent.leaf_of[latent.places(values[:, number])]
        leaves[:, latent.column] = np.where(found == SEE_VALUE, leaves[:, latent.column], found)
    return leaves
