"""Which rows are kept from training, so that what was learned can be judged on rows that nobody has seen."""

import numpy as np
import numpy.typing as npt

# Under this a holdout would judge nothing and cost the training what it needs.
LEAST_ROWS = 200


def holdout_row_count(rows: int, fraction: float) -> int:
    """How many of a table's rows are held out."""
    return 0 if rows < LEAST_ROWS else round(rows * fraction)


def training_row_count(rows: int, fraction: float) -> int:
    """How many of a table's rows are trained on."""
    return rows - holdout_row_count(rows, fraction)


def held_out(rows: int, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """For each row whether it is held out; the same for the same arguments."""
    chosen = np.zeros(rows, dtype=np.bool_)
    draws = np.random.default_rng([seed, rows])
    chosen[draws.permutation(rows)[: holdout_row_count(rows, fraction)]] = True
    return chosen
