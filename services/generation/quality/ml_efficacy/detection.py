"""Whether a model can tell synthetic rows from real ones."""

import numpy as np
from sklearn.model_selection import StratifiedKFold

from services.generation.quality.ml_efficacy.features import features
from services.generation.quality.ml_efficacy.models import class_shares
from services.generation.quality.parts import CalledOff, Floats, check
from services.generation.quality.ranking import area, areas
from services.generation.quality.report import Metric
from services.generation.quality.resampling import counts, drawn, draws, interval
from services.generation.quality.tables import Comparison, Table

FOLDS = 3
MOST_ROWS = 4_000
LEAST_ROWS = 30
_BLIND = 0.5
_PURPOSE = 21


def detection(comparison: Comparison, called_off: CalledOff) -> Metric | None:
    """The AUC of a model that tells synthetic rows from real ones, cross-validated; None with too few rows.

    A classifier two-sample test (Lopez-Paz & Oquab 2017, section 3), by AUC rather than accuracy. The real rows are
    those that the generator never saw where there are enough of them: rows copied from training would stand on both
    sides.
    """
    generator = draws(comparison.seed, _PURPOSE)
    unseen = comparison.holdout if comparison.holdout is not None and len(comparison.holdout) >= LEAST_ROWS else None
    real = comparison.training if unseen is None else unseen
    rows = min(MOST_ROWS, len(real), len(comparison.synthetic))
    if rows < LEAST_ROWS or not real.columns:
        return None
    real = drawn(real, rows, generator)
    synthetic = drawn(comparison.synthetic, rows, generator)
    value, replicates = _auc(comparison.training, real, synthetic, generator, called_off)
    ceiling = None
    if unseen is not None and len(comparison.training) >= LEAST_ROWS:
        trained_on = drawn(comparison.training, rows, generator)
        ceiling = max(_BLIND, _auc(comparison.training, real, trained_on, generator, called_off)[0])
    return Metric(
        name="detection_auc",
        figure=interval(max(_BLIND, value), np.maximum(replicates, _BLIND), ceiling),
        higher_is_better=False,
        description=(
            "How well a model tells synthetic rows from real ones (area under the ROC curve, cross-validated): at 0.5 "
            "it can't, at 1 it always can. Less is chance or comes of copies, and is told as 0.5."
        ),
    )


def _auc(
    reference: Table, real: Table, other: Table, generator: np.random.Generator, called_off: CalledOff
) -> tuple[float, Floats]:
    known = features(reference, (real, other))
    rows = np.concatenate(known.tables)
    is_other = np.repeat([0.0, 1.0], [len(real), len(other)])
    suspicion = np.empty(len(rows))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=int(generator.integers(2**31)))
    for number, (learned, asked) in enumerate(folds.split(rows, is_other)):
        check(called_off)
        shares = class_shares(rows[learned], is_other[learned], rows[asked], known.categorical, 2, seed=number)
        suspicion[asked] = shares[:, 1]
    drawn_anew = counts(len(rows), generator)
    replicates = areas(suspicion, drawn_anew * is_other, drawn_anew * (1 - is_other))
    return area(suspicion, is_other), replicates
