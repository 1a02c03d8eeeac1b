"""The area under the ROC curve against scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from services.generation.quality.ranking import area, areas


@pytest.mark.parametrize("values", [3, 40, 10_000])
def test_area_is_scikit_learns(values: int) -> None:
    """With few or many ties, for one sample and for resamples given by how often each row is in them."""
    draws = np.random.default_rng(values)
    scores = draws.integers(0, values, 300) / values
    positive = (draws.random(300) < 0.3).astype(np.float64)
    weights = draws.integers(0, 4, (5, 300)).astype(np.float64)

    assert area(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    expected = [roc_auc_score(positive, scores, sample_weight=weight) for weight in weights]
    assert areas(scores, weights * positive, weights * (1 - positive)) == pytest.approx(expected)


def test_area_needs_both() -> None:
    """Without positives or negatives there is no area."""
    assert np.isnan(area(np.arange(4.0), np.ones(4)))
