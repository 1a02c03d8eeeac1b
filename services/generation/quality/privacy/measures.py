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
    """What of an excess counts: x - t² / x where that is positive, with t twice the spread that chance gives it.

    Small holdouts and few different rows make figures noisy, and the worst of several noisy figures is always bad: of
    eight, about two standard deviations. This takes off what noise adds, and of a clear excess next to nothing (the
    non-negative garrote of Breiman 1995, "Better subset regression using the nonnegative garrote").
    """
    spread = 2 * float(np.std(by_chance))
    some = np.maximum(np.asarray(excess, dtype=np.float64), 0.0)
    counted: Floats = np.where(some > spread, some - spread**2 / np.where(some > 0, some, 1.0), 0.0)
    return counted


def of_advantage(rate: float, replicates: Floats, by_chance: Floats) -> tuple[float, Floats, Floats]:
    """The score, its replicates and its ideal of a rate that is 0.5 by chance and 1 where everybody is recognised.

    1 less the attacker's advantage, 2 × rate - 1 as in Yeom et al. 2018 ("Privacy risk in machine learning", definition
    4), as far as it is beyond chance. The replicates keep their noise: an interval is there to tell of it.
    """
    value, ideal = (1 - 2 * beyond_chance(each - 0.5, by_chance) for each in (rate, by_chance))
    return float(value), 1 - 2 * np.maximum(replicates - 0.5, 0.0), ideal


def of_copies(excess: float, replicates: Floats, by_chance: Floats) -> tuple[float, Floats, Floats]:
    """The score, its replicates and its ideal of an excess of rows that are somebody's above those that chance makes.

    0 where a tenth of the rows are, as far as it is beyond chance. The replicates keep their noise.
    """
    value, drawn, ideal = (
        np.clip(1 - _STEEPNESS * each, 0.0, 1.0)
        for each in (beyond_chance(excess, by_chance), replicates, beyond_chance(by_chance, by_chance))
    )
    return float(value), drawn, ideal
