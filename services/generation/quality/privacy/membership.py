"""Attacks that tell whether somebody's row was trained on."""

import numpy as np

from services.generation.quality.parts import RESAMPLES, CalledOff, Floats
from services.generation.quality.privacy.measures import Measure, measure, of_advantage
from services.generation.quality.privacy.nearest import nearest
from services.generation.quality.privacy.space import Points
from services.generation.quality.ranking import area, areas
from services.generation.quality.resampling import counts, draws, interval

# With fewer the density among rows never seen can't be estimated beside testing on them.
_LEAST_TO_HALVE = 40
_PURPOSE = 33


def membership(training: Points, holdout: Points, synthetic: Points, seed: int, called_off: CalledOff) -> list[Measure]:
    """How well an attacker tells rows trained on from as many that weren't, by two attacks on the synthetic rows.

    One takes who is nearest to a synthetic row for trained on (Chen, Yu, Zhang & Fritz 2020, "GAN-Leaks", the full
    black-box attack). The other sets the density of synthetic rows about somebody against that of real rows about them,
    both by the nearest (after van Breugel, Sun, Qian & van der Schaar 2023, "Membership inference attacks against
    synthetic data through overfitting detection"), so that people who are like many others aren't taken for trained on;
    the attacker knows half of the rows never seen.
    """
    generator = draws(seed, _PURPOSE)
    members, others = (nearest(points, synthetic, called_off).first for points in (training, holdout))
    measures = [
        _attack(
            "membership_auc",
            "How well an attacker tells people trained on from people who weren't, by how near the nearest synthetic "
            "row is to them (area under the ROC curve): 0.5 is a guess, 1 certainty.",
            (-members, -others),
            generator,
        )
    ]
    half = len(holdout) // 2
    if len(holdout) >= _LEAST_TO_HALVE:
        known = holdout.part(0, half)
        asked = (training.part(0, len(holdout) - half), holdout.part(half, len(holdout)))
        usual = [nearest(points, known, called_off).first for points in asked]
        own = (members[: len(holdout) - half], others[half:])
        measures.append(
            _attack(
                "membership_density_auc",
                "The same by how much nearer the nearest synthetic row is than the nearest of other real rows, which "
                "an attacker may know.",
                (_log_ratio(usual[0], own[0]), _log_ratio(usual[1], own[1])),
                generator,
            )
        )
    return measures


def _log_ratio(far: Floats, near: Floats) -> Floats:
    """How much farther, as a logarithm; a distance of nought counts as one no record comes below."""
    least = 1e-6
    return np.log(np.maximum(far, least)) - np.log(np.maximum(near, least))


def _attack(name: str, description: str, suspicions: tuple[Floats, Floats], generator: np.random.Generator) -> Measure:
    """The measure of an attack, by how suspicious it finds members and others."""
    members, others = suspicions
    suspicion = np.concatenate([members, others])
    is_member = np.repeat([1.0, 0.0], [len(members), len(others)])
    value = area(suspicion, is_member)
    drawn = np.concatenate([counts(len(members), generator), counts(len(others), generator)], axis=1)
    replicates = areas(suspicion, drawn * is_member, drawn * (1 - is_member))
    shuffled = generator.permuted(np.tile(is_member, (RESAMPLES, 1)), axis=1)
    by_chance = areas(suspicion, shuffled, 1 - shuffled)
    return measure(
        name,
        description,
        interval(value, replicates, 0.5),
        of_advantage(value, replicates, by_chance),
    )
