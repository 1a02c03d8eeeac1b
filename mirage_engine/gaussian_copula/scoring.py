"""How probable rows are under a Gaussian copula."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from mirage_engine.codec.column import UNKNOWN, Leaves
from mirage_engine.errors import TableRefused
from mirage_engine.gaussian_copula.box import Box, even_points
from mirage_engine.gaussian_copula.box import log_probabilities as log_probabilities_of_boxes
from mirage_engine.gaussian_copula.learnt import Learnt
from mirage_engine.gaussian_copula.normal import Floats

_POINTS = 128
_ROWS_AT_ONCE = 512


def log_probabilities(learnt: Learnt, table: pa.Table, given: Sequence[str]) -> Floats:
    """Natural logarithm of each row's probability; shape (rows,). See `GaussianCopulaModel.log_probability`."""
    leaves = learnt.codec.encode(table, partial=True)
    names = [column.name for column in learnt.codec.columns]
    present = [place for place, name in enumerate(names) if name in table.column_names]
    known = [place for place in present if names[place] in given]
    problems = dict.fromkeys(set(given) - {names[place] for place in known}, "it is given, and not in the table")
    if problems or not present:
        raise TableRefused(problems or {"table": f"it has none of the model's columns: {', '.join(names)}"})
    scores = _of_columns(learnt, leaves, present)
    scored = [place for place in present if place not in known]
    if known:
        impossible = np.isneginf(scores)
        scores = np.where(impossible, -np.inf, scores - np.where(impossible, 0.0, _of_columns(learnt, leaves, known)))
    for place in scored:
        scores -= learnt.codec.columns[place].codec.log_widths[leaves[:, place]]
    return scores


def _of_columns(learnt: Learnt, leaves: Leaves, places: Sequence[int]) -> Floats:
    """Logarithm of the probability of leaves of some columns, whatever the others are; shape (rows,)."""
    numbers = [number for number, latent in enumerate(learnt.latents) if latent.column in places]
    possible = np.ones(len(leaves), dtype=np.bool_)
    for place in places:
        drawn = (learnt.counts[place] > 0) & ~learnt.codec.columns[place].codec.never_drawn
        possible &= (leaves[:, place] != UNKNOWN) & drawn[leaves[:, place]]
    scores = np.where(possible, 0.0, -np.inf)
    if not numbers:
        return scores
    correlations = learnt.correlations[np.ix_(numbers, numbers)]
    points = even_points(_POINTS, len(numbers))
    low, high = np.empty((len(leaves), len(numbers), 1)), np.empty((len(leaves), len(numbers), 1))
    for index, number in enumerate(numbers):
        latent = learnt.latents[number]
        interval = latent.place_of[leaves[:, latent.column]]
        low[:, index, 0] = np.where(interval < 0, -np.inf, latent.bounds[interval])
        high[:, index, 0] = np.where(interval < 0, np.inf, latent.bounds[interval + 1])
    for start in range(0, len(leaves), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        scores[part] += log_probabilities_of_boxes(Box(low[part], high[part]), correlations, points)
    return scores
