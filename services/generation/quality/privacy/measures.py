"""What the measures of privacy have in common."""

from dataclasses import dataclass

import numpy as np

from services.generation.quality.parts import Floats
from services.generation.quality.report import Detail, Figure, Metric

_STEEPNESS = 10.0


@dataclass(frozen=True)
class Measure:
    """A metric with what the part needs of it, each empty if it has no score.

    `replicates` are its scores in the bootstrap's resamples, `ideal` those that real rows which the generator never saw
    would have in place of synthetic ones, as their number leaves it to chance; both of shape (RESAMPLES,).
    """

    metric: Metric
    replicates: Floats
    ideal: Floats


def measure(
    name: str,
    description: str,
    figure: Figure,
    scores: tuple[float, Floats, Floats] | None = None,
    *,
    higher_is_better: bool = False,
    details: tuple[Detail, ...] = (),
) -> Measure:
    """A measure; `scores` are its score, its replicates and its ideal, or None if it only informs."""
    value, replicates, ideal = scores if scores is not None else (None, np.empty(0), np.empty(0))
    metric = Metric(
        name=name,
        figure=figure,
        score=value,
        higher_is_better=higher_is_better,
        description=description,
        details=details,
    )
    return Measure(metric, replicates, ideal)


def interval(value: float, replicates: Floats, ceiling: float | None = None) -> Figure:
    """A figure with the bootstrap's percentile interval (Efron & Tibshirani 1993, chapter 13)."""
    usable = replicates[np.isfinite(replicates)]
    if not len(usable):
        return Figure(value=value, ceiling=ceiling)
    low, high = (float(end) for end in np.quantile(usable, [0.025, 0.975]))
    return Figure(value=value, low=min(low, value), high=max(high, value), ceiling=ceiling)


def unlike_chance(rate: float | Floats) -> Floats:
    """The score of a rate that is 0.5 by chance and 1 where everybody is recognised: 1 less the attacker's advantage.

    The advantage is 2 × rate - 1, as in Yeom et al. 2018 ("Privacy risk in machine learning", definition 4).
    """
    score: Floats = np.clip(2 - 2 * np.asarray(rate), 0.0, 1.0)
    return score


def of_copies(copied: float | Floats, by_chance: float | Floats) -> Floats:
    """The score of a share of rows that are somebody's: 0 where it is a tenth above what chance makes."""
    score: Floats = np.clip(1 - _STEEPNESS * (np.asarray(copied) - by_chance), 0.0, 1.0)
    return score
