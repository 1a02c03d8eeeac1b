"""What the kinds of personal data have in common, and when two values of a kind are the same."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final

from servicekit.personal_data import PersonalKind

DEFAULT_LOCALE: Final = "en_US"
"""Of values whose language nobody knows."""


NAMES: Final = frozenset({PersonalKind.FULL_NAME, PersonalKind.FIRST_NAME, PersonalKind.LAST_NAME})
PLACES: Final = frozenset(
    {PersonalKind.POSTAL_ADDRESS, PersonalKind.STREET_ADDRESS, PersonalKind.CITY, PersonalKind.POSTCODE}
)
# Kinds of which two people seldom have the same value.
TELLING: Final = frozenset(
    {
        PersonalKind.EMAIL,
        PersonalKind.PHONE_NUMBER,
        PersonalKind.IBAN,
        PersonalKind.CARD_NUMBER,
        PersonalKind.NATIONAL_ID,
    }
)
# Kinds whose values can be nothing but digits, so that a column of numbers can hold them.
NUMBERS: Final = frozenset(
    {PersonalKind.PHONE_NUMBER, PersonalKind.POSTCODE, PersonalKind.CARD_NUMBER, PersonalKind.NATIONAL_ID}
)

_TITLES: Final = "mr mrs ms miss dr prof m mme mlle herr frau ing dipl sr sra srta d sig dott sir lady"
_TITLE_WORDS: Final = frozenset(_TITLES.split())
_PUNCTUATION = re.compile(r"[\W_]+")
_NO_DIGITS = re.compile(r"\D+")
_EXTENSION = re.compile(r"(?:x|ext\.?|#)\s*(\d+)\s*$", re.IGNORECASE)
# Digits of a telephone number that tell it from others of its country, whether or not the country's code is there.
_TELLING_DIGITS = 9


def _words(value: str) -> str:
    """Without case, accents and signs."""
    if value.isascii():
        return _PUNCTUATION.sub(" ", value.casefold()).strip()
    # A Turkish ı has the capital I, so that in capitals it can't be told from an i.
    plain = unicodedata.normalize("NFKD", value.casefold()).replace("ı", "i")
    return _PUNCTUATION.sub(" ", "".join(mark for mark in plain if not unicodedata.combining(mark))).strip()


def _one_name(value: str) -> str:
    """A name in one word: `Hans-Jörg` is `Hansjörg`."""
    return _words(value).replace(" ", "")


def _name(value: str) -> str:
    """The words of a name without titles, in an order of their own: `Meyer, Dr. Anna` is `Anna Meyer`."""
    words = _words(value).split()
    return " ".join(sorted(word for word in words if word not in _TITLE_WORDS) or words)


def _characters(value: str) -> str:
    return _PUNCTUATION.sub("", value).upper().lstrip("0")


def _phone(value: str) -> str:
    extension = _EXTENSION.search(value)
    main = value[: extension.start()] if extension else value
    digits = _NO_DIGITS.sub("", main)[-_TELLING_DIGITS:].lstrip("0")
    return f"{digits}x{extension[1]}" if extension else digits


def _address(value: str) -> str:
    if ":" not in value:
        return value.strip()
    try:
        return str(ip_address(value.strip()))
    except ValueError:
        return value.strip().casefold()


NORMAL: Final[Mapping[PersonalKind, Callable[[str], str]]] = {
    PersonalKind.EMAIL: lambda value: value.strip().casefold(),
    PersonalKind.PHONE_NUMBER: _phone,
    PersonalKind.FULL_NAME: _name,
    PersonalKind.FIRST_NAME: _one_name,
    PersonalKind.LAST_NAME: _one_name,
    PersonalKind.POSTAL_ADDRESS: _words,
    PersonalKind.STREET_ADDRESS: _words,
    PersonalKind.CITY: _words,
    PersonalKind.POSTCODE: _characters,
    PersonalKind.IBAN: _characters,
    PersonalKind.CARD_NUMBER: _characters,
    PersonalKind.IP_ADDRESS: _address,
    PersonalKind.NATIONAL_ID: _characters,
}
"""Brings a value into the form in which it equals every other way to write it."""
