"""Which rows are held out."""

import numpy as np
import pytest

from services.generation.tables.holdout import held_out, holdout_row_count, training_row_count


@pytest.mark.parametrize(
    ("rows", "fraction", "count"), [(199, 0.5, 0), (200, 0.1, 20), (1000, 0.0, 0), (1001, 0.5, 500)]
)
def test_counts(rows: int, fraction: float, count: int) -> None:
    """A share of the rows is held out, none of a small table."""
    assert holdout_row_count(rows, fraction) == count == held_out(rows, fraction, 1).sum()
    assert training_row_count(rows, fraction) == rows - count


def test_seed_decides() -> None:
    """The same seed holds out the same rows, another seed others."""
    assert np.array_equal(held_out(500, 0.2, 1), held_out(500, 0.2, 1))
    assert not np.array_equal(held_out(500, 0.2, 1), held_out(500, 0.2, 2))
