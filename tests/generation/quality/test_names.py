"""What a report tells by which name, against what a search can seek."""

from services.generation.quality.evaluate import evaluate
from services.optimizer.search.metrics import METRICS, PARTS, Direction, direction
from tests.generation.quality.people import compared, people


def test_a_search_knows_every_figure() -> None:
    """Reports on a class and on a number tell, together, just the metrics that can be sought, in their directions."""
    training, holdout, synthetic = (people(rows, seed=rows, missing=0.05) for rows in (900, 501, 700))
    told: dict[str, Direction] = {}
    for target in ("ill", "income"):
        report = evaluate(compared(training, holdout, synthetic, target=target, sensitive=("town",)))
        for part in report.parts:
            for metric in part.metrics:
                better = Direction.MAXIMIZE if metric.higher_is_better else Direction.MINIMIZE
                told[f"{part.name}.{metric.name}"] = better
        assert {name for name, _ in report.figures()} <= METRICS
    assert told == {metric: direction(metric) for metric in METRICS - {"quality_score", *PARTS}}
