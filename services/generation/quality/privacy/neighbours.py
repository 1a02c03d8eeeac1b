"""How near synthetic rows come to training rows, against how near real rows do that the generator never saw."""

import numpy as np

from services.generation.quality.parts import RESAMPLES, CalledOff, Floats
from services.generation.quality.privacy.measures import Measure, measure, of_advantage, of_copies
from services.generation.quality.privacy.nearest import Nearest, nearest
from services.generation.quality.privacy.space import Points
from services.generation.quality.report import Distances
from services.generation.quality.resampling import counts, draws, interval, resampled, shares

# Synthetic rows are often made where the table is dense, and so come nearer to real rows than those to each other
# without knowing any. Nearness costs nothing up to half the distance.
_TOLERANCE = 2.0
# The lowest ratios, and how many rows it takes to know them.
_TAIL = 0.01
_LEAST_FOR_TAIL = 500
# Distances nearer to each other than this are equal but for rounding.
_PRECISION = 1e-6
_PURPOSE = 31
_BINS = 40


def closer_to_training(
    synthetic: Points, training: Points, holdout: Points, seed: int, called_off: CalledOff
) -> Measure:
    """The share of synthetic rows nearer to a training row than to one of as many rows never seen.

    After Platzer & Reutterer 2021 ("Holdout-based empirical assessment of mixed-type synthetic data"), with ties split
    evenly. The same real row may be the nearest to many synthetic ones, so the bootstrap draws real rows, each with the
    synthetic ones nearest to it (a cluster bootstrap; Davison & Hinkley 1997, section 3.8).
    """
    generator = draws(seed, _PURPOSE)
    to_training = nearest(synthetic, training, called_off)
    to_holdout = nearest(synthetic, holdout, called_off)
    farther = to_holdout.first - to_training.first
    tied = np.abs(farther) <= _PRECISION
    wins = np.where(tied, 0.5, np.where(farther > 0, 1.0, 0.0))
    place = np.where(farther >= 0, to_training.index, len(training) + to_holdout.index)
    _, cluster = np.unique(place, return_inverse=True)
    near, won = np.bincount(cluster).astype(np.float64), np.bincount(cluster, weights=wins)
    drawn = counts(len(near), generator)
    replicates = drawn @ won / (drawn @ near)
    # By chance a real row is of either table as likely.
    swapped = generator.random((RESAMPLES, len(near))) < 0.5
    by_chance = np.where(swapped, near - won, won).sum(axis=1) / near.sum()
    value = float(wins.mean())
    return measure(
        "closer_to_training",
        "The share of synthetic rows that are nearer to a row of the training table than to one of as many real rows "
        "which the generator never saw: 0.5 if it has learned nothing of anybody in particular.",
        interval(value, replicates, 0.5),
        of_advantage(value, replicates, by_chance),
    )


def distances(made: Nearest, unseen: Nearest | None, alike: float, seed: int) -> list[Measure]:
    """The 5th percentiles of the distance to the nearest record and of the nearest-neighbour ratio, and near copies.

    `made` is of synthetic rows to training rows, `unseen` of rows never seen to the same ones. The percentiles are
    those of Zhao, Kunar, Birke & Chen 2021 ("CTAB-GAN: Effective table data synthesizing", the privacy evaluation).
    """
    generator = draws(seed, _PURPOSE + 1)
    return [
        _low_end(
            "distance_p5",
            "The distance of synthetic rows to the nearest row of the training table, 0 to 1, below which 5 % of them "
            "lie; the ceiling is that of real rows which the generator never saw.",
            made.first,
            None if unseen is None else unseen.first,
            generator,
        ),
        _low_end(
            "nearest_neighbour_ratio",
            "The distance of synthetic rows to the nearest row of the training table, divided by that to the next "
            "nearest, below which 5 % of them lie: near 0, a row has one person's features. The ceiling is that of "
            "real rows which the generator never saw.",
            ratio(made),
            None if unseen is None else ratio(unseen),
            generator,
        ),
        _new(
            float((made.first > alike).mean()),
            None if unseen is None else float((unseen.first > alike).mean()),
            len(made.first),
            generator,
        ),
        *(
            []
            if unseen is None or len(unseen.first) < _LEAST_FOR_TAIL
            else [_near(ratio(made), ratio(unseen), generator)]
        ),
    ]


def ratio(found: Nearest) -> Floats:
    """The nearest's distance by the next nearest's, shape (records,); 1 where both are nought or there is no other."""
    known = (found.second > 0) & np.isfinite(found.second)
    return np.where(known, found.first / np.where(known, found.second, 1.0), 1.0)


def _low_end(
    name: str, description: str, made: Floats, unseen: Floats | None, generator: np.random.Generator
) -> Measure:
    value, replicates = _percentile(made, generator)
    ceiling = scores = None
    if unseen is not None:
        ceiling, unseen_replicates = _percentile(unseen, generator)
        # Where real rows are copies of one another, no distance says anything.
        if ceiling > 0:
            ideal = _nearness(unseen_replicates, generator.permutation(unseen_replicates))
            scores = float(_nearness(value, ceiling)), _nearness(replicates, unseen_replicates), ideal
    return measure(name, description, interval(value, replicates, ceiling), scores, higher_is_better=True)


def _percentile(values: Floats, generator: np.random.Generator) -> tuple[float, Floats]:
    drawn = values[resampled(len(values), generator)]
    return float(np.quantile(values, 0.05)), np.quantile(drawn, 0.05, axis=1)


def _nearness(made: float | Floats, unseen: float | Floats) -> Floats:
    unseen = np.asarray(unseen)
    return np.where(unseen > 0, np.clip(_TOLERANCE * made / np.where(unseen > 0, unseen, 1.0), 0.0, 1.0), 1.0)


def _near(made: Floats, unseen: Floats, generator: np.random.Generator) -> Measure:
    """Near copies: rows far below the ratios that are usual, where a few copies among many rows don't drown."""
    drawn_made = made[resampled(len(made), generator)]
    drawn_unseen, again = (unseen[resampled(len(unseen), generator)] for _ in range(2))
    limits = np.quantile(drawn_unseen, _TAIL, axis=1, method="higher")[:, None]
    limit = float(np.quantile(unseen, _TAIL, method="higher"))
    by_chance = (drawn_unseen <= limits).mean(axis=1)
    replicates = (drawn_made <= limits).mean(axis=1)
    value, ceiling = float((made <= limit).mean()), float((unseen <= limit).mean())
    return measure(
        "near_copies",
        "The share of synthetic rows that are nearer to one row of the training table, compared to the next nearest, "
        "than 99 % of real rows which the generator never saw are; the ceiling is that of those.",
        interval(value, replicates, ceiling),
        of_copies(value - ceiling, replicates - by_chance, (again <= limits).mean(axis=1) - by_chance),
    )


def _new(value: float, ceiling: float | None, rows: int, generator: np.random.Generator) -> Measure:
    return measure(
        "new_rows",
        "The share of synthetic rows that are like no row of the training table: a category differs, or numbers do by "
        "more than 1 % of ranks on average. The ceiling is that of real rows which the generator never saw.",
        interval(value, shares(value, rows, generator), ceiling),
        higher_is_better=True,
    )


def picture(made: Floats, unseen: Floats) -> Distances:
    """How the distances to the nearest training row are distributed; the last bin holds what lies beyond, too."""
    highest = float(np.quantile(np.concatenate([made, unseen]), 0.99))
    edges = np.linspace(0, highest if highest > 0 else 1.0, _BINS + 1)

    def by_bin(values: Floats) -> tuple[float, ...]:
        found, _ = np.histogram(np.minimum(values, edges[-1]), bins=edges)
        return tuple((found / len(values)).tolist())

    return Distances(edges=tuple(edges.tolist()), synthetic=by_bin(made), holdout=by_bin(unseen))
