"""How good a model's rows are while it is still being fitted: a small sample of them, judged like a finished table."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from services.generation.engines.protocol import Cancelled, Failure
from services.generation.quality.encode import encode
from services.generation.quality.evaluate import figures
from services.generation.quality.report import QUALITY_SCORE, PartName
from services.generation.tables.columns import ColumnSpec
from services.generation.tables.holdout import strata
from services.generation.training.spec import Scoring

# So many rows are drawn, and of the real rows as many at most are compared with: enough to tell good from bad.
SCORED_ROWS = 1_000
# Where no epochs are named, scoring takes at most this share of the time.
TIME_SHARE = 0.02
# What scoring is taken to take before it was done once.
LIKELY_S = 1.0

MakeRows = Callable[[int, int], pa.Table]
"""Makes so many rows of the source by a seed."""


class RealRows(NamedTuple):
    """Real rows to compare with; `stratified_by` is the column by whose values those held out were drawn."""

    training: pa.Table
    holdout: pa.Table | None
    stratified_by: str

    @classmethod
    def drawn(
        cls, table: pa.Table, columns: Sequence[ColumnSpec], held_out: npt.NDArray[np.bool_], seed: int
    ) -> "RealRows":
        """At most `SCORED_ROWS` of the rows trained on and as many of those held out, the same for the same seed."""
        draws = np.random.default_rng([seed, len(table), SCORED_ROWS])

        def some(places: npt.NDArray[np.int64]) -> pa.Table:
            chosen = draws.choice(places, size=min(len(places), SCORED_ROWS), replace=False)
            return table.take(pa.array(np.sort(chosen)))

        training, holdout = some(np.flatnonzero(~held_out)), some(np.flatnonzero(held_out))
        return cls(training, holdout if len(holdout) else None, strata(table, columns).column)


class Scorer:
    """Says after which epochs rows are to be judged, and judges them.

    The chance of the rows and of the judging is the seed's and the same after each epoch, so that scores differ by what
    was learned. Whatever goes wrong is told once to `on_broken`, ends the scoring, and costs nobody the training.
    """

    def __init__(
        self,
        scoring: Scoring,
        real: RealRows,
        columns: Sequence[ColumnSpec],
        seed: int,
        called_off: Callable[[], bool],
        on_broken: Callable[[Exception], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scoring = scoring
        self._real = real
        self._columns = columns
        self._seed = seed
        self._called_off = called_off
        self._on_broken = on_broken
        self._clock = clock
        self._parts = _parts_of(scoring.metrics)
        self._began = clock()
        self._spent_s, self._latest_s = 0.0, LIKELY_S
        self._ended = False

    def scores(self, epoch: int, make_rows: MakeRows) -> Mapping[str, float]:
        """The scores after an epoch by metric: the wanted ones, and those of their parts. None where none are due.

        Raises Cancelled.
        """
        if self._ended or not self._is_due(epoch):
            return {}
        begun = self._clock()
        try:
            found = self._judged(make_rows(SCORED_ROWS, self._seed))
        except Cancelled:
            raise
        except Failure:  # the final judging will say why the table can't be judged
            self._ended = True
            return {}
        except Exception as error:
            self._ended = True
            self._on_broken(error)
            return {}
        self._latest_s = self._clock() - begun
        self._spent_s += self._latest_s
        return found

    def _is_due(self, epoch: int) -> bool:
        if self._scoring.epochs:
            return epoch in self._scoring.epochs
        return self._spent_s + self._latest_s <= TIME_SHARE * (self._clock() - self._began)

    def _judged(self, rows: pa.Table) -> Mapping[str, float]:
        comparison = encode(
            self._real.training,
            self._real.holdout,
            rows,
            self._columns,
            sensitive=self._scoring.sensitive,
            seed=self._seed,
            stratified_by=self._real.stratified_by,
        )
        found = figures(comparison, self._parts, called_off=self._called_off)
        return {name: value for name, value in found.items() if "." not in name or name in self._scoring.metrics}


def _parts_of(metrics: Sequence[str]) -> frozenset[PartName]:
    """The parts that metrics are figures of."""
    if QUALITY_SCORE in metrics:
        return frozenset(PartName)
    return frozenset(PartName(metric.split(".", maxsplit=1)[0]) for metric in metrics)
