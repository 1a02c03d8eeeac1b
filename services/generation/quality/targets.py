"""Which column a model would predict, and which an attacker would like to know."""

import numpy as np

from services.generation.quality.associations import contingency, cramers_v
from services.generation.quality.bins import bins_of
from services.generation.quality.tables import Codes, Column, Kind, Numbers, Table

# A column can be predicted if so many training rows have a value of it, in at least half of all rows.
LEAST_PRESENT = 50
# Classes: at most so many, of which at least two in so many rows each.
MOST_CLASSES = 50
LEAST_OF_CLASS = 10
# A number: at least so many values.
LEAST_VALUES = 10

_ROWS = 2_000
_COLUMNS = 60
_STRONGEST = 3


def usable(column: Column, values: Numbers | Codes) -> bool:
    """Whether a model can learn to predict a column: enough rows, and classes or values; dates never."""
    present = values[values >= 0] if column.kind is Kind.CATEGORY else values[~np.isnan(values)]
    if column.kind is Kind.DATE or len(present) < max(LEAST_PRESENT, len(values) / 2):
        return False
    distinct, counts = np.unique(present, return_counts=True)
    if column.kind is Kind.NUMBER:
        return len(distinct) >= LEAST_VALUES
    return len(distinct) <= MOST_CLASSES and int(np.count_nonzero(counts >= LEAST_OF_CLASS)) >= 2


def by_predictability(training: Table, seed: int) -> tuple[str, ...]:
    """Usable columns, the one that the others tell most about first.

    A column's rank is the mean of its three strongest associations (bias-corrected Cramér's V of bins) with other
    columns, in 2,000 rows and 60 columns at most, drawn. At the same rank the earlier column goes first.
    """
    draws = np.random.default_rng([seed, 1])
    width = len(training.columns)
    chosen = np.sort(draws.choice(width, size=min(width, _COLUMNS), replace=False))
    candidates = [place for place in chosen if usable(training.columns[place], training.values[place])]
    rows = np.sort(draws.choice(len(training), size=min(len(training), _ROWS), replace=False))
    sample = Table(
        tuple(training.columns[place] for place in chosen), tuple(training.values[place][rows] for place in chosen)
    )
    bins = bins_of(sample)
    codes = {place: each.codes(values) for place, each, values in zip(chosen, bins, sample.values, strict=True)}
    cells = dict(zip(chosen, (each.cells for each in bins), strict=True))

    def rank(place: int) -> float:
        strengths = [
            cramers_v(contingency(codes[place], codes[other], cells[place], cells[other])) or 0.0
            for other in chosen
            if other != place
        ]
        return float(np.mean(sorted(strengths)[-_STRONGEST:])) if strengths else 0.0

    ranks = {place: rank(place) for place in candidates}
    return tuple(training.columns[place].name for place in sorted(candidates, key=lambda place: (-ranks[place], place)))
