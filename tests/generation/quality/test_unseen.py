"""Rows given as never seen that are among those trained on."""

import numpy as np
import pytest

from services.generation.quality.tables import Table
from services.generation.quality.unseen import share_seen
from tests.generation.quality.people import people, together

TRAINING = people(1_000, seed=1)


@pytest.mark.parametrize(("known", "share"), [(0, 0.0), (2, 0.0), (30, 0.3), (100, 1.0)])
def test_rows_that_were_trained_on_are_found(known: int, share: float) -> None:
    """Of 100 rows of the training table's kind those that are in it are found, unless they are next to none."""
    holdout = together(TRAINING.take(np.arange(known)), people(100 - known, seed=2))
    assert share_seen(TRAINING, holdout) == pytest.approx(share)


@pytest.mark.parametrize("columns", [(4,), (3, 4), (0, 3, 4), (0, 3)])
def test_few_columns_repeat_themselves(columns: tuple[int, ...]) -> None:
    """Other rows of a table with few columns often equal one that was seen once, and aren't blamed for it."""
    training, holdout = (
        Table(tuple(table.columns[place] for place in columns), tuple(table.values[place] for place in columns))
        for table in (TRAINING, people(400, seed=3))
    )
    assert share_seen(training, holdout) == 0
    assert share_seen(training, holdout.take(np.arange(20))) == 0


def test_rows_that_all_come_twice() -> None:
    """Where everybody has two rows, rows held out often have their like among those trained on."""
    twice = together(TRAINING, TRAINING).take(np.random.default_rng(0).permutation(2_000))
    assert share_seen(twice.take(np.arange(200, 2_000)), twice.take(np.arange(200))) == 0


def test_no_rows() -> None:
    """Without rows nothing is seen."""
    none = TRAINING.take(np.arange(0))
    assert share_seen(TRAINING, none) == share_seen(none, TRAINING) == 0
