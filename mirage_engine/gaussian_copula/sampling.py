"""Drawing rows, a block of them at a time (see `mirage_engine.blocks`)."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from mirage_engine.blocks import draw
from mirage_engine.conditions import Resolved, with_fixed
from mirage_engine.errors import ConditionsRefused
from mirage_engine.gaussian_copula.box import Box, drawn_in, draws_needed
from mirage_engine.gaussian_copula.latents import SEE_VALUE, Latent, leaves_of
from mirage_engine.gaussian_copula.learnt import Learnt
from mirage_engine.gaussian_copula.normal import Floats, cumulative, open_uniforms, quantiles
from mirage_engine.progress import Listener
from mirage_engine.randomness import words

BLOCK_ROWS = 4_096
"""Part of what makes a seed's rows: another number may give rows that differ in their last bits."""


class Sampler:
    """Draws rows of one model under one set of conditions; rows are numbered from 0 without end."""

    def __init__(self, learnt: Learnt, seed: int, conditions: Resolved) -> None:
        """Raises ConditionsRefused naming each column of which no row that the model draws meets the conditions."""
        self._learnt = learnt
        self._seed = seed
        self._conditions = conditions
        unions = unions_of(learnt, conditions)
        self._bound = list(unions)
        self._free = [number for number in range(len(learnt.latents)) if number not in unions]
        self._box = Box.of(list(unions.values()))
        order = [*self._bound, *self._free]
        # The factor of the bound variables stands first, so that the others follow from them.
        self._factor: Floats = np.asarray(
            np.linalg.cholesky(learnt.correlations[np.ix_(order, order)]), dtype=np.float64
        )

    def draw(self, first_row: int, rows: int, threads: int, listener: Listener) -> Iterator[pa.RecordBatch]:
        """Rows `first_row` … `first_row + rows - 1`, in order, a block at a time."""
        return draw(self._block, BLOCK_ROWS, first_row, rows, threads, listener)

    def _block(self, block: int) -> pa.RecordBatch:
        codec, first_row = self._learnt.codec, block * BLOCK_ROWS
        free, bound = len(self._free), draws_needed(len(self._bound))
        raw = words(self._seed, "rows", first_row, BLOCK_ROWS, free + codec.words_per_row + bound)
        values = self._values(open_uniforms(raw[:, :free]), open_uniforms(raw[:, free + codec.words_per_row :]))
        leaves = leaves_of(codec, self._learnt.counts, self._learnt.latents, values)
        for place, (leaf, _) in self._conditions.fixed.items():
            leaves[:, place] = leaf
        chance = raw[:, free : free + codec.words_per_row]
        batch = codec.decode(leaves, chance, first_row, self._conditions.within)
        return with_fixed(batch, codec, self._conditions)

    def _values(self, free: Floats, bound: Floats) -> Floats:
        """The variables, in their own order; shape (rows, variables)."""
        count = len(self._bound)
        normal = quantiles(free)
        values = np.empty((BLOCK_ROWS, len(self._learnt.latents)))
        if not count:
            values[:, self._free] = _product(normal, self._factor)
            return values
        within = self._learnt.correlations[np.ix_(self._bound, self._bound)]
        known = drawn_in(self._box.repeated(BLOCK_ROWS), within, bound)
        values[:, self._bound] = known
        inner = _product(known, np.asarray(np.linalg.inv(self._factor[:count, :count]), dtype=np.float64))
        values[:, self._free] = _product(inner, self._factor[count:, :count]) + _product(
            normal, self._factor[count:, count:]
        )
        return values


def _product(rows: Floats, factor: Floats) -> Floats:
    """Each row through a matrix, computed by one thread."""
    return np.asarray((torch.from_numpy(rows) @ torch.from_numpy(np.ascontiguousarray(factor.T))).numpy())


def unions_of(learnt: Learnt, conditions: Resolved) -> dict[int, list[tuple[float, float]]]:
    """The intervals that each variable may lie in, for those that aren't free; by variable.

    Raises ConditionsRefused naming each column that can have none of what was asked for.
    """
    unions: dict[int, list[tuple[float, float]]] = {}
    problems = {}
    for place, shares in _shares_by_column(learnt, conditions).items():
        column = learnt.codec.columns[place]
        drawn = (learnt.counts[place] > 0) & ~column.codec.never_drawn
        if not np.any(shares[drawn] > 0):
            problems[column.name] = "the model draws none of these values"
            continue
        for number, latent in enumerate(learnt.latents):
            if latent.column == place:
                allowed = _shares_of_intervals(latent, shares)
                if allowed.min() < 1.0 and allowed.max() > 0.0:
                    unions[number] = _union(latent, allowed)
    if problems:
        raise ConditionsRefused(problems)
    return unions


def _shares_by_column(learnt: Learnt, conditions: Resolved) -> Mapping[int, NDArray[np.float64]]:
    shares = dict(conditions.shares)
    for place, (leaf, _) in conditions.fixed.items():
        shares[place] = np.zeros(learnt.codec.columns[place].codec.leaves)
        shares[place][leaf] = 1.0
    return shares


def _shares_of_intervals(latent: Latent, shares: NDArray[np.float64]) -> Floats:
    """How much of each interval is allowed: of one that has the variable's other leaves, all or nothing."""
    allowed = shares[np.maximum(latent.leaf_of, 0)]
    for place in np.flatnonzero(latent.leaf_of == SEE_VALUE):
        allowed[place] = float(shares[latent.place_of == place].max() > 0)
    return np.asarray(allowed)


def _union(latent: Latent, allowed: Floats) -> list[tuple[float, float]]:
    """Allowed intervals, neighbours joined.

    Of the first that is allowed in part it is the upper part, of others the lower one, so that the parts of a range's
    first and last cell join with what lies between.
    """
    bounds = latent.bounds
    parts = allowed * latent.probabilities
    # Either part is measured from its own side's tail, where probabilities have all their digits.
    from_above = -quantiles(cumulative(-bounds[1:]) + parts)
    from_below = quantiles(cumulative(bounds[:-1]) + parts)
    union: list[tuple[float, float]] = []
    for place in np.flatnonzero(allowed):
        low, high = float(bounds[place]), float(bounds[place + 1])
        if allowed[place] < 1.0 and not union:
            low = float(np.clip(from_above[place], low, np.nextafter(high, -np.inf)))
        elif allowed[place] < 1.0:
            high = float(np.clip(from_below[place], low, high))
        if union and union[-1][1] == low:
            union[-1] = (union[-1][0], high)
        else:
            union.append((low, high))
    return union
