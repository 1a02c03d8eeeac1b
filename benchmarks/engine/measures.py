"""What rows are worth: likeness to the source, use for prediction, and how near they keep to the rows they come of."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import NearestNeighbors

from benchmarks.engine.adult import POSITIVE, TARGET

DETECTION_ROWS = 10_000
NEAREST_ROWS = 5_000


@dataclass(frozen=True)
class Scores:
    """Of made rows, 0 to 1.

    `overall` is SDMetrics' quality report against the training rows. `auc` and `f1` are a classifier's that was trained
    on made rows, on the held-out ones. `detect` is the AUC of telling made from training rows (0.5 is ideal). `nearest`
    is the share of made rows that lie nearer to a training row than to one of equally many held-out rows (0.5 is
    ideal), `nearest_low` to `nearest_high` its 95 % interval. `copies` is the share of made rows that are in the
    training rows, `copies_held_out` the same of held-out rows.
    """

    overall: float
    auc: float
    f1: float
    detect: float
    nearest: float
    nearest_low: float
    nearest_high: float
    copies: float
    copies_held_out: float


def scores(train: pd.DataFrame, held_out: pd.DataFrame, made: pd.DataFrame) -> Scores:
    """All scores of some made rows."""
    made = made[train.columns].astype(train.dtypes.to_dict())
    auc, f1 = prediction(made, held_out)
    nearest, margin = nearest_share(train, held_out, made)
    return Scores(
        overall=overall(train, made),
        auc=auc,
        f1=f1,
        detect=detection(train, made),
        nearest=nearest,
        nearest_low=nearest - margin,
        nearest_high=nearest + margin,
        copies=copies(train, made),
        copies_held_out=copies(train, held_out),
    )


def overall(train: pd.DataFrame, made: pd.DataFrame) -> float:
    """SDMetrics' overall score."""
    from sdmetrics.reports.single_table import QualityReport

    categories = set(_categories(train))
    kinds = {name: {"sdtype": "categorical" if name in categories else "numerical"} for name in train.columns}
    report = QualityReport()
    report.generate(train, made, {"columns": kinds}, verbose=False)
    return float(report.get_score())


def prediction(train: pd.DataFrame, test: pd.DataFrame) -> tuple[float, float]:
    """AUC and F1 on `test` of gradient boosting that was trained on `train`."""
    levels = _levels(test)
    features = [name for name in test.columns if name != TARGET]
    categorical = [place for place, name in enumerate(features) if name in levels]
    answer, expected = (train[TARGET] == POSITIVE).to_numpy(), (test[TARGET] == POSITIVE).to_numpy()
    if answer.all() or not answer.any():
        return 0.5, 0.0
    model = HistGradientBoostingClassifier(
        random_state=0, max_iter=150, categorical_features=categorical, early_stopping=False
    )
    model.fit(_coded(train[features], levels), answer)
    probability = model.predict_proba(_coded(test[features], levels))[:, 1]
    return float(roc_auc_score(expected, probability)), float(f1_score(expected, probability > 0.5))


def detection(train: pd.DataFrame, made: pd.DataFrame) -> float:
    """AUC, in three folds, of gradient boosting that tells made from training rows."""
    rows = min(len(train), len(made), DETECTION_ROWS)
    both = pd.concat([train.sample(rows, random_state=0), made.sample(rows, random_state=0)], ignore_index=True)
    levels = _levels(both)
    categorical = [place for place, name in enumerate(both.columns) if name in levels]
    real = np.repeat([1, 0], rows)
    model = HistGradientBoostingClassifier(random_state=0, max_iter=60, categorical_features=categorical)
    return float(
        roc_auc_score(real, cross_val_predict(model, _coded(both, levels), real, cv=3, method="predict_proba")[:, 1])
    )


def nearest_share(train: pd.DataFrame, held_out: pd.DataFrame, made: pd.DataFrame) -> tuple[float, float]:
    """The share of made rows that are nearer to training than to held-out rows, and half its 95 % interval's width.

    Distances are Euclidean over standardised numbers and categories, a different category counting 1. The survey's
    weight fnlwgt is left out: it is nearly unique and would hide how near people are.
    """
    names = [name for name in train.columns if name != "fnlwgt"]
    whole = pd.concat([train, held_out])[names]
    equally_many = train.sample(len(held_out), random_state=1)
    sample = _points(made[names].sample(min(NEAREST_ROWS, len(made)), random_state=0), whole)
    to_train = _distances(_points(equally_many[names], whole), sample)
    to_held_out = _distances(_points(held_out[names], whole), sample)
    nearer = (to_train < to_held_out) + 0.5 * (to_train == to_held_out)
    return float(nearer.mean()), 1.96 * math.sqrt(float(nearer.var()) / len(nearer))


def copies(train: pd.DataFrame, rows: pd.DataFrame) -> float:
    """The share of rows that are one of the training rows in every cell."""
    known = set(map(tuple, train.astype(str).to_numpy()))
    return float(np.mean([row in known for row in map(tuple, rows.astype(str).to_numpy())]))


def _categories(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]


def _levels(table: pd.DataFrame) -> dict[str, list[str]]:
    return {name: sorted(table[name].unique()) for name in _categories(table)}


def _coded(table: pd.DataFrame, levels: dict[str, list[str]]) -> NDArray[np.float64]:
    """Categories as codes; one that isn't among the levels is missing."""
    coded = table.copy()
    for name in coded.columns:
        if name in levels:
            codes = pd.Categorical(coded[name], categories=levels[name]).codes.astype(float)
            coded[name] = np.where(codes < 0, np.nan, codes)
    return np.asarray(coded.to_numpy(float), dtype=np.float64)


def _points(table: pd.DataFrame, whole: pd.DataFrame) -> NDArray[np.float64]:
    parts: list[NDArray[np.float64]] = []
    for name in whole.columns:
        if pd.api.types.is_numeric_dtype(whole[name]):
            parts.append(((table[name] - whole[name].mean()) / whole[name].std()).to_numpy(float)[:, None])
        else:
            levels = np.array(sorted(whole[name].unique()))
            parts.append((table[name].to_numpy()[:, None] == levels) * math.sqrt(0.5))
    joined: NDArray[np.float64] = np.concatenate(parts, axis=1)
    return joined


def _distances(reference: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    distances, _ = NearestNeighbors(n_neighbors=1).fit(reference).kneighbors(rows)
    return np.asarray(distances[:, 0], dtype=np.float64)
