"""The nearest records, found by looking at all of them, block by block."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.generation.quality.parts import CalledOff, Floats, check
from services.generation.quality.privacy.space import Points

# A block of distances has to fit into a core's own cache: 64 × 4096 float32 are a megabyte.
_QUERIES = 64
_REFERENCES = 4096
# Differences that a byte counts.
_COUNTED = 255

Block = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Nearest:
    """For each record its distance to the nearest other, to the next nearest, and which is the nearest.

    Each of shape (records,). A distance is infinite where there is no such record, its place then -1.
    """

    first: Floats
    second: Floats
    index: npt.NDArray[np.int64]


def nearest(records: Points, others: Points, called_off: CalledOff) -> Nearest:
    """The nearest of `others` to each record, the first of several that are as near. Takes some megabytes.

    Looking at every pair is quicker here than a tree, which a dozen columns of mixed kinds leave nothing to prune.
    """
    columns = max(1, len(records.ranks) + len(records.codes))
    first = np.full(len(records), np.inf, dtype=np.float32)
    second = first.copy()
    index = np.full(len(records), -1, dtype=np.int64)
    for start in range(0, len(records), _QUERIES):
        check(called_off)
        these = slice(start, min(start + _QUERIES, len(records)))
        asked = records.part(these.start, these.stop)
        rows = np.arange(len(asked))
        for begin in range(0, len(others), _REFERENCES):
            block = distances(asked, others.part(begin, begin + _REFERENCES))
            place = block.argmin(axis=1)
            least = block[rows, place]
            block[rows, place] = np.inf
            runner_up = np.minimum(block.min(axis=1), np.maximum(least, first[these]))
            closer = least < first[these]
            index[these] = np.where(closer, begin + place, index[these])
            first[these] = np.minimum(least, first[these])
            second[these] = np.minimum(second[these], runner_up)
    return Nearest(first.astype(np.float64) / columns, second.astype(np.float64) / columns, index)


def distances(records: Points, others: Points) -> Block:
    """The sum over the columns of how far each record is from each other, shape (records, others)."""
    shape = (len(records), len(others))
    total = np.zeros(shape, dtype=np.float32)
    differs = np.empty(shape, dtype=np.bool_)
    for first in range(0, len(records.codes), _COUNTED):
        unequal = np.zeros(shape, dtype=np.uint8)
        for mine, theirs in zip(
            records.codes[first : first + _COUNTED], others.codes[first : first + _COUNTED], strict=True
        ):
            np.not_equal(mine[:, None], theirs[None, :], out=differs)
            np.add(unequal, differs.view(np.uint8), out=unequal)
        np.add(total, unequal, out=total)
    apart = np.empty(shape, dtype=np.float32)
    for mine, theirs in zip(records.ranks, others.ranks, strict=True):
        np.subtract(mine[:, None], theirs[None, :], out=apart)
        np.abs(apart, out=apart)
        # Only what is missing lies beyond 1.
        if max(mine.max(initial=0), theirs.max(initial=0)) > 1:
            np.minimum(apart, 1, out=apart)
        np.add(total, apart, out=total)
    return total
