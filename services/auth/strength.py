"""What a new password lacks: told all at once, in words.

As NIST asks (SP 800-63B, 3.1.1.2): a length, no passwords that guessers try first, nothing that is known of the person,
and no rule about which kinds of characters it is made of.
"""

import re
import unicodedata
from collections.abc import Sequence

from mirage.auth.v1 import session_pb2
from mirage.options.v1 import limits_pb2
from services.auth.guessing import MIN_GUESSES, guessability

_LENGTH = session_pb2.RegisterRequest.DESCRIPTOR.fields_by_name["password"].GetOptions().Extensions[limits_pb2.limits]
_MIN_DIFFERENT_CHARACTERS = 6  # with fewer, characters withstand less than the ten guesses each that are counted
_MIN_NAME_LENGTH = 4  # shorter names are parts of many words
_MAX_JUDGED = 1024  # what is longer is too long, whatever the rest of it is
_SERVICE = "mirage"


def password_faults(password: str, email: str, name: str = "") -> list[str]:
    """What a new password lacks, in words; empty if it is good. May take tens of milliseconds.

    Args:
        password: the password as it was typed.
        email: the account's address; empty if it isn't known.
        name: the name that the account shows; empty if it isn't known.
    """
    faults = []
    least, most = _LENGTH.minimum_length, _LENGTH.maximum_length
    if not least <= len(password) <= most:
        faults.append(f"must have {least} to {most} characters, not {len(password)}")
    password = unicodedata.normalize("NFKC", password[:_MAX_JUDGED])
    if len(set(password)) < _MIN_DIFFERENT_CHARACTERS:
        faults.append(f"needs at least {_MIN_DIFFERENT_CHARACTERS} different characters")
    local, _, domain = email.partition("@")
    known = {
        "the name of the e-mail address": _parts(local),
        "the domain of the e-mail address": _parts(domain.rpartition(".")[0]),
        "your name": _parts(name),
    }
    text = password.casefold()
    for what, parts in known.items():
        if any(part in text for part in parts if len(part) >= _MIN_NAME_LENGTH):
            faults.append(f"must not contain {what}")
    words = [*(part for parts in known.values() for part in parts), _SERVICE]
    # Without its capitals, too: one of them hides that the letters of Abcdefgh lie in a row.
    for spelling in dict.fromkeys((password, text)):
        withstands = guessability(spelling, words)
        if withstands.guesses < MIN_GUESSES:
            return [*faults, f"is too easy to guess. {withstands.advice}"]  # last, since it is sentences
    return faults


def _parts(text: str) -> Sequence[str]:
    """The whole of a name and its parts."""
    whole = unicodedata.normalize("NFKC", text).casefold().strip()
    return [part for part in dict.fromkeys((whole, *re.split(r"[\W_]+", whole))) if part]
