"""Normal variables of which it is known in which intervals they lie."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirage_engine.gaussian_copula.normal import Floats, drawn_within

SWEEPS = 20


@dataclass(frozen=True, eq=False)
class Box:
    """Unions of intervals, one for each variable; both of shape (rows, variables, intervals).

    The intervals of a variable ascend; where there are fewer than the shape has, empty ones at infinity follow.
    """

    low: Floats
    high: Floats

    @classmethod
    def of(cls, unions: Sequence[Sequence[tuple[float, float]]]) -> "Box":
        """One row of unions, a variable's each. An upper end belongs to what follows it, not to the interval."""
        most = max(map(len, unions), default=1)
        low = np.full((1, len(unions), most), np.inf)
        high = np.full((1, len(unions), most), np.inf)
        for place, union in enumerate(unions):
            for number, (least, largest) in enumerate(union):
                low[0, place, number] = least
                high[0, place, number] = largest if largest == np.inf else max(np.nextafter(largest, -np.inf), least)
        return cls(low, high)

    def repeated(self, rows: int) -> "Box":
        """The same for so many rows; of one row."""
        return Box(np.repeat(self.low, rows, axis=0), np.repeat(self.high, rows, axis=0))


def draws_needed(variables: int) -> int:
    """How many random numbers `drawn_in` needs for a row."""
    return variables * (1 + SWEEPS if variables > 1 else 1)


def drawn_in(box: Box, correlations: Floats, parts: Floats) -> Floats:
    """Variables with some correlations, given that they lie in a box; shape (rows, variables).

    `parts` are numbers between 0 and 1, of shape (rows, `draws_needed`). One variable is drawn exactly. Several start
    one after another, each given those before, and then are drawn anew, each given all others, `SWEEPS` times over:
    Gibbs sampling, which nears the very distribution (Geweke 1991, see `normal.drawn_within`).
    """
    rows, variables, _ = box.low.shape
    values = np.empty((rows, variables))
    factor = np.linalg.cholesky(correlations)
    standard = np.zeros((rows, variables))
    for place in range(variables):
        mean = (standard[:, :place] * factor[place, :place]).sum(1)
        deviation = float(factor[place, place])
        values[:, place], _ = drawn_within(mean, deviation, box.low[:, place], box.high[:, place], parts[:, place])
        standard[:, place] = (values[:, place] - mean) / deviation
    if variables == 1:
        return values
    precision = np.linalg.inv(correlations)
    for sweep in range(1, SWEEPS + 1):
        for place in range(variables):
            own = precision[place, place]
            weights = precision[place] / own
            mean = values[:, place] - (values * weights).sum(1)
            part = parts[:, sweep * variables + place]
            values[:, place], _ = drawn_within(
                mean, float(np.sqrt(1.0 / own)), box.low[:, place], box.high[:, place], part
            )
    return values


def log_probabilities(box: Box, correlations: Floats, points: Floats) -> Floats:
    """Natural logarithm of how probable it is that variables lie in a box; shape (rows,).

    Estimated on points between 0 and 1, of shape (points, variables), by separation of variables (Genz, "Numerical
    computation of multivariate normal probabilities", 1992): the mean over draws, one variable after another, of the
    product of the probabilities that each lies in its intervals.
    """
    rows, variables, _ = box.low.shape
    count = len(points)
    factor = np.linalg.cholesky(correlations)
    standard = np.zeros((rows * count, variables))
    logs = np.zeros(rows * count)
    for place in range(variables):
        mean = (standard[:, :place] * factor[place, :place]).sum(1)
        deviation = float(factor[place, place])
        low = np.repeat(box.low[:, place], count, axis=0)
        high = np.repeat(box.high[:, place], count, axis=0)
        part = np.tile(points[:, place], rows)
        value, probability = drawn_within(mean, deviation, low, high, part)
        standard[:, place] = (value - mean) / deviation
        with np.errstate(divide="ignore"):
            logs += np.log(probability)
    by_row = logs.reshape(rows, count)
    most = by_row.max(1)
    anchored = np.where(np.isfinite(most), most, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(anchored + np.log(np.exp(by_row - anchored[:, None]).mean(1)))


def even_points(count: int, variables: int) -> Floats:
    """Points that fill the unit cube evenly: multiples of the roots of primes, modulo 1 (Richtmyer 1951)."""
    roots = np.sqrt(np.array(_primes(variables), dtype=np.float64))
    spread = (np.arange(1, count + 1)[:, None] * roots) % 1.0
    return np.asarray(np.clip(spread, 2.0**-53, 1.0 - 2.0**-53))


def _primes(count: int) -> NDArray[np.int64]:
    limit = 16
    while True:
        sieve = np.ones(limit, dtype=np.bool_)
        sieve[:2] = False
        for number in range(2, int(limit**0.5) + 1):
            sieve[number * number :: number] = False
        primes = np.flatnonzero(sieve)
        if len(primes) >= count:
            return primes[:count]
        limit *= 2
