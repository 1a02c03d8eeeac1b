"""National numbers that pass their country's checks.

Where a country has numbers that it gives to nobody and that still pass, those are taken: French ones have the serial
number 000, American ones an area that was never given out in order. The others have none such.
"""

import random
import re
import string
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from faker.providers.ssn.it_IT import MUNICIPALITIES_LIST

from services.generation.fakes.any_day import the_same_day
from services.generation.fakes.invented import digits, letters
from services.generation.fakes.locales import country, seeded
from services.generation.fakes.plan import FakeColumn
from services.generation.fakes.settling import Places, Write
from services.generation.fakes.styles import MARK, Pattern, laid_out

Patterns = Sequence[Pattern | None]


@dataclass(frozen=True)
class Holders:
    """Whose numbers they are: first and last names, and who is a woman."""

    firsts: Sequence[str]
    lasts: Sequence[str]
    women: npt.NDArray[np.bool_]


def national_ids(column: FakeColumn, holders: Holders, draws: np.random.Generator) -> Write:
    """Makes the numbers of a country's people, written as the column writes them."""
    land = country(column.locale)
    if land not in _WRITTEN:
        return _from_faker(column, draws)

    def write(places: Places, _attempt: int) -> list[str]:
        count = len(places)
        patterns = column.style.drawn(count, draws)
        if land == "FR":
            numbers = _french(holders.women[places], draws)
        elif land == "IT":
            firsts, lasts = ([names[place] for place in places.tolist()] for names in (holders.firsts, holders.lasts))
            numbers = _italian(firsts, lasts, holders.women[places], draws)
        else:
            numbers = _WITHOUT_HOLDER[land](patterns, draws)
        return [_written(number, each, _WRITTEN[land]) for number, each in zip(numbers, patterns, strict=True)]

    return write


def _from_faker(column: FakeColumn, draws: np.random.Generator) -> Write:
    """Numbers as Faker makes them for a country that this module doesn't know."""
    generator = seeded(column.locale, draws)

    def write(places: Places, attempt: int) -> list[str]:
        # What Faker knows of a country may run out; longer numbers never do.
        numbers = digits(len(places), max(0, attempt - 4) * 2, draws)
        with _same_chance(draws), the_same_day(generator):
            return [str(generator.ssn()) + number for number in numbers]

    return write


@contextmanager
def _same_chance(draws: np.random.Generator) -> Iterator[None]:
    """Some of Faker's providers draw from the process's own chance: it is the seed's meanwhile."""
    before = random.getstate()
    random.seed(int(draws.integers(2**63)))
    try:
        yield
    finally:
        random.setstate(before)


def _written(value: str, pattern: Pattern | None, marks: str) -> str:
    """A number as the column writes it, else as its country usually does."""
    if pattern is not None and pattern.marks.count(MARK) == len(value):
        return laid_out(pattern.marks, value)
    return laid_out(marks, value) if marks.count(MARK) == len(value) else value


def _head(pattern: Pattern | None) -> str:
    return pattern.head if pattern is not None else ""


def _numbers(count: int, low: int, high: int, draws: np.random.Generator) -> list[int]:
    """So many numbers from `low` to `high`, both included."""
    numbers: list[int] = draws.integers(low, high + 1, size=count).tolist()
    return numbers


def _american(patterns: Patterns, draws: np.random.Generator) -> list[str]:
    """Social Security numbers, or tax numbers (ITIN) where the column has those.

    The areas, from 773 to 899, are some that were not given out while areas meant places. A tax number begins with 9.
    """
    count = len(patterns)
    parts = zip(
        patterns,
        _numbers(count, 773, 899, draws),
        _numbers(count, 1, 99, draws),
        _numbers(count, 1, 9999, draws),
        strict=True,
    )
    return [
        f"9{area % 100:02d}{70 + group % 19}{serial:04d}" if _head(each) == "9" else f"{area}{group:02d}{serial:04d}"
        for each, area, group, serial in parts
    ]


_BRITISH_FIRST: Final = "ABCEGHJKLMNOPRSTWXYZ"
_BRITISH_SECOND: Final = "ABCEGHJKLMNPRSTWXYZ"
_BRITISH_UNUSED: Final = {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}
_BRITISH_PREFIXES: Final = sorted({a + b for a in _BRITISH_FIRST for b in _BRITISH_SECOND} - _BRITISH_UNUSED)


def _british(patterns: Patterns, draws: np.random.Generator) -> list[str]:
    """National Insurance numbers, or NHS numbers where the column has ten digits.

    An NHS number that begins with 999 is kept for tests; its last digit makes the weighted sum a multiple of 11.
    """
    count = len(patterns)
    parts = zip(
        patterns,
        _numbers(count, 0, len(_BRITISH_PREFIXES) - 1, draws),
        digits(count, 6, draws),
        _numbers(count, 0, 3, draws),
        strict=True,
    )
    return [
        _health_service(number)
        if each is not None and each.marks.count(MARK) == _HEALTH_SERVICE_DIGITS
        else f"{_BRITISH_PREFIXES[prefix]}{number}{'ABCD'[suffix]}"
        for each, prefix, number, suffix in parts
    ]


_HEALTH_SERVICE_DIGITS: Final = 10


def _health_service(number: str) -> str:
    base = f"999{number}"
    check = -sum(weight * int(digit) for weight, digit in zip(range(10, 1, -1), base, strict=True)) % 11
    # Ten is no digit: the number with one more has another check.
    return f"{base}{check}" if check < 10 else _health_service(f"{(int(number) + 1) % 10**6:06d}")


def _french(women: npt.NDArray[np.bool_], draws: np.random.Generator) -> list[str]:
    """Social security numbers (NIR): sex, year, month, department, commune, serial number 000, and the key."""
    count = len(women)
    # Corsica has 2A and 2B instead of 20.
    departments = [number + (number == 20) for number in _numbers(count, 1, 95, draws)]
    parts = zip(
        women.tolist(),
        digits(count, 2, draws),
        _numbers(count, 1, 12, draws),
        departments,
        _numbers(count, 1, 990, draws),
        strict=True,
    )
    bases = [f"{1 + woman}{year}{month:02d}{place:02d}{commune:03d}000" for woman, year, month, place, commune in parts]
    return [f"{base}{97 - int(base) % 97:02d}" for base in bases]


def _german(patterns: Patterns, draws: np.random.Generator) -> list[str]:
    """Tax identification numbers, or pension insurance numbers where the column has twelve characters.

    Of a tax number's first ten digits one occurs twice, the others at most once; the check is ISO 7064 MOD 11,10.
    """
    count = len(patterns)
    pensions = iter(_pension_insurance(count, draws))
    taxes = iter(_tax_identification(count, draws))
    return [
        next(pensions) if each is not None and each.marks.count(MARK) == _PENSION_CHARACTERS else next(taxes)
        for each in patterns
    ]


_PENSION_CHARACTERS: Final = 12
_PENSION_WEIGHTS: Final = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)


def _pension_insurance(count: int, draws: np.random.Generator) -> list[str]:
    """Area, birthday, a letter, a serial number, and a digit: the last of the weighted digits' sums of digits.

    The areas, from 90 on, belong to no insurer. Regulation on insurance numbers (VKVV), section 2.
    """
    parts = zip(
        _numbers(count, 90, 99, draws),
        _numbers(count, 1, 28, draws),
        _numbers(count, 1, 12, draws),
        digits(count, 2, draws),
        letters(count, 1, draws),
        digits(count, 2, draws),
        strict=True,
    )
    return [
        base + _pension_check(base)
        for base in (
            f"{area}{day:02d}{month:02d}{year}{letter}{serial}" for area, day, month, year, letter, serial in parts
        )
    ]


def _pension_check(base: str) -> str:
    counted = f"{base[:8]}{ord(base[8]) - ord('A') + 1:02d}{base[9:]}"
    products = (weight * int(digit) for weight, digit in zip(_PENSION_WEIGHTS, counted, strict=True))
    return str(sum(product // 10 + product % 10 for product in products) % 10)


def _tax_identification(count: int, draws: np.random.Generator) -> list[str]:
    different = draws.permuted(np.tile(np.arange(10), (count, 1)), axis=1)[:, :9]
    twice = different[np.arange(count), draws.integers(9, size=count)]
    numbers = draws.permuted(np.column_stack([different, twice]), axis=1)
    while (leading := numbers[:, 0] == 0).any():  # a number doesn't begin with 0
        numbers[leading] = np.roll(numbers[leading], -1, axis=1)
    product = np.full(count, 10)
    for place in range(10):
        total = (numbers[:, place] + product) % 10
        product = np.where(total == 0, 10, total) * 2 % 11
    whole = np.column_stack([numbers, (11 - product) % 10]).astype(np.uint8) + ord("0")
    text = whole.tobytes().decode("ascii")
    return [text[start : start + 11] for start in range(0, 11 * count, 11)]


_SPANISH_LETTERS: Final = "TRWAGMYFPDXBNJZSQVHLCKE"


def _spanish(patterns: Patterns, draws: np.random.Generator) -> list[str]:
    """DNI: eight digits and the letter that their remainder by 23 gives; foreigners' (NIE) begin with X, Y or Z."""
    return [
        _with_letter(_head(each), number % 10**7) if _head(each) in set("XYZ") else _with_letter("", number)
        for each, number in zip(patterns, _numbers(len(patterns), 10_000_000, 99_999_999, draws), strict=True)
    ]


def _with_letter(first: str, number: int) -> str:
    """A NIE is counted as if its letter were 0, 1 or 2."""
    counted = "XYZ".index(first) * 10**7 + number if first else number
    shown = f"{first}{number:07d}" if first else str(number)
    return f"{shown}{_SPANISH_LETTERS[counted % 23]}"


_MONTHS: Final = "ABCDEHLMPRST"
_VOWELS: Final = "AEIOU"
# What a letter or digit counts at an odd place, in the order of A to Z; digits count as the first ten letters.
_ODD: Final = dict(
    zip(
        string.ascii_uppercase,
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        strict=True,
    )
)
_AS_LETTERS: Final = str.maketrans(string.digits, string.ascii_uppercase[:10])


def _italian(
    firsts: Sequence[str], lasts: Sequence[str], women: npt.NDArray[np.bool_], draws: np.random.Generator
) -> list[str]:
    """Codici fiscali of names: three letters each of the last and first name, birthday, town, and a check letter.

    Decree of the Ministry of Finance of 23 December 1976.
    """
    count = len(firsts)
    parts = zip(
        lasts,
        firsts,
        _numbers(count, 40, 99, draws),
        _numbers(count, 0, 11, draws),
        _numbers(count, 1, 28, draws),
        women.tolist(),
        _numbers(count, 0, len(MUNICIPALITIES_LIST) - 1, draws),
        strict=True,
    )
    bases = [
        f"{_three(last, first=False)}{_three(first, first=True)}{year}{_MONTHS[month]}{day + 40 * woman:02d}"
        f"{MUNICIPALITIES_LIST[town]}"
        for last, first, year, month, day, woman, town in parts
    ]
    return [base + _italian_check(base) for base in bases]


def _italian_check(base: str) -> str:
    counted = base.translate(_AS_LETTERS)
    total = sum(_ODD[mark] for mark in counted[::2]) + sum(ord(mark) - ord("A") for mark in counted[1::2])
    return string.ascii_uppercase[total % 26]


def _three(name: str, *, first: bool) -> str:
    letters = re.sub("[^A-Z]", "", unicodedata.normalize("NFKD", name.upper()))
    consonants = [letter for letter in letters if letter not in _VOWELS]
    if first and len(consonants) > 3:
        del consonants[1]  # a first name with four or more gives its first, third and fourth
    vowels = [letter for letter in letters if letter in _VOWELS]
    return "".join([*consonants, *vowels, "X", "X", "X"][:3])


_WITHOUT_HOLDER: Final[Mapping[str, Callable[[Patterns, np.random.Generator], list[str]]]] = {
    "US": _american,
    "GB": _british,
    "DE": _german,
    "ES": _spanish,
}
# How each country usually writes its numbers.
_WRITTEN: Final[Mapping[str, str]] = {
    "US": "###-##-####",
    "GB": "## ## ## ## #",
    "FR": "#" * 15,
    "DE": "#" * 11,
    "ES": "#" * 9,
    "IT": "#" * 16,
}
