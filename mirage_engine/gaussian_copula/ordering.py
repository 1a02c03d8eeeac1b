"""In what order a category's levels are cut from a normal variable.

A variable can only tell more from less, and levels have no more and less of their own; by frequency, as the Synthetic
Data Vault orders them (Patki et al. 2016, section III), most of what they go with is lost. Here they are put in the
order in which they differ most in all other columns: the first axis of a correspondence analysis (Hirschfeld, "A
connection between correlation and contingency", 1935; Greenacre, "Theory and Applications of Correspondence Analysis",
1984), of which the columns' normal scores are the other side.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mirage_engine.codec import TableCodec
from mirage_engine.codec.column import Leaves
from mirage_engine.gaussian_copula.latents import Latent, latents_of

_ROUNDS = 3  # each puts the levels in order by the others' latest order
_ROWS_PER_LEVEL = 20
_PRIOR_ROWS = 20.0  # a level of few rows seems to differ by chance: as if so many more of its rows were average


def orders_by_frequency(codec: TableCodec, counts: Sequence[NDArray[np.int64]]) -> dict[int, NDArray[np.int64]]:
    """The leaves of every category that are drawn, the most frequent first; by learnt column."""
    orders = {}
    for place, column in enumerate(codec.columns):
        if not column.codec.ordered:
            drawn = np.flatnonzero((counts[place] > 0) & ~column.codec.never_drawn)
            orders[place] = drawn[np.argsort(-counts[place][drawn], kind="stable")]
    return orders


def rows_needed(orders: Mapping[int, NDArray[np.int64]], least: int) -> int:
    """How many rows it takes to put all levels in order: at least so many, and some for each level."""
    return max((_rows_for(order, least) for order in orders.values()), default=0)


def orders_by_association(
    codec: TableCodec, counts: Sequence[NDArray[np.int64]], leaves: Leaves, least: int
) -> dict[int, NDArray[np.int64]]:
    """The same with levels in the order of what they go with.

    `leaves` are those of rows in any order but the table's own; of `least` rows or more each column takes the first
    that it needs.
    """
    orders = orders_by_frequency(codec, counts)
    for _ in range(_ROUNDS):
        latents = latents_of(codec, counts, orders)
        if not latents:
            break
        scores = np.stack([_standard_scores(latent, leaves) for latent in latents], axis=1)
        columns = np.array([latent.column for latent in latents])
        enough = {place: _rows_for(order, least) for place, order in orders.items()}
        orders = {
            place: _ordered(order, leaves[: enough[place], place], scores[: enough[place], columns != place])
            for place, order in orders.items()
        }
    return orders


def _rows_for(order: NDArray[np.int64], least: int) -> int:
    return max(least, _ROWS_PER_LEVEL * len(order))


def _standard_scores(latent: Latent, leaves: Leaves) -> NDArray[np.float32]:
    """A variable's score in each row, of variance 1; 0 where the row doesn't tell."""
    places = latent.place_of[leaves[:, latent.column]]
    deviation = np.sqrt(np.sum(latent.probabilities * latent.scores**2))
    return np.where(places < 0, 0.0, latent.scores[places] / deviation).astype(np.float32)


def _ordered(order: NDArray[np.int64], leaves: NDArray[np.int32], others: NDArray[np.float32]) -> NDArray[np.int64]:
    """Levels along the direction in which their means of the others' scores, of shape (rows, others), differ most.

    Without a difference beyond chance they stay as they are: many levels of few rows differ much, and what they would
    then seem to go with isn't there. By chance, the largest singular value of the means, each times the root of its
    rows, is at most about the deviation times (√levels + √others) (Marchenko and Pastur 1967; Johnstone, "On the
    distribution of the largest eigenvalue in principal components analysis", 2001).
    """
    if len(order) < 3 or others.shape[1] == 0:  # of two levels, either order is as good
        return order
    levels = int(order.max()) + 1
    sums = np.stack([np.bincount(leaves, other, minlength=levels)[order] for other in others.T], axis=1)
    rows = np.bincount(leaves, minlength=levels)[order]
    _, values, directions = np.linalg.svd(sums / np.sqrt(np.maximum(rows, 1))[:, None], full_matrices=False)
    direction = directions[0] * np.sign(directions[0][np.argmax(np.abs(directions[0]))])
    by_chance = np.sqrt(np.mean((others @ direction) ** 2)) * (np.sqrt(len(order)) + np.sqrt(others.shape[1]))
    if values[0] <= by_chance:
        return order
    means = sums / (rows + _PRIOR_ROWS)[:, None]
    return order[np.argsort(means @ direction, kind="stable")]
