"""Rows to judge, in groups as large as the holdout, and how they are drawn anew for the intervals.

Distances between two samples depend on how many rows they have. So that a score and its ceiling can be compared, the
synthetic rows are judged in groups of as many rows as the holdout has; a figure is the mean over the groups, the
ceiling the same figure of the holdout, all against the same training rows. A holdout that was drawn in strata is nearer
to the table that it comes from than rows drawn at random are, so the groups are drawn from theirs in the same way.

For the intervals, the training rows and every group are cut at random into blocks, and blocks are drawn with
replacement. Rows are independent of one another, so a block is a random sample of them, and drawing blocks gives the
figures the spread that drawing rows would, less one part in as many as there are blocks. With as many blocks as rows
it is the bootstrap of Efron (1979, Ann. Statist. 7(1), section 2); with fewer, its counts cost a matrix product.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.generation.quality.parts import RESAMPLES, Floats, judged
from services.generation.quality.tables import Codes, Comparison, Kind, Table

# Groups of synthetic rows at most: so many times fewer rows than the synthetic rows may the holdout have for all of
# them to be judged.
MOST_GROUPS = 10
# Fewer rows never seen than this are no measure of anything.
LEAST_HOLDOUT = 20
BLOCKS = 64
# Cells of a count at most for the replicates; those that fewest rows have are counted together beyond.
MOST_CELLS = 512


@dataclass(frozen=True)
class Sample:
    """Rows of a table in `groups` of the same number, each in blocks.

    `table` has its rows ordered by group and block; `block` is each row's block, shape (rows,), counted over all
    groups. `draws` says how often each block is drawn, shape (groups, RESAMPLES, blocks).
    """

    table: Table
    groups: int
    blocks: int
    block: npt.NDArray[np.int64]
    draws: Floats

    def counts(self, codes: Codes, cells: int) -> Floats:
        """How many rows of each group have each code, shape (groups, cells)."""
        rows = np.repeat(np.arange(self.groups), len(self.table) // self.groups) * cells
        return np.bincount(rows + codes, minlength=self.groups * cells).reshape(self.groups, cells).astype(np.float64)

    def drawn_counts(self, codes: Codes, cells: int) -> Floats:
        """The same in each resample, shape (groups, RESAMPLES, cells)."""
        counts = np.bincount(self.block * cells + codes, minlength=self.groups * self.blocks * cells)
        drawn: Floats = self.draws @ counts.reshape(self.groups, self.blocks, cells).astype(np.float64)
        return drawn

    def drawn_sums(self, terms: Floats) -> Floats:
        """Sums of terms, shape (k, rows), over the rows of each resample: shape (groups, RESAMPLES, k)."""
        starts = np.flatnonzero(np.diff(self.block, prepend=-1))
        sums = np.add.reduceat(terms, starts, axis=1).T
        drawn: Floats = self.draws @ sums.reshape(self.groups, self.blocks, len(terms))
        return drawn

    def sums(self, terms: Floats) -> Floats:
        """Sums of terms, shape (k, rows), over the rows of each group: shape (groups, k)."""
        summed: Floats = terms.reshape(len(terms), self.groups, -1).sum(axis=2).T
        return summed


@dataclass(frozen=True)
class Judging:
    """The rows of a comparison that are judged; `holdout` is None if there are too few never seen for a ceiling."""

    training: Sample
    synthetic: Sample
    holdout: Sample | None


def judging(comparison: Comparison) -> Judging:
    """Draws the rows to judge; the training and the synthetic table have at least one each."""
    drawn = judged(comparison)
    draws = np.random.default_rng([comparison.seed, 2])
    holdout = drawn.holdout if has_ceiling(comparison) else None
    groups, rows = grouping(drawn)
    return Judging(
        training=sample(drawn.training, 1, len(drawn.training), draws),
        synthetic=sample(drawn.synthetic, groups, rows, draws, "" if holdout is None else comparison.stratified_by),
        holdout=None if holdout is None else sample(holdout, 1, rows, draws),
    )


def has_ceiling(comparison: Comparison) -> bool:
    """Whether there are enough rows never seen to say how good real rows are."""
    return comparison.holdout is not None and len(comparison.holdout) >= LEAST_HOLDOUT


def grouping(drawn: Comparison) -> tuple[int, int]:
    """How many groups of synthetic rows are judged, and how many rows each has, of those that were drawn."""
    synthetic = len(drawn.synthetic)
    if drawn.holdout is None or not has_ceiling(drawn):
        return 1, synthetic
    rows = min(len(drawn.holdout), synthetic)
    return min(MOST_GROUPS, synthetic // rows), rows


def sample(table: Table, groups: int, rows: int, draws: np.random.Generator, stratified_by: str = "") -> Sample:
    """Draws groups of so many rows, no row twice; by a column's values, each has its share of every stratum."""
    blocks = min(BLOCKS, rows)
    chosen = draws.permutation(len(table))
    if stratified_by:
        chosen = _dealt(chosen[np.argsort(_strata(table, stratified_by)[chosen], kind="stable")], groups, rows, draws)
    chosen = chosen[: groups * rows]
    block = np.sort(np.arange(rows) % blocks)
    times = draws.multinomial(blocks, np.full(blocks, 1 / blocks), size=(groups, RESAMPLES))
    return Sample(
        table=table.take(chosen),
        groups=groups,
        blocks=blocks,
        block=(np.arange(groups)[:, None] * blocks + block).ravel(),
        draws=times.astype(np.float64),
    )


def _dealt(ordered: npt.NDArray[np.int64], groups: int, rows: int, draws: np.random.Generator) -> npt.NDArray[np.int64]:
    """Groups of so many rows, one after the other, each a systematic sample of rows in the order of their strata.

    As the holdout is drawn (Cochran 1977, section 8.1); within a group rows are in random order.
    """
    count = groups * rows
    places = np.floor((np.arange(count) + draws.random()) * (len(ordered) / count)).astype(np.int64)
    hands = ordered[np.minimum(places, len(ordered) - 1)].reshape(rows, groups).T
    return draws.permuted(hands, axis=1).ravel()


def _strata(table: Table, column: str) -> npt.NDArray[np.int64]:
    """For each row its stratum: a category, or the tenth of all present values in which a number is."""
    place = next(place for place, each in enumerate(table.columns) if each.name == column)
    values = table.values[place]
    if table.columns[place].kind is Kind.CATEGORY:
        return values.astype(np.int64)
    present = np.sort(values[~np.isnan(values)])
    tenths = np.searchsorted(present, values, side="left") * 10 // max(1, len(present))
    return np.where(np.isnan(values), 10, tenths)


def unrelated(table: Table, groups: int, rows: int, draws: np.random.Generator) -> Sample:
    """Groups of rows in which every column is drawn for itself: what has nothing to do with one another looks so."""
    count = len(table)
    table = Table(table.columns, tuple(values[draws.integers(0, count, groups * rows)] for values in table.values))
    return Sample(table, groups, 1, np.repeat(np.arange(groups), rows), np.ones((groups, RESAMPLES, 1)))


def most_frequent(codes: Sequence[Codes], cells: int, most: int = MOST_CELLS) -> tuple[list[Codes], int]:
    """Codes 0 … cells - 1 of several samples, with the rarest told as one if there are more than so many.

    The last code stays the last.
    """
    if cells <= most:
        return list(codes), cells
    counts = np.sum([np.bincount(each, minlength=cells) for each in codes], axis=0)[:-1]
    own = np.argsort(-counts, kind="stable")[: most - 2]
    places = np.full(cells, most - 2, dtype=np.int32)
    places[own] = np.arange(len(own), dtype=np.int32)
    places[-1] = most - 1
    return [places[each] for each in codes], most
