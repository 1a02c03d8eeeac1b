"""How much synthetic rows give away of the people whose rows were trained on."""

from services.generation.quality.privacy.part import measure

__all__ = ["measure"]
