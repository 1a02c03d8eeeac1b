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


def beyond_chance(excess: float | Floats, by_chance: Floats) -> Floats:
    """What of an excess counts: x - s² / x where that is positive, with s the spread that chance gives it.

    Small holdouts and few different rows make figures noisy, and the worst of several noisy figures is always bad. This
    takes off what noise adds, and of a clear excess next to nothing (the positive-part estimator of James & Stein 1961,
    "Estimation with quadratic loss").
    """
    spread = float(np.std(by_chance))
    some = np.maximum(np.asarray(excess, dtype=np.float64), 0.0)
    counted: Floats = np.where(some > spread, some - spread**2 / np.where(some > 0, some, 1.0), 0.0)
    return counted


def of_advantage(rate: float, replicates: Floats, by_chance: Floats) -> tuple[float, Floats, Floats]:
    """The score, its replicates and its ideal of a rate that is 0.5 by chance and 1 where everybody is recognised.

    1 less the attacker's advantage, 2 × rate - 1 as in Yeom et al. 2018 ("Privacy risk in machine learning", definition
    4), as far as it is beyond chance.
    """
    value, drawn, ideal = (1 - 2 * beyond_chance(each - 0.5, by_chance) for each in (rate, replicates, by_chance))
    return float(value), drawn, ideal


def of_copies(excess: float, replicates: Floats, by_chance: Floats) -> tuple[float, Floats, Floats]:
    """The score, its replicates and its ideal of an excess of rows that are somebody's above those that chance makes.

    0 where a tenth of the rows are, as far as it is beyond chance.
    """
    value, drawn, ideal = (
        np.maximum(1 - _STEEPNESS * beyond_chance(each, by_chance), 0.0) for each in (excess, replicates, by_chance)
    )
    return float(value), drawn, ideal
