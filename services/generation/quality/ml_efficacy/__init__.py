"""How useful synthetic rows are to learn from: models trained on them, tested on real rows."""

from services.generation.quality.ml_efficacy.part import measure

__all__ = ["measure"]
