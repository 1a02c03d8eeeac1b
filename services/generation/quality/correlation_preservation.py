"""Whether columns hang together as in the real table."""

import bisect
import itertools
import math
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from services.generation.quality.bins import bins_for, bins_of
from services.generation.quality.correlations import (
    Ranked,
    correlation_similarity,
    ranked,
    ranks_of,
    scale_of,
    values_of,
)
from services.generation.quality.distances import total_variation_complement
from services.generation.quality.groups import Judging, judging, most_frequent, unrelated
from services.generation.quality.parts import CalledOff, Measured, check, compose, unmeasured
from services.generation.quality.report import PartName
from services.generation.quality.scores import Similarity, metric_of, of_counts
from services.generation.quality.tables import Codes, Comparison, Kind, Numbers

NAME = PartName.CORRELATION_PRESERVATION
# Of each metric; where there are more they are drawn.
MOST_PAIRS = 300
MOST_TRIPLES = 150

# What marginals of two and of three columns count for each, beside the pairs by kind together.
_MARGINALS = 0.5
# Combinations of categories that are counted as they are; of more, only those that occur.
_MOST_JOINT_CELLS = 100_000

Columns = tuple[int, ...]

_DESCRIPTIONS = {
    "correlation_similarity": "How alike Pearson's correlations of two numbers are: 1 less half their difference.",
    "rank_correlation_similarity": "How alike Spearman's (of ranks) are: 1 less half their difference.",
    "contingency_similarity": "How alike the shares of two categories' combinations are: 1 less the total variation.",
    "mixed_similarity": "The same for a number and a category, in bins.",
    "two_way_marginals": "The same for any two columns, in bins.",
    "three_way_marginals": "The same for any three columns, in bins.",
}


def measure(comparison: Comparison, called_off: CalledOff) -> Measured:
    """The part, from pairs and triples of columns that aren't constant in the real table. Raises Cancelled."""
    if not len(comparison.training) or not len(comparison.synthetic):
        return unmeasured(NAME, "A table without rows can't be judged.")
    draws = np.random.default_rng([comparison.seed, 3])
    work = _Work(judging(comparison), draws)
    if len(work.varying) < 2:
        return unmeasured(NAME, "It takes two columns that aren't constant in the real table.")
    numbers = [place for place in work.varying if work.kinds[place] is not Kind.CATEGORY]
    categories = [place for place in work.varying if work.kinds[place] is Kind.CATEGORY]
    of_numbers = math.comb(len(numbers), 2)
    of_categories = math.comb(len(categories), 2)
    mixed = len(numbers) * len(categories)
    by_kind = of_numbers + of_categories + mixed
    number_pairs = combinations(numbers, 2, MOST_PAIRS, draws)
    plan: list[tuple[str, float, list[Columns], Callable[[Columns], Similarity | None]]] = [
        ("correlation_similarity", of_numbers / by_kind / 2, number_pairs, work.pearson),
        ("rank_correlation_similarity", of_numbers / by_kind / 2, number_pairs, work.spearman),
        (
            "contingency_similarity",
            of_categories / by_kind,
            combinations(categories, 2, MOST_PAIRS, draws),
            work.contingency,
        ),
        ("mixed_similarity", mixed / by_kind, products(numbers, categories, MOST_PAIRS, draws), work.marginal),
        ("two_way_marginals", _MARGINALS, combinations(work.varying, 2, MOST_PAIRS, draws), work.marginal),
        ("three_way_marginals", _MARGINALS, combinations(work.varying, 3, MOST_TRIPLES, draws), work.marginal),
    ]
    readings = []
    for name, weight, drawn, similarity_of in plan:
        similarities = []
        for columns in drawn:
            check(called_off)
            similarity = similarity_of(columns)
            if similarity is not None:
                similarities.append(similarity)
        if similarities:
            readings.append(metric_of(name, _DESCRIPTIONS[name], similarities, weight))
    return compose(NAME, readings, _notes(len(work.varying), max(of_numbers, of_categories, mixed)))


def _notes(columns: int, most_of_kind: int) -> list[str]:
    """What was drawn, if not everything is compared."""
    pairs, triples = math.comb(columns, 2), math.comb(columns, 3)
    drawn = []
    if max(pairs, most_of_kind) > MOST_PAIRS:
        drawn.append(f"of {pairs:,} pairs of columns, {MOST_PAIRS} at most for each metric")
    if triples > MOST_TRIPLES:
        drawn.append(f"of {triples:,} triples of columns, {MOST_TRIPLES}")
    return [f"Drawn to be compared: {'; '.join(drawn)}."] if drawn else []


class _Work:
    """The samples, with what several pairs take of a column made once."""

    def __init__(self, rows: Judging, draws: np.random.Generator) -> None:
        self._rows = rows
        size = len(rows.synthetic.table) // rows.synthetic.groups
        self._unrelated = [
            unrelated(sample.table, rows.synthetic.groups, size, draws) for sample in (rows.training, rows.synthetic)
        ]
        there = [sample for sample in (rows.training, rows.synthetic, rows.holdout) if sample is not None]
        self._samples = [*there, *self._unrelated]
        self._columns = rows.training.table.columns
        self._bins = {count: bins_of(rows.training.table, bins_for(size, count)) for count in (2, 3)}
        self._codes: dict[tuple[int, int], list[Codes]] = {}
        self._ranked: dict[int, list[Ranked]] = {}
        self.kinds = [column.kind for column in self._columns]
        training = rows.training.table.values
        self.varying = [place for place, values in enumerate(training) if varies(values, self.kinds[place])]

    def pearson(self, pair: Columns) -> Similarity | None:
        """For two numbers."""
        first, second = (self._ranked_column(place) for place in pair)
        return correlation_similarity(self._rows, self._unrelated, self._names(pair), first, second, values_of)

    def spearman(self, pair: Columns) -> Similarity | None:
        """For two numbers."""
        first, second = (self._ranked_column(place) for place in pair)
        return correlation_similarity(self._rows, self._unrelated, self._names(pair), first, second, ranks_of)

    def contingency(self, pair: Columns) -> Similarity:
        """For two categories, each of which counts, as does what is missing."""
        cells = [len(self._columns[place].labels) + 1 for place in pair]
        codes = [
            [
                np.where(sample.table.values[place] < 0, count - 1, sample.table.values[place])
                for sample in self._samples
            ]
            for place, count in zip(pair, cells, strict=True)
        ]
        return self._counted(pair, codes, cells)

    def marginal(self, columns: Columns) -> Similarity:
        """For any columns, in bins, of which one is for what is missing."""
        bins = self._bins[len(columns)]
        codes = [self._binned(place, len(columns)) for place in columns]
        return self._counted(columns, codes, [bins[place].cells for place in columns])

    def _counted(self, columns: Columns, codes: Sequence[Sequence[Codes]], cells: Sequence[int]) -> Similarity:
        joint, count = _joint(codes, cells)
        # One code more, that no row has, since the last isn't counted.
        return of_counts(
            self._rows,
            self._names(columns),
            joint[:-2],
            count + 1,
            total_variation_complement,
            most_frequent(joint[:-2], count + 1),
            tuple(zip(self._unrelated, joint[-2:], strict=True)),
        )

    def _names(self, columns: Columns) -> tuple[str, ...]:
        return tuple(self._columns[place].name for place in columns)

    def _binned(self, place: int, together: int) -> list[Codes]:
        """A column's bins in each sample, where so many columns are counted together."""
        key = place, together
        if key not in self._codes:
            bins = self._bins[together][place]
            self._codes[key] = [bins.codes(sample.table.values[place]) for sample in self._samples]
        return self._codes[key]

    def _ranked_column(self, place: int) -> list[Ranked]:
        if place not in self._ranked:
            centre, scale = scale_of(cast(Numbers, self._samples[0].table.values[place]))
            self._ranked[place] = [
                ranked(sample, cast(Numbers, sample.table.values[place]), centre, scale) for sample in self._samples
            ]
        return self._ranked[place]


def varies(values: Numbers | Codes, kind: Kind) -> bool:
    """Whether a column has two values, of which one may be a missing one."""
    missing = values < 0 if kind is Kind.CATEGORY else np.isnan(values)
    present = values[~missing]
    return len(present) > 0 and bool(missing.any() or present.min() < present.max())


def combinations(places: Sequence[int], size: int, most: int, draws: np.random.Generator) -> list[Columns]:
    """All combinations of so many places, in order, or so many of them at most, drawn."""
    total = math.comb(len(places), size)
    if total <= most:
        return list(itertools.combinations(places, size))
    below = [[math.comb(place, k) for place in range(len(places))] for k in range(size + 1)]
    found = []
    for number in np.sort(draws.choice(total, size=most, replace=False)).tolist():
        rest, chosen = number, []
        # The combinatorial number system: every number is one combination.
        for k in range(size, 0, -1):
            place = bisect.bisect_right(below[k], rest) - 1
            rest -= below[k][place]
            chosen.append(places[place])
        found.append(tuple(reversed(chosen)))
    return found


def products(first: Sequence[int], second: Sequence[int], most: int, draws: np.random.Generator) -> list[Columns]:
    """All pairs of a place of each, or so many of them at most, drawn."""
    total = len(first) * len(second)
    if total <= most:
        return list(itertools.product(first, second))
    numbers = np.sort(draws.choice(total, size=most, replace=False)).tolist()
    return [(first[number // len(second)], second[number % len(second)]) for number in numbers]


def _joint(codes: Sequence[Sequence[Codes]], cells: Sequence[int]) -> tuple[list[Codes], int]:
    """One code for the combination of several columns' codes, in each sample, and how many there can be."""
    total = math.prod(cells)
    joint = [
        np.ravel_multi_index([column[sample] for column in codes], tuple(cells)).astype(np.int64)
        for sample in range(len(codes[0]))
    ]
    if total <= _MOST_JOINT_CELLS:
        return [each.astype(np.int32) for each in joint], total
    distinct, dense = np.unique(np.concatenate(joint), return_inverse=True)
    ends = np.cumsum([len(each) for each in joint])[:-1]
    return [each.astype(np.int32) for each in np.split(dense, ends)], len(distinct)
