"""How sure a scan is of what it has found. The formula and its reasons stand in docs/personal-data.md."""

from dataclasses import dataclass

IN_FORCE_FROM = 0.5
"""A finding less sure than this is none."""


@dataclass(frozen=True)
class Test:
    """How well matching values tell a kind.

    Attributes:
        strength: how sure one can be if every value matches, 0 to 1.
        chance: the share of values of other kinds, though alike, that match by chance.
        enough: the share, beyond chance, of matching values from which on more of them say no more.
    """

    strength: float
    chance: float = 0.0
    enough: float = 0.9


def value_confidence(test: Test, matching: int, examined: int) -> float:
    """What the values alone say: the strength, by the share beyond chance, by how unlikely chance is."""
    if not matching:
        return 0.0
    beyond = max(0.0, (matching / examined - test.chance) / (1 - test.chance))
    return test.strength * min(1.0, beyond / test.enough) * float(1 - test.chance**matching)


def combined(*confidences: float) -> float:
    """Independent evidence together: the chance that not all of it misleads."""
    doubt = 1.0
    for confidence in confidences:
        doubt *= 1 - confidence
    return 1 - doubt
