"""The table of metrics against what a quality report really tells."""

import pytest

from services.generation.quality.evaluate import evaluate
from services.optimizer.search.metrics import METRICS, PARTS, Direction, direction
from tests.generation.quality.people import compared, people


@pytest.fixture(scope="module")
def reported() -> dict[str, Direction]:
    """Every metric of two reports, one with classes for a target and one with numbers, and which way it is better."""
    found: dict[str, Direction] = {}
    training, holdout, synthetic = (people(rows, seed, missing=0.05) for rows, seed in ((300, 1), (100, 2), (300, 3)))
    for target in ("ill", "income"):
        report = evaluate(compared(training, holdout, synthetic, target=target, sensitive=["town"]))
        for part in report.parts:
            for metric in part.metrics:
                way = Direction.MAXIMIZE if metric.higher_is_better else Direction.MINIMIZE
                found[f"{part.name}.{metric.name}"] = way
    return found


def test_every_reported_metric_can_be_sought(reported: dict[str, Direction]) -> None:
    """Whatever a report tells can be sought or capped, and is better the way that the report says."""
    assert {metric: direction(metric) for metric in reported} == reported


def test_nothing_else_can_be_sought(reported: dict[str, Direction]) -> None:
    """What can be sought is the quality score, its parts, and what reports tell (one of it of large tables only)."""
    assert {*reported, *PARTS, "quality_score", "privacy.near_copies"} == METRICS
