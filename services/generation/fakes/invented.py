"""Words that nobody chose: what is left when every known name is taken."""

from typing import Final

import numpy as np

_ONSETS: Final = np.array([*"bdfghjklmnprstvw", "br", "dr", "gr", "kl", "st", "tr"])
_VOWELS: Final = np.array(list("aeiou"))
_CODAS: Final = np.array(["", "", "l", "n", "r", "s"])


def invented_words(count: int, syllables: int, draws: np.random.Generator) -> list[str]:
    """So many words of so many syllables, with a capital at the beginning."""
    words = np.full(count, "", dtype=object)
    for _ in range(syllables):
        for sounds in (_ONSETS, _VOWELS):
            words = words + sounds[draws.integers(len(sounds), size=count)].astype(object)
    words = words + _CODAS[draws.integers(len(_CODAS), size=count)].astype(object)
    return [str(word).capitalize() for word in words]


def digits(count: int, length: int, draws: np.random.Generator) -> list[str]:
    """So many strings of so many digits."""
    return _characters(count, length, "09", draws)


def letters(count: int, length: int, draws: np.random.Generator) -> list[str]:
    """So many strings of so many capital letters."""
    return _characters(count, length, "AZ", draws)


def _characters(count: int, length: int, ends: str, draws: np.random.Generator) -> list[str]:
    if length <= 0:
        return [""] * count
    drawn = draws.integers(ord(ends[0]), ord(ends[1]) + 1, size=(count, length), dtype=np.uint8)
    whole = drawn.tobytes().decode("ascii")
    return [whole[start : start + length] for start in range(0, count * length, length)]
