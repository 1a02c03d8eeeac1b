"""How a part of the quality is put together: scores of metrics, their ceilings and their intervals.

A part is measured by a function `measure(comparison, called_off) -> Measured`. It makes a `Reading` of each metric and
puts them together by `compose`, or says by `unmeasured` why it can't.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from services.generation.engines.protocol import Cancelled
from services.generation.quality.report import Distances, Figure, Metric, Part, PartName
from services.generation.quality.tables import Comparison, Table

Floats = npt.NDArray[np.float64]
CalledOff = Callable[[], bool]

# How often rows are drawn anew for an interval.
RESAMPLES = 200
# What most metrics take of each table at most; what comes beyond is drawn.
MOST_ROWS = 50_000
# The same for wide tables, as rows × columns.
MOST_CELLS = 20_000_000

_NOTHING = np.empty(0)


@dataclass(frozen=True)
class Reading:
    """A metric with what its part needs of it.

    `replicates` are the metric's *score* in each bootstrap resample, shape (RESAMPLES,), empty if there are none;
    `ceiling` is the score at the ceiling. `weight` says what it counts for beside the part's other metrics, in any
    unit. None of them matters for a metric that only informs.
    """

    metric: Metric
    replicates: Floats
    ceiling: float | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class Measured:
    """A part with its score in each bootstrap resample, shape (RESAMPLES,) or empty, and what is to be noted.

    `distances` are those that privacy has measured, for the page to draw.
    """

    part: Part
    replicates: Floats
    notes: tuple[str, ...] = ()
    distances: Distances | None = None


def never() -> bool:
    """For what nobody calls off."""
    return False


def check(called_off: CalledOff) -> None:
    """Raises Cancelled if the work was called off; to be asked every few hundred milliseconds."""
    if called_off():
        raise Cancelled


def figure(value: float, replicates: Floats, ceiling: float | None = None, *, most: float = 1.0) -> Figure:
    """A figure from 0 to `most` with its 95 % interval.

    The interval is the bootstrap's percentile interval, moved so that the mean of the replicates falls on the value
    (Efron & Tibshirani 1993, chapters 10 and 13). A distance between two samples grows with their noise, and resampling
    adds noise: left where they are, the replicates of a distance would lie beside the value rather than around it.
    The ceiling is measured in as many rows and so carries the same noise as the value.
    """
    usable = replicates[np.isfinite(replicates)]
    low = high = None
    if len(usable) > 1:
        ends = np.quantile(usable, [0.025, 0.975]) - usable.mean() + value
        low, high = (float(end) for end in np.clip(ends, 0.0, most))
        low, high = min(low, value), max(high, value)
    return Figure(value=float(value), low=low, high=high, ceiling=None if ceiling is None else float(ceiling))


def unmeasured(name: PartName, reason: str, notes: Sequence[str] = ()) -> Measured:
    """A part that can't be measured, with the reason as a sentence."""
    return Measured(Part(name=name, score=None, reason=reason), _NOTHING, tuple(notes))


def compose(name: PartName, readings: Sequence[Reading], notes: Sequence[str] = ()) -> Measured:
    """A part whose score is the weighted mean of its metrics' scores; at least one of them has a score.

    The same draws of rows stand behind the same place of all replicates, so their mean has the right spread. A ceiling
    is told if every metric with a score has one, an interval likewise.
    """
    scored = [reading for reading in readings if reading.metric.score is not None]
    if not scored:
        raise ValueError(f"no metric of {name} has a score")
    weights = np.array([reading.weight for reading in scored]) / sum(reading.weight for reading in scored)
    value = float(weights @ np.array([reading.metric.score for reading in scored]))
    replicates = mean_replicates([reading.replicates for reading in scored], weights)
    ceilings = [reading.ceiling for reading in scored if reading.ceiling is not None]
    ceiling = float(weights @ np.array(ceilings)) if len(ceilings) == len(scored) else None
    shares = {id(reading): float(weight) for reading, weight in zip(scored, weights, strict=True)}
    part = Part(
        name=name,
        score=figure(value, replicates, ceiling),
        metrics=tuple(
            reading.metric.model_copy(update={"weight": shares.get(id(reading), 0.0)}) for reading in readings
        ),
    )
    return Measured(part, replicates, tuple(notes))


def mean_replicates(replicates: Sequence[Floats], weights: Floats) -> Floats:
    """Replicates of a weighted mean, from those of its terms; none if a term has none."""
    if not replicates or not all(len(each) for each in replicates):
        return _NOTHING
    mean: Floats = weights @ np.stack(replicates)
    return mean


def most_rows(columns: int) -> int:
    """How many rows of a table with so many columns are judged at most."""
    return max(1_000, min(MOST_ROWS, MOST_CELLS // max(1, columns)))


def judged(comparison: Comparison) -> Comparison:
    """The rows that most metrics take: all, or as many as it takes, drawn by the comparison's seed."""
    most = most_rows(len(comparison.training.columns))
    draws = np.random.default_rng([comparison.seed, 0])

    def drawn(table: Table) -> Table:
        if len(table) <= most:
            return table
        return table.take(np.sort(draws.choice(len(table), size=most, replace=False)))

    return replace(
        comparison,
        training=drawn(comparison.training),
        holdout=None if comparison.holdout is None else drawn(comparison.holdout),
        synthetic=drawn(comparison.synthetic),
    )
