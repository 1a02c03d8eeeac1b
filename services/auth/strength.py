"""What a new password lacks: told all at once, in words.

Length counts most (NIST SP 800-63B, 3.1.1), then what guessers try first: words that everybody takes, in their usual
disguises, keys that lie in a row, and what is known of the person.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache

MIN_PASSWORD_LENGTH = 10
MAX_PASSWORD_LENGTH = 128
# From this length on a passphrase needs no mixture of characters.
PASSPHRASE_LENGTH = 20
_MIN_KINDS = 3
_MIN_DIFFERENT_CHARACTERS = 6
_MIN_NAME_LENGTH = 4  # shorter names are parts of many words
_RUN_LENGTH = 4
_MAX_JUDGED = 1024  # what is longer is too long, whatever the rest of it is
_MIN_BESIDE_RUNS = 5

# What lists of stolen passwords have at their top; a password made of nothing else is tried in the first second.
_COMMON_WORDS = frozenset((
    "abc", "access", "account", "admin", "administrator", "alpha", "amanda", "andrea", "andrew", "angel", "anthony",
    "apple", "april", "arsenal", "ashley", "august", "autumn", "azerty", "babygirl", "banana", "baseball",
    "basketball", "batman", "beautiful", "blink", "buster", "butterfly", "change", "changeme", "charlie", "cheese",
    "chelsea", "chicken", "chocolate", "computer", "cookie", "daniel", "december", "default", "demo", "donald",
    "dragon", "eminem", "english", "family", "february", "flower", "football", "forever", "freedom", "friday",
    "friends", "ginger", "google", "guest", "hannah", "happy", "harley", "hello", "hockey", "hunter", "ihateyou",
    "iloveyou", "india", "internet", "january", "jasmine", "jennifer", "jessica", "jordan", "joshua", "july",
    "june", "justin", "killer", "lakers", "letmein", "letmeinnow", "liverpool", "login", "london", "love", "lovely",
    "loveme", "lover", "lucky", "maggie", "manager", "march", "marina", "martin", "master", "matrix", "matthew",
    "me", "mercedes", "merlin", "michael", "michelle", "mirage", "monday", "money", "monica", "monkey", "mustang",
    "my", "mynoob", "naruto", "newyork", "nicole", "ninja", "november", "october", "office", "orange", "pass",
    "passphrase", "passw", "password", "passwort", "patrick", "pepper", "pokemon", "princess", "private", "purple",
    "qazwsx", "querty", "qwe", "qwer", "qwert", "qwerty", "qwertz", "rainbow", "ranger", "root", "saturday",
    "secret", "september", "service", "shadow", "slipknot", "soccer", "spiderman", "spring", "starwars", "summer",
    "sunday", "sunshine", "superman", "support", "sweet", "sweety", "system", "taylor", "temp", "test", "tester",
    "thomas", "thursday", "tigger", "trust", "trustno", "tuesday", "tweety", "user", "video", "wednesday",
    "welcome", "whatever", "winter", "word", "yankees", "you", "zaq", "zxc",
))  # fmt: skip
_DISGUISES = str.maketrans({"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"})
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm",
    "azertyuiop", "qsdfghjklm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "!@#$%^&*()",
)  # fmt: skip


def password_faults(password: str, email: str, name: str = "") -> list[str]:
    """What a new password lacks, in words; empty if it is good.

    Args:
        password: the password as it was typed.
        email: the account's address; empty if it isn't known.
        name: the name that the account shows; empty if it isn't known.
    """
    faults = []
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        faults.append(f"must have {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters, not {len(password)}")
    password = password[:_MAX_JUDGED]
    if mixture := _lacking_mixture(password):
        faults.append(mixture)
    if len(set(password)) < _MIN_DIFFERENT_CHARACTERS:
        faults.append(f"needs at least {_MIN_DIFFERENT_CHARACTERS} different characters")
    if _is_common(password):
        faults.append(
            "must not be made only of words that everybody takes, such as password or summer, even in disguise"
        )
    if _is_run(password):
        faults.append("must not be made only of keys in a row, such as qwerty or 12345")
    text = _folded(password)
    local, _, domain = email.partition("@")
    if any(part in text for part in _parts(local)):
        faults.append("must not contain the name of the e-mail address")
    if any(part in text for part in _parts(domain.rpartition(".")[0])):
        faults.append("must not contain the domain of the e-mail address")
    if any(part in text for part in _parts(name)):
        faults.append("must not contain your name")
    return faults


def _lacking_mixture(password: str) -> str:
    kinds = {
        "a lower-case letter": any(character.islower() for character in password),
        "an upper-case letter": any(character.isupper() for character in password),
        "a digit": any(character.isdigit() for character in password),
        "a symbol": any(
            not (character.islower() or character.isupper() or character.isdigit()) for character in password
        ),
    }
    present = sum(kinds.values())
    if len(password) >= PASSPHRASE_LENGTH or present >= _MIN_KINDS:
        return ""
    missing = ", ".join(kind for kind, is_there in kinds.items() if not is_there)
    return f"needs {_MIN_KINDS - present} more of: {missing} (or {PASSPHRASE_LENGTH} characters or more)"


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _parts(text: str) -> Iterable[str]:
    """The whole of a name and its parts, without those that are too short to tell."""
    whole = _folded(text).strip()
    return {part for part in (whole, *re.split(r"[\W_]+", whole)) if len(part) >= _MIN_NAME_LENGTH}


def _is_common(password: str) -> bool:
    """Whether the letters, with and without what decorates both ends, are common words and nothing else."""
    text = _folded(password)
    without_beginning = re.sub(r"^[\W\d_]+", "", text)
    spellings = {text, without_beginning} | {re.sub(r"[\W\d_]+$", "", part) for part in (text, without_beginning)}
    return any(_is_sequence_of_words(re.sub(r"[\W\d_]", "", part.translate(_DISGUISES))) for part in spellings)


def _is_sequence_of_words(letters: str) -> bool:
    if not letters or len(letters) > MAX_PASSWORD_LENGTH:
        return False
    reached = {0}  # where a sequence of words can end
    longest = max(map(len, _COMMON_WORDS))
    for end in range(1, len(letters) + 1):
        if any(start in reached and letters[start:end] in _COMMON_WORDS for start in range(max(0, end - longest), end)):
            reached.add(end)
    return len(letters) in reached


def _is_run(password: str) -> bool:
    """Whether next to nothing is left beside neighbouring keys and repeated characters."""
    text = _folded(password)[:MAX_PASSWORD_LENGTH]
    left, position = 0, 0
    while position < len(text):
        length = max(_run_at(text, position), _repeat_at(text, position))
        left += 0 if length else 1
        position += length or 1
    return left < _MIN_BESIDE_RUNS and left < len(text)


def _run_at(text: str, position: int) -> int:
    """How many characters from here on lie in a row; 0 if too few."""
    rest = text[position:]
    best = 0
    for row in _both_ways():
        start = row.find(rest[0])
        if start >= 0:
            best = max(best, len(os.path.commonprefix([rest, row[start:]])))  # noqa: RUF071 - what is wanted
    return best if best >= _RUN_LENGTH else 0


def _repeat_at(text: str, position: int) -> int:
    length = len(text) - position - len(text[position:].lstrip(text[position]))
    return length if length >= _RUN_LENGTH else 0


@cache
def _both_ways() -> Sequence[str]:
    return (*_ROWS, *(row[::-1] for row in _ROWS))
