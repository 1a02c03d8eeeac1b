"""What can be sought or capped: the quality score, its parts and their figures, and which way each is better.

This is the one place that says so. The names are those of a quality report (docs/quality.md): `quality_score`, a part
such as `privacy`, and a part's figure such as `privacy.membership_auc`.
"""

from enum import StrEnum

from services.optimizer.search.faults import nearest


class Direction(StrEnum):
    """Whether more of a metric is better, or less."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"


PARTS = ("statistical_similarity", "correlation_preservation", "ml_efficacy", "privacy")

# Figures of which less is better. An attack's or a detector's AUC is best at 0.5, where guessing is as good; below that
# it is chance, so less is never worse.
_LESS_IS_BETTER = frozenset(
    {
        "ml_efficacy.detection_auc",
        "ml_efficacy.detector_auc",
        "ml_efficacy.gap",
        "privacy.attribute_inference_advantage",
        "privacy.attribute_inference_auc",
        "privacy.closer_to_training",
        "privacy.exact_copies",
        "privacy.membership_advantage",
        "privacy.membership_auc",
    }
)

_MORE_IS_BETTER = frozenset(
    {
        "quality_score",
        *PARTS,
        "statistical_similarity.category_coverage",
        "statistical_similarity.ks_complement",
        "statistical_similarity.missing_similarity",
        "statistical_similarity.range_coverage",
        "statistical_similarity.tv_complement",
        "correlation_preservation.categorical_pairs",
        "correlation_preservation.mixed_pairs",
        "correlation_preservation.numeric_pairs",
        "correlation_preservation.three_way_marginals",
        "correlation_preservation.two_way_marginals",
        "ml_efficacy.ratio",
        "ml_efficacy.synthetic_score",
        "privacy.distance_5th_percentile",
        "privacy.nearest_neighbour_ratio",
        "privacy.new_rows",
    }
)

METRICS = _LESS_IS_BETTER | _MORE_IS_BETTER


def direction(metric: str) -> Direction:
    """Which way a metric is better.

    Raises LookupError, whose message tells the metric that was perhaps meant, if there is no such metric.
    """
    if metric in _LESS_IS_BETTER:
        return Direction.MINIMIZE
    if metric in _MORE_IS_BETTER:
        return Direction.MAXIMIZE
    raise LookupError(f"There is no such metric{nearest(metric, METRICS)}")
