"""Gradient boosting, on whatever rows there are."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from services.generation.quality.parts import Floats

# Both run in one thread: with so few rows, threads wait for one another longer than they work, and where the processors
# are busy with other jobs they wait a hundred times as long.

# Trees a class; of several classes each has its own, so there are fewer.
MOST_TREES = 100
LEAST_TREES = 30
MOST_LEAVES = 15
LEARNING_RATE = 0.1

Categorical = npt.NDArray[np.bool_]


def class_shares(
    rows: Floats, classes: Floats, asked: Floats, categorical: Categorical, count: int, seed: int
) -> Floats:
    """How likely each of `asked` is of each class, shape (asked, count), by a model of `rows` with their `classes`.

    Where there are rows of one class only, it is that class; where there are none, every class is as likely.
    """
    seen = np.unique(classes).astype(np.int64)
    likely = np.zeros((len(asked), count))
    if len(seen) == 0:
        return np.full_like(likely, 1 / count)
    if len(seen) == 1:
        likely[:, seen] = 1.0
        return likely
    trees = max(LEAST_TREES, 2 * MOST_TREES // len(seen))
    model = HistGradientBoostingClassifier(max_iter=min(trees, MOST_TREES), **_boosting(rows, categorical, seed))
    rows, asked = _with_something_known(rows, asked)
    with threadpool_limits(1, "openmp"):
        likely[:, seen] = model.fit(rows, classes).predict_proba(asked)
    return likely


def numbers(rows: Floats, values: Floats, asked: Floats, categorical: Categorical, seed: int) -> Floats:
    """The number foreseen for each of `asked`, shape (asked,), by a model of `rows` with their `values`.

    Where there are no rows it is zero for all.
    """
    if len(values) == 0:
        return np.zeros(len(asked))
    model = HistGradientBoostingRegressor(max_iter=MOST_TREES, **_boosting(rows, categorical, seed))
    rows, asked = _with_something_known(rows, asked)
    with threadpool_limits(1, "openmp"):
        foreseen: Floats = model.fit(rows, values).predict(asked)
    return foreseen


def _with_something_known(rows: Floats, asked: Floats) -> tuple[Floats, Floats]:
    """The same with nought in columns that hold no value at all to learn from, which scikit-learn can't bin."""
    unknown = np.isnan(rows).all(axis=0)
    return np.where(unknown, 0.0, rows), np.where(unknown, 0.0, asked)


def _boosting(rows: Floats, categorical: Categorical, seed: int) -> dict[str, Any]:
    """What every boosted model is made with, but for the number of its trees."""
    return {
        "learning_rate": LEARNING_RATE,
        "max_leaf_nodes": MOST_LEAVES,
        "min_samples_leaf": _least_of_leaf(rows),
        "categorical_features": categorical,
        "early_stopping": False,
        "random_state": seed,
    }


def _least_of_leaf(rows: Floats) -> int:
    """scikit-learn's 20, or fewer where that would leave no split."""
    return max(2, min(20, len(rows) // 20))
