"""The normal distribution: its functions, and draws from parts of it."""

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FARTHEST = 38.0
"""Beyond so many standard deviations double precision knows no probability."""


def cumulative(values: Floats) -> Floats:
    """The probability of less than each value, with all digits in the lower tail."""
    scaled = torch.from_numpy(np.asarray(values * -np.sqrt(0.5)))
    return np.asarray(torch.special.erfc(scaled).numpy() * 0.5)  # torch's ndtr has no digits in the tail


def quantiles(probabilities: Floats) -> Floats:
    """The value that each probability is of less than; infinite at 0 and 1."""
    return np.asarray(torch.special.ndtri(torch.from_numpy(np.ascontiguousarray(probabilities))).numpy())


def density(values: Floats) -> Floats:
    """The density at each value; 0 at the infinities."""
    return np.asarray(np.exp(-0.5 * values**2) / np.sqrt(2.0 * np.pi))


def open_uniforms(raw: NDArray[np.uint64]) -> Floats:
    """Random words as numbers between 0 and 1, neither of which occurs."""
    return ((raw >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def drawn_within(mean: Floats, deviation: float, low: Floats, high: Floats, part: Floats) -> tuple[Floats, Floats]:
    """Normal variables that are known to lie in a union of intervals, and the probability that they would.

    `mean` and `part`, numbers between 0 and 1 that choose the draws, have a shape; `low` and `high` have the same and
    one dimension more, the intervals, ascending and apart, empty ones among them. Drawn by inverting the distribution,
    in the tail where double precision is finest (Geweke, "Efficient simulation from the multivariate normal and
    Student-t distributions subject to linear constraints", 1991). Where all intervals are too far off to have a
    probability in double precision, the nearest end is what is drawn.
    """
    below, above = (low - mean[..., None]) / deviation, (high - mean[..., None]) / deviation
    upper = below > 0  # the mirror image of the upper tail has all digits
    least, most = np.where(upper, -above, below), np.where(upper, -below, above)
    under = cumulative(least)
    masses = np.maximum(cumulative(most) - under, 0.0)
    sums = np.cumsum(masses, axis=-1)
    total = sums[..., -1]
    wanted = part * total
    chosen = np.minimum((sums <= wanted[..., None]).sum(-1), low.shape[-1] - 1)[..., None]

    def at(values: Floats) -> Floats:
        return np.asarray(np.take_along_axis(values, chosen, axis=-1)[..., 0])

    drawn = quantiles(at(under) + (wanted - (at(sums) - at(masses))))
    drawn = np.where(np.take_along_axis(upper, chosen, axis=-1)[..., 0], -drawn, drawn)
    values = mean + deviation * np.clip(drawn, -FARTHEST, FARTHEST)
    values = np.clip(values, at(low), at(high))
    if bool(np.all(total > 0)):
        return values, total
    away = np.maximum(np.maximum(low - mean[..., None], mean[..., None] - high), 0.0)
    chosen = np.argmin(away, axis=-1)[..., None]
    return np.where(total > 0, values, np.clip(mean, at(low), at(high))), total
