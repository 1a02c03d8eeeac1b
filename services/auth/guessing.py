"""How many guesses a password withstands, as zxcvbn estimates it, and its advice.

Source: D. Wheeler, zxcvbn: Low-Budget Password Strength Estimation, USENIX Security 2016. It looks for what guessers
try first (stolen passwords, words and names, also reversed or in disguise, keys that lie in a row, dates, sequences and
repetitions) and counts the cheapest way to compose the password of them, each other character as ten guesses.
"""

import math
from collections.abc import Iterable
from threading import Lock
from typing import Any, NamedTuple

import zxcvbn
from zxcvbn.feedback import get_feedback
from zxcvbn.matching import L33T_TABLE, relevant_l33t_subtable

MIN_GUESSES = 10**10
"""What an attacker with the stolen hash of one password shall need at least: the bound of zxcvbn's highest score. Ten
characters without any pattern just reach it."""

# zxcvbn works through all substrings (their number grows with the square of the length) in each way in which digits and
# symbols can be read as letters; a text of such symbols has hundreds. Measured: 0.8 µs for a substring and reading.
_MAX_WORK = 50_000
_LENGTHS = (72, 48, 32, 20, 14)  # 72 is the most that zxcvbn takes; 14 characters in all those readings take 20 ms

# zxcvbn keeps what is known of the person in a global dictionary.
_one_at_a_time = Lock()


class Guessability(NamedTuple):
    """How well a password withstands guessing."""

    guesses: int
    advice: str  # English sentences: what is weak about it, what would help


def guessability(password: str, known: Iterable[str]) -> Guessability:
    """Judges the first 72 characters of a password, or fewer of one that is full of symbols that stand for letters.

    May take tens of milliseconds, and waits for others who judge: not for an event loop.

    Args:
        password: of any length.
        known: words that a guesser would try for this very person, the likeliest first.
    """
    result: dict[str, Any] = {"guesses": 0, "sequence": []}
    if password:  # zxcvbn can't judge nothing
        with _one_at_a_time:
            result = zxcvbn.zxcvbn(_beginning(password), user_inputs=list(known))
    # Asked for with the lowest score: for itself it has no advice from the third of its five scores on.
    feedback = get_feedback(0, result["sequence"])
    return Guessability(int(result["guesses"]), " ".join(filter(None, (feedback["warning"], *feedback["suggestions"]))))


def _beginning(password: str) -> str:
    """As many characters as can be judged in a short time."""
    for length in _LENGTHS:
        beginning = password[:length]
        symbols_by_letter = relevant_l33t_subtable(beginning, L33T_TABLE).values()
        if len(beginning) ** 2 * math.prod(map(len, symbols_by_letter)) <= _MAX_WORK:
            break
    return beginning
