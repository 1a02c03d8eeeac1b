"""Synthetic rows that are real ones."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from services.generation.quality.parts import CalledOff, check
from services.generation.quality.privacy.measures import Measure, measure, of_copies
from services.generation.quality.resampling import draws, interval, shares
from services.generation.quality.tables import Comparison, Kind, Table

# Keys are made dense again before they could overflow.
_MOST_KEYS = 2**62
_PURPOSE = 30

Keys = npt.NDArray[np.int64]


def copies(comparison: Comparison, called_off: CalledOff) -> list[Measure]:
    """How many synthetic rows equal a training row, and how many one that is the only one of its kind."""
    generator = draws(comparison.seed, _PURPOSE)
    check(called_off)
    training, synthetic, *unseen = row_keys(
        [comparison.training, comparison.synthetic, *([] if comparison.holdout is None else [comparison.holdout])]
    )
    seen = np.bincount(training, minlength=1 + max(int(keys.max(initial=0)) for keys in (training, synthetic, *unseen)))
    holdout = seen[unseen[0]] if unseen and len(unseen[0]) else None
    made = seen[synthetic]
    return [_exact(made, holdout, generator), _unique(made, holdout, generator)]


def _exact(made: Keys, holdout: Keys | None, generator: np.random.Generator) -> Measure:
    value = float((made > 0).mean())
    return measure(
        "exact_copies",
        "The share of synthetic rows that equal a row of the training table in every column; the ceiling is that of "
        "real rows which the generator never saw. Tables with few columns repeat themselves without anybody copying.",
        interval(value, shares(value, len(made), generator), None if holdout is None else float((holdout > 0).mean())),
    )


def _unique(made: Keys, holdout: Keys | None, generator: np.random.Generator) -> Measure:
    value = float((made == 1).mean())
    replicates = shares(value, len(made), generator)
    ceiling = scores = None
    if holdout is not None:
        ceiling = float((holdout == 1).mean())
        either = float((np.concatenate([made, holdout]) == 1).mean())
        scores = of_copies(
            value - ceiling,
            replicates - shares(ceiling, len(holdout), generator),
            shares(either, len(made), generator) - shares(either, len(holdout), generator),
        )
    return measure(
        "unique_copies",
        "The share of synthetic rows that equal a row of the training table which is the only one of its kind, and so "
        "somebody's own; the ceiling is that of real rows which the generator never saw.",
        interval(value, replicates, ceiling),
        scores,
    )


def row_keys(tables: Sequence[Table]) -> list[Keys]:
    """A number for each row of each table, the same for rows that are equal in every column and for no others."""
    rows = [len(table) for table in tables]
    keys = np.zeros(sum(rows), dtype=np.int64)
    most = 1
    for index, column in enumerate(tables[0].columns):
        values = np.concatenate([table.values[index] for table in tables])
        if column.kind == Kind.CATEGORY:
            codes, many = values.astype(np.int64) + 1, len(column.labels) + 1
        else:
            found, distinct = pd.factorize(values)
            codes, many = found.astype(np.int64) + 1, len(distinct) + 1
        if most * many > _MOST_KEYS:
            keys, most = _dense(keys)
        keys, most = keys * many + codes, most * many
    keys, _ = _dense(keys)
    return np.split(keys, np.cumsum(rows)[:-1])


def _dense(keys: Keys) -> tuple[Keys, int]:
    codes, distinct = pd.factorize(keys)
    return codes.astype(np.int64), len(distinct)
