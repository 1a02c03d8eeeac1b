"""How the page words its figures."""

from services.generation.quality.report import Figure, PartName

PART_TITLES = {
    PartName.STATISTICAL_SIMILARITY: "Statistical similarity",
    PartName.CORRELATION_PRESERVATION: "Correlation preservation",
    PartName.ML_EFFICACY: "Usefulness for machine learning",
    PartName.PRIVACY: "Privacy",
}
PART_QUESTIONS = {
    PartName.STATISTICAL_SIMILARITY: "Does each column by itself look like the real one?",
    PartName.CORRELATION_PRESERVATION: "Do columns hang together as they do in the real table?",
    PartName.ML_EFFICACY: "Does a model that learned from synthetic rows work on real ones?",
    PartName.PRIVACY: "Does the table tell anything of the people it was learned from?",
}
VERDICTS = {"good": "Good", "fair": "Fair", "poor": "Poor", "unknown": "Not measured"}

_AS_WRITTEN = {"ks": "KS", "auc": "AUC", "mae": "MAE", "r2": "R²", "p5": "(5th percentile)"}


def number(value: float | None) -> str:
    """A figure with as many digits as mean something."""
    if value is None:
        return "–"
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{value:.3f}"
    return f"{value:.3g}"


def interval(figure: Figure) -> str:
    """A figure's 95 % interval."""
    if figure.low is None or figure.high is None:
        return "–"
    return f"{number(figure.low)} to {number(figure.high)}"


def count(value: int) -> str:
    """A number of rows."""
    return f"{value:,}"


def metric_title(name: str) -> str:
    """A metric's name as a title."""
    words = [_AS_WRITTEN.get(word, word) for word in name.split("_")]
    title = " ".join(words)
    return title[0].upper() + title[1:]
