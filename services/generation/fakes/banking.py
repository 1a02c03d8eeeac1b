"""IBANs and card numbers that pass their checks and belong to nobody."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

import numpy as np

from services.generation.fakes.invented import digits, letters
from services.generation.fakes.locales import country, known, nearest, unseeded
from services.generation.fakes.plan import FakeColumn
from services.generation.fakes.settling import Places, Write
from services.generation.fakes.styles import MARK, laid_out

_VALUES: Final = {mark: value for value, mark in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")}
MOST_CHARACTERS: Final = 34
_LOCALE_OF: Final = {"DE": "de_DE", "GB": "en_GB", "AT": "de_AT", "CH": "de_CH", "BE": "nl_BE", "DK": "da_DK"}

# The first digits of numbers that card networks and payment services publish for tests, by first digit and length.
_TEST_PREFIXES: Final[Mapping[tuple[str, int], tuple[str, ...]]] = {
    ("4", 13): ("422222",),
    ("4", 16): ("411111", "424242", "400000"),
    ("4", 19): ("411111", "424242", "400000"),
    ("5", 16): ("555555", "510510"),
    ("2", 16): ("222300", "222100"),
    ("6", 16): ("601111", "601100"),
    ("6", 19): ("601111", "601100"),
    ("3", 14): ("305693", "385200"),
    ("3", 15): ("378282", "371449"),
    ("3", 16): ("353011", "356600"),
}


def ibans(column: FakeColumn, draws: np.random.Generator) -> Write:
    """Makes IBANs of the countries that the column has, else of its locale's, with every national check digit.

    Their bank codes are outside those that banks are given in DE, ES, FR, GB and IT.
    """
    home = country(column.locale)
    heads = {pattern.head for pattern in column.style.patterns if pattern.head.isalpha()}

    def write(places: Places, _attempt: int) -> list[str]:
        written = []
        count = len(places)
        patterns = column.style.drawn(count, draws)
        characters = digits(count, MOST_CHARACTERS, draws), letters(count, MOST_CHARACTERS, draws)
        for pattern, numerals, alphas in zip(patterns, *characters, strict=True):
            land = pattern.head if pattern is not None and pattern.head in heads else home
            if land not in _NATIONAL and not _format_of(land):
                land = "GB"
            bban = _NATIONAL[land](numerals, alphas) if land in _NATIONAL else _other(land, numerals, alphas)
            number = f"{land}{98 - _remainder(bban + land + '00'):02d}{bban}"
            fits = pattern is not None and pattern.marks.count(MARK) == len(number)
            written.append(laid_out(pattern.marks, number) if pattern is not None and fits else number)
        return written

    return write


def _remainder(text: str) -> int:
    """ISO 7064 MOD 97-10: letters count from 10 to 35."""
    return int("".join(str(_VALUES[mark]) for mark in text)) % 97


def _german(numerals: str, _alphas: str) -> str:
    # Bank codes begin with the clearing area, 1 to 8.
    return f"9{numerals[:17]}"


def _british(numerals: str, alphas: str) -> str:
    return f"ZZ{alphas[:2]}{numerals[:14]}"


def _french(numerals: str, _alphas: str) -> str:
    bank, branch, number = f"99{numerals[:3]}", numerals[3:8], numerals[8:19]
    key = 97 - (89 * int(bank) + 15 * int(branch) + 3 * int(number)) % 97
    return f"{bank}{branch}{number}{key:02d}"


def _spanish(numerals: str, _alphas: str) -> str:
    bank, number = f"8{numerals[:7]}", numerals[7:17]
    return f"{bank}{_spanish_check(bank)}{_spanish_check(number)}{number}"


def _spanish_check(number: str) -> str:
    total = sum(weight * int(digit) for weight, digit in zip(_SPANISH_WEIGHTS, number.zfill(10), strict=True))
    check = 11 - total % 11
    return str({10: 1, 11: 0}.get(check, check))


def _italian(numerals: str, _alphas: str) -> str:
    number = f"99{numerals[:20]}"
    total = sum(_ITALIAN_ODD[int(digit)] for digit in number[::2]) + sum(map(int, number[1::2]))
    return f"{chr(ord('A') + total % 26)}{number}"


_SPANISH_WEIGHTS: Final = (1, 2, 4, 8, 5, 10, 9, 7, 3, 6)
_ITALIAN_ODD: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21)
_NATIONAL: Final[Mapping[str, Callable[[str, str], str]]] = {
    "DE": _german,
    "ES": _spanish,
    "FR": _french,
    "GB": _british,
    "IT": _italian,
}


@cache
def _format_of(land: str) -> str:
    """The pattern of a country's account numbers, as Faker has it; empty where it has none."""
    generator = unseeded(nearest(_LOCALE_OF.get(land, f"{land.lower()}_{land}")))
    return str(known(generator, "bank", "bban_format")) if known(generator, "bank", "country_code") == land else ""


def _other(land: str, numerals: str, alphas: str) -> str:
    characters = zip(_format_of(land), numerals, alphas, strict=False)
    return "".join(alpha if mark == "?" else digit if mark == MARK else mark for mark, digit, alpha in characters)


def cards(column: FakeColumn, draws: np.random.Generator) -> Write:
    """Makes card numbers of the networks and lengths that the column has, with the digit of Luhn's check."""

    def write(places: Places, _attempt: int) -> list[str]:
        written = []
        tails = digits(len(places), MOST_CHARACTERS, draws)
        choices = draws.integers(2**32, size=len(places)).tolist()
        patterns = column.style.drawn(len(places), draws)
        for pattern, tail, choice in zip(patterns, tails, choices, strict=True):
            length = pattern.marks.count(MARK) if pattern is not None else 16
            prefixes = _TEST_PREFIXES.get((pattern.head if pattern is not None else "4", length))
            if prefixes is None:
                prefixes = next((known for (_, long), known in _TEST_PREFIXES.items() if long == length), None)
            if pattern is None or prefixes is None:
                length, prefixes = 16, _TEST_PREFIXES["4", 16]
            number = prefixes[choice % len(prefixes)]
            number += tail[: length - len(number) - 1]
            number += _luhn(number)
            fits = pattern is not None and pattern.marks.count(MARK) == length
            written.append(laid_out(pattern.marks, number) if pattern is not None and fits else number)
        return written

    return write


def _luhn(number: str) -> str:
    """The digit that completes a number (ISO/IEC 7812-1, annex B)."""
    doubled = [int(digit) * 2 for digit in number[::-2]]
    total = sum(value - 9 if value > 9 else value for value in doubled) + sum(map(int, number[-2::-2]))
    return str(-total % 10)
