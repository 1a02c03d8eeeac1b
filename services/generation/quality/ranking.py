"""The area under the ROC curve, for many resamples at once."""

import numpy as np

from services.generation.quality.parts import Floats


def areas(scores: Floats, positives: Floats, negatives: Floats) -> Floats:
    """How often a positive has a higher score than a negative, ties counting half; 0.5 is chance.

    `scores` has shape (rows,); `positives` and `negatives`, shape (resamples, rows), say how often a resample holds
    each row as which. Equals the area under the ROC curve (Hanley & McNeil 1982, section II). NaN for a resample
    without positives or without negatives.
    """
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    above = np.add.reduceat(positives[:, order], starts, axis=1)
    below = np.add.reduceat(negatives[:, order], starts, axis=1)
    beaten = np.cumsum(below, axis=1) - below / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        area: Floats = (above * beaten).sum(axis=1) / (above.sum(axis=1) * below.sum(axis=1))
    return area


def area(scores: Floats, positive: Floats) -> float:
    """The same for one sample; `positive` is 1 for a positive and 0 for a negative."""
    return float(areas(scores, positive[None, :], 1 - positive[None, :])[0])
