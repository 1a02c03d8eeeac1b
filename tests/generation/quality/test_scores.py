"""What metrics of many columns tell of each."""

import numpy as np

from services.generation.quality.parts import RESAMPLES
from services.generation.quality.scores import MOST_DETAILS, Similarity, metric_of


def similarities(count: int) -> list[Similarity]:
    """Columns, each a little more alike than the one before."""
    return [
        Similarity((f"c{number}",), number / count, np.full(RESAMPLES, number / count), 1.0) for number in range(count)
    ]


def test_the_worst_of_many_columns_are_told() -> None:
    """Of more columns than are told one by one it is said how many there are; of fewer nothing is."""
    many = metric_of("ks_complement", "How alike.", similarities(MOST_DETAILS + 200), 1.0).metric
    assert len(many.details) == MOST_DETAILS
    assert many.details[-1].columns == (f"c{MOST_DETAILS - 1}",)
    assert many.description == "How alike. Of 1,200 the 1,000 furthest below their ceilings are told one by one."
    assert metric_of("ks_complement", "How alike.", similarities(9), 1.0).metric.description == "How alike."
