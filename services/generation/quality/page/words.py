"""How the page words its figures."""

from services.generation.quality.report import Figure, PartName

PART_QUESTIONS = {
    PartName.STATISTICAL_SIMILARITY: "Does each column by itself look like the real one?",
    PartName.CORRELATION_PRESERVATION: "Do columns hang together as they do in the real table?",
    PartName.ML_EFFICACY: "Does a model that learned from synthetic rows work on real ones?",
    PartName.PRIVACY: "Does the table tell anything of the people it was learned from?",
}
VERDICTS = {"good": "Good", "fair": "Fair", "poor": "Poor", "unknown": "Unknown"}

# Numbers from here on are told by their powers of ten.
_LARGE = 1e9


def number(value: float | None) -> str:
    """A figure with as many digits as mean something."""
    if value is None:
        return "–"
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{value:.3f}"
    if 1000 <= abs(value) < _LARGE:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def interval(figure: Figure) -> str:
    """A figure's 95 % interval."""
    if figure.low is None or figure.high is None:
        return "–"
    return f"{number(figure.low)} to {number(figure.high)}"


def count(value: int) -> str:
    """A number of rows."""
    return f"{value:,}"
