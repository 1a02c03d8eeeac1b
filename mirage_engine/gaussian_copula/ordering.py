"""In what order a category's levels are cut from a normal variable.

A variable can only tell more from less, and levels have no more and less of their own; by frequency, as the Synthetic
Data Vault orders them (Patki et al. 2016, section III), most of what they go with is lost. Here they are put in the
order in which they differ most in all other columns: the first axis of a correspondence analysis (Hirschfeld, "A
connection between correlation and contingency", 1935; Greenacre, "Theory and Applications of Correspondence Analysis",
1984), of which the columns' normal scores are the other side.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mirage_engine.codec import TableCodec
from mirage_engine.codec.column import Leaves
from mirage_engine.gaussian_copula.latents import Latent, latents_of
from mirage_engine.gaussian_copula.normal import Floats

_ROUNDS = 3  # each puts the levels in order by the others' latest order
_PRIOR_ROWS = 20.0  # a level of few rows seems to differ by chance: as if so many more of its rows were average


def orders_by_frequency(codec: TableCodec, counts: Sequence[NDArray[np.int64]]) -> dict[int, NDArray[np.int64]]:
    """The leaves of every category that are drawn, the most frequent first; by learnt column."""
    orders = {}
    for place, column in enumerate(codec.columns):
        if not column.codec.ordered:
            drawn = np.flatnonzero((counts[place] > 0) & ~column.codec.never_drawn)
            orders[place] = drawn[np.argsort(-counts[place][drawn], kind="stable")]
    return orders


def orders_by_association(
    codec: TableCodec, counts: Sequence[NDArray[np.int64]], leaves: Leaves
) -> dict[int, NDArray[np.int64]]:
    """The same with levels in the order of what they go with, in rows whose `leaves` are given."""
    orders = orders_by_frequency(codec, counts)
    for _ in range(_ROUNDS):
        latents = latents_of(codec, counts, orders)
        scores = np.stack([_standard_scores(latent, leaves) for latent in latents], axis=1) if latents else None
        if scores is None:
            break
        columns = np.array([latent.column for latent in latents])
        orders = {
            place: _ordered(order, leaves[:, place], scores[:, columns != place]) for place, order in orders.items()
        }
    return orders


def _standard_scores(latent: Latent, leaves: Leaves) -> Floats:
    """A variable's score in each row, of variance 1; 0 where the row doesn't tell."""
    places = latent.place_of[leaves[:, latent.column]]
    deviation = np.sqrt(np.sum(latent.probabilities * latent.scores**2))
    return np.where(places < 0, 0.0, latent.scores[places] / deviation)


def _ordered(order: NDArray[np.int64], leaves: NDArray[np.int32], others: Floats) -> NDArray[np.int64]:
    """Levels along the direction in which their means of the others' scores, of shape (rows, others), differ most."""
    if len(order) < 3 or others.shape[1] == 0:  # of two levels, either order is as good
        return order
    levels = int(order.max()) + 1
    sums = np.stack([np.bincount(leaves, other, minlength=levels)[order] for other in others.T], axis=1)
    rows = np.bincount(leaves, minlength=levels)[order]
    means = sums / (rows + _PRIOR_ROWS)[:, None]
    direction = np.linalg.svd(means * np.sqrt(rows)[:, None], full_matrices=False)[2][0]
    direction = direction * np.sign(direction[np.argmax(np.abs(direction))])
    return order[np.argsort(means @ direction, kind="stable")]
