"""Scores while a model is fitted: when, by what, and that they change nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from services.generation.engines.protocol import Failure
from services.generation.quality.report import PartName
from services.generation.training.runner import TrainingRunner
from services.generation.training.scoring import LIKELY_S, SCORED_ROWS, TIME_SHARE, RealRows, Scorer
from services.generation.training.spec import Scoring
from tests.generation.tables.sources import small_table
from tests.generation.training.conftest import SpecMaker
from tests.generation.training.test_pace import Clock
from tests.generation.training.test_runner import Heard, no_child_left

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("training")]


def scored(heard: Heard) -> list[tuple[int, Mapping[str, float]]]:
    """The epochs after which scores were told, each with them."""
    return [(progress.epoch, progress.scores) for progress in heard.progress if progress.scores]


async def test_scores_at_epochs_that_are_named(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """Scores come after exactly the named epochs, with what is wanted and the parts; model and rows stay the same."""
    wanted = Scoring(epochs=(1, 3, 50), metrics=("correlation_preservation", "statistical_similarity.ks_complement"))
    heard, unheard = Heard(), Heard()
    with_scores = await runner.train(spec_of("autoregressive", scoring=wanted), heard)
    without = await runner.train(spec_of("autoregressive"), unheard)
    assert [epoch for epoch, _ in scored(heard)] == [1, 3]
    names = {"correlation_preservation", "statistical_similarity", "statistical_similarity.ks_complement"}
    assert {frozenset(scores) for _, scores in scored(heard)} == {frozenset(names)}
    assert all(0 < value <= 1 for _, scores in scored(heard) for value in scores.values())
    assert scored(unheard) == []
    assert (with_scores.table_sha256, with_scores.model_sha256) == (without.table_sha256, without.model_sha256)
    again = Heard()
    await runner.train(spec_of("autoregressive", scoring=wanted), again)
    assert scored(again) == scored(heard), "the same seed gives the same scores"


async def test_engines_that_score_nothing(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """Where the engine draws no rows on the way, the training is as ever."""
    heard = Heard()
    await runner.train(spec_of("ctgan", scoring=Scoring(epochs=(1,), metrics=("quality_score",))), heard)
    assert scored(heard) == []


async def test_called_off_while_it_scores(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """A training that scores after each epoch ends within two seconds of being called off."""
    every = Scoring(epochs=tuple(range(1, 10_001)), metrics=("quality_score",))
    heard = Heard()
    endless = {"epochs": 10_000, "patience": 10_000}
    work = asyncio.create_task(runner.train(spec_of("autoregressive", parameters=endless, scoring=every), heard))
    async with asyncio.timeout(60):
        while not scored(heard):  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.01)
    work.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await work
    await no_child_left()
    assert set(scored(heard)[0][1]) == {"quality_score", *PartName}


class Judged:
    """Makes rows of a small table for a scorer, and takes its time."""

    def __init__(self, clock: Clock, scoring: Scoring, takes_s: float = 0.0, error: Exception | None = None) -> None:
        self.table, columns = small_table()
        self.broken: list[Exception] = []
        self._clock, self._takes_s, self._error = clock, takes_s, error
        held_out = np.zeros(len(self.table), dtype=np.bool_)
        held_out[:60] = True
        real = RealRows.drawn(self.table, columns, held_out, seed=3)
        self.scorer = Scorer(scoring, real, columns, 3, lambda: False, self.broken.append, clock)

    def __call__(self, rows: int, seed: int) -> pa.Table:
        """The table itself, as if it had been drawn."""
        assert rows == SCORED_ROWS
        self._clock.now += self._takes_s
        if self._error is not None:
            raise self._error
        return self.table

    def after(self, epochs: Sequence[int], epoch_s: float) -> list[int]:
        """After which of these epochs there are scores."""
        told = []
        for epoch in epochs:
            self._clock.now += epoch_s
            if self.scorer.scores(epoch, self):
                told.append(epoch)
        return told


NOW_AND_THEN = Scoring(metrics=("statistical_similarity",))


async def test_now_and_then_costs_next_to_nothing() -> None:
    """Without named epochs scoring keeps to its share of the time, whatever it takes."""
    clock = Clock()
    begun = clock.now
    takes_s = 3 * LIKELY_S
    told = Judged(clock, NOW_AND_THEN, takes_s).after(range(1, 1001), epoch_s=1.0)
    assert len(told) >= 5
    assert told[0] >= LIKELY_S / TIME_SHARE
    assert len(told) * takes_s <= (clock.now - begun) * TIME_SHARE + takes_s


@pytest.mark.parametrize(
    ("error", "told"), [(Failure("TABLE_NOT_COMPARABLE", "Nothing."), 0), (ValueError("a bug"), 1)]
)
async def test_what_goes_wrong_costs_nobody_the_training(error: Exception, told: int) -> None:
    """A table that can't be judged ends the scoring; so does an error nobody foresaw, which is told, once."""
    judged = Judged(Clock(), Scoring(epochs=(1, 2), metrics=("privacy",)), error=error)
    assert judged.after([1, 2], epoch_s=1.0) == []
    assert judged.broken == [error] * told


async def test_a_small_sample_of_a_large_table() -> None:
    """Of more rows than are compared so many are taken, the same for the same seed, of each kind its own."""
    table = pa.table({"row": np.arange(5_000)})
    held_out = np.arange(5_000) % 4 == 0

    def drawn(seed: int) -> Any:
        return RealRows.drawn(table, (), held_out, seed)

    real = drawn(1)
    assert (len(real.training), len(real.holdout)) == (SCORED_ROWS, SCORED_ROWS)
    assert all(row % 4 for row in real.training["row"].to_pylist())
    assert not any(row % 4 for row in real.holdout["row"].to_pylist())
    assert drawn(1) == real
    assert drawn(2).training != real.training
