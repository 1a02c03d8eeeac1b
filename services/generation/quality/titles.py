"""Parts and metrics as people call them."""

from services.generation.quality.report import PartName

PART_TITLES = {
    PartName.STATISTICAL_SIMILARITY: "Statistical similarity",
    PartName.CORRELATION_PRESERVATION: "Correlation preservation",
    PartName.ML_EFFICACY: "Usefulness for machine learning",
    PartName.PRIVACY: "Privacy",
}

_AS_WRITTEN = {"ks": "KS", "auc": "AUC", "mae": "MAE", "r2": "R²", "p5": "(5th percentile)"}
_TOGETHER = {"two_way": "two-way", "three_way": "three-way", "nearest_neighbour": "nearest-neighbour"}


def metric_title(name: str) -> str:
    """A metric's name as a title."""
    for apart, joined in _TOGETHER.items():
        name = name.replace(apart, joined)
    title = " ".join(_AS_WRITTEN.get(word, word) for word in name.split("_"))
    return title[0].upper() + title[1:]
