"""How much of what a model learns from real rows one learns from synthetic rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.generation.quality.parts import Floats, Reading
from services.generation.quality.ranking import areas
from services.generation.quality.report import Metric
from services.generation.quality.resampling import interval

# With less than this above what is known without a model there is nothing to keep.
LEAST_SKILL = 0.02
# A worse one is no better to know, and would drown the others on a page.
_LEAST_R2 = -1.0


@dataclass(frozen=True)
class Trial:
    """One measure of both models: `synthetic` and `real`, and `blind`, that of a model which knows no features.

    Each has its value first and then one for each resample, shape (1 + RESAMPLES,).
    """

    name: str
    description: str
    synthetic: Floats
    real: Floats
    blind: Floats
    counts: bool = True
    higher_is_better: bool = True

    def reading(self) -> Reading:
        """The metric, with the skill kept as its score: (synthetic - blind) / (real - blind), from 0 to 1.

        A skill score in the sense of Murphy 1988 ("Skill scores based on the mean square error and their relationships
        to the correlation coefficient"), here as a share of the real model's. No score where the real model itself has
        none.
        """
        sign = 1 if self.higher_is_better else -1
        skill = sign * (self.real - self.blind)
        kept = np.clip(sign * (self.synthetic - self.blind) / np.maximum(skill, LEAST_SKILL), 0.0, 1.0)
        counted = self.counts and bool(skill[0] >= LEAST_SKILL)
        metric = Metric(
            name=self.name,
            figure=interval(float(self.synthetic[0]), self.synthetic[1:], float(self.real[0])),
            score=float(kept[0]) if counted else None,
            higher_is_better=self.higher_is_better,
            description=self.description,
        )
        return Reading(metric, np.nan_to_num(kept[1:], nan=float(kept[0])), ceiling=1.0)


def of_classes(truth: Floats, shares: Sequence[Floats], commonest: int, counts: Floats) -> list[Trial]:
    """AUC, F1 and accuracy of two models.

    `truth` has shape (rows,), `shares` the likelihoods of classes by the synthetic and the real model, shape (rows,
    classes), `commonest` is the class commonest in training, `counts` the resamples, shape (1 + RESAMPLES, rows).
    """
    classes = shares[0].shape[1]
    members = (truth[:, None] == np.arange(classes)).astype(np.float64)
    synthetic, real = (_class_measures(members, share, counts) for share in shares)
    blind = _class_measures(members, np.tile(np.eye(classes)[commonest], (len(truth), 1)), counts)
    texts = {
        "auc": "How well a model trained on synthetic rows ranks real rows that the generator never saw by their class "
        "(area under the ROC curve, each class against the others, weighted by how common it is; 0.5 is chance). "
        "The ceiling is the same model trained on as many real rows.",
        "f1": "The same model's F1, the mean over the classes; the ceiling is the model trained on real rows.",
        "accuracy": "The share of real rows whose class the same model names; the ceiling is the model trained on real "
        "rows.",
    }
    return [
        Trial(name, text, synthetic[name], real[name], blind[name], counts=name != "accuracy")
        for name, text in texts.items()
    ]


def _class_measures(members: Floats, shares: Floats, counts: Floats) -> dict[str, Floats]:
    named = np.eye(members.shape[1])[shares.argmax(axis=1)]
    present = counts @ members
    right = counts @ (members * named)
    with np.errstate(invalid="ignore"):
        f1 = np.where(present > 0, 2 * right / (present + counts @ named), np.nan)
    of_class = np.stack(
        [
            areas(share, counts * is_member, counts * (1 - is_member))
            for share, is_member in zip(shares.T, members.T, strict=True)
        ],
        axis=1,
    )
    weights = np.where(np.isnan(of_class), 0.0, present)
    with np.errstate(invalid="ignore"):
        auc = (np.nan_to_num(of_class) * weights).sum(axis=1) / weights.sum(axis=1)
    return {"auc": auc, "f1": np.nanmean(f1, axis=1), "accuracy": right.sum(axis=1) / counts.sum(axis=1)}


def of_numbers(truth: Floats, foreseen: Sequence[Floats], mean: float, counts: Floats) -> list[Trial]:
    """R² and the mean absolute error of two models.

    `truth` and `foreseen`, by the synthetic and the real model, have shape (rows,), `mean` is the target's mean in
    training, `counts` the resamples, shape (1 + RESAMPLES, rows).
    """
    synthetic, real = (_number_measures(truth, each, counts) for each in foreseen)
    blind = _number_measures(truth, np.full(len(truth), mean), counts)
    return [
        Trial(
            "r2",
            "The share of the target's variance among real rows that the generator never saw which a model trained on "
            "synthetic rows explains (R²; 0 is what the mean explains, and less than -1 is told as -1). The ceiling is "
            "the same model trained on as many real rows.",
            synthetic["r2"],
            real["r2"],
            blind["r2"],
        ),
        Trial(
            "mae",
            "How far off the same model is on average, in the target's unit (mean absolute error); the ceiling is the "
            "model trained on real rows.",
            synthetic["mae"],
            real["mae"],
            blind["mae"],
            counts=False,
            higher_is_better=False,
        ),
    ]


def _number_measures(truth: Floats, foreseen: Floats, counts: Floats) -> dict[str, Floats]:
    rows = counts.sum(axis=1)
    # From its own mean: the square of a large number has no digits left for a small variance.
    centred = truth - truth.mean()
    spread = counts @ centred**2 / rows - (counts @ centred / rows) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        r2 = np.where(spread > 0, 1 - counts @ (truth - foreseen) ** 2 / rows / spread, np.nan)
    return {"r2": np.maximum(r2, _LEAST_R2), "mae": counts @ np.abs(truth - foreseen) / rows}
