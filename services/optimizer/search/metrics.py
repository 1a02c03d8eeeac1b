"""What can be sought or capped: the quality score, its parts and their figures, and which way each is better.

This is the one place that says so. The names are those of a quality report (docs/quality.md): `quality_score`, a part
such as `privacy`, and a part's figure such as `privacy.membership_auc`.
"""

from collections.abc import Mapping
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
        "ml_efficacy.mae",
        "privacy.attribute_guesses",
        "privacy.attribute_inference",
        "privacy.closer_to_training",
        "privacy.exact_copies",
        "privacy.membership_auc",
        "privacy.membership_density_auc",
        "privacy.near_copies",
        "privacy.unique_copies",
    }
)

_MORE_IS_BETTER = frozenset(
    {
        "quality_score",
        *PARTS,
        "correlation_preservation.contingency_similarity",
        "correlation_preservation.correlation_similarity",
        "correlation_preservation.mixed_similarity",
        "correlation_preservation.rank_correlation_similarity",
        "correlation_preservation.three_way_marginals",
        "correlation_preservation.two_way_marginals",
        "ml_efficacy.accuracy",
        "ml_efficacy.auc",
        "ml_efficacy.f1",
        "ml_efficacy.r2",
        "privacy.distance_p5",
        "privacy.nearest_neighbour_ratio",
        "privacy.new_rows",
        "statistical_similarity.category_coverage",
        "statistical_similarity.ks_complement",
        "statistical_similarity.missing_similarity",
        "statistical_similarity.range_coverage",
        "statistical_similarity.total_variation_complement",
    }
)

METRICS = _LESS_IS_BETTER | _MORE_IS_BETTER

# Of figures that aren't shares, from 0 to 1, the least and the most that they can be; None where there is no such end.
_RANGES: Mapping[str, tuple[float | None, float | None]] = {
    "ml_efficacy.mae": (0.0, None),
    "ml_efficacy.r2": (-1.0, 1.0),
    "privacy.attribute_inference": (None, None),
}


def direction(metric: str) -> Direction:
    """Which way a metric is better.

    Raises LookupError, whose message tells the metric that was perhaps meant, if there is no such metric.
    """
    if metric in _LESS_IS_BETTER:
        return Direction.MINIMIZE
    if metric in _MORE_IS_BETTER:
        return Direction.MAXIMIZE
    raise LookupError(_unknown(metric))


def reach(metric: str) -> tuple[float | None, float | None]:
    """The least and the most that a metric can be; None where there is no such end."""
    return _RANGES.get(metric, (0.0, 1.0))


def _unknown(metric: str) -> str:
    """What is said of a metric that there isn't: short, since a request may name several."""
    part = metric.partition(".")[0]
    if part in PARTS:
        return f"There is no such metric{nearest(metric, [name for name in METRICS if name.startswith(part)])}"
    whole = f"There is no such metric{nearest(metric, [name for name in METRICS if '.' not in name])}"
    return f"{whole}, and the figures of a part, such as privacy.membership_auc"
