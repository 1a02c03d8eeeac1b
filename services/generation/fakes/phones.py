"""Telephone numbers that reach nobody: those that countries keep for films and examples.

- France: Arcep's ranges for audiovisual works (01 99 00, 02 61 91, 03 53 01, 04 65 71, 05 36 49).
- United Kingdom: Ofcom's numbers for drama.
- Germany: the Bundesnetzagentur's numbers for media; within such a block a number may have more digits.
- United States and Canada: 555-0100 to 555-0199 of every area.
- Spain and Italy keep none; ours are in ranges little used (Spain's eights, Italian numbers that begin with 0).

Where a range is used up, an extension tells numbers apart, which no exchange knows.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.generation.fakes.invented import digits
from services.generation.fakes.locales import country, seeded
from services.generation.fakes.plan import FakeColumn
from services.generation.fakes.settling import Places, Write
from services.generation.fakes.styles import MARK, Pattern, laid_out

_AMERICAN_AREAS: Final = (
    "201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 224 225 228 229 231 234 239 240 248 251 252 "
    "253 254 256 260 262 267 269 270 276 281 301 302 303 304 305 307 308 309 310 312 313 314 315 316 317 318 319 320 "
    "321 323 325 330 334 336 337 347 352 360 361 386 401 402 404 405 406 407 408 409 410 412 413 414 415 417 419 423 "
    "425 432 434 435 440 443 469 478 479 480 501 502 503 504 505 507 508 509 510 512 513 515 516 517 518 520 530 540 "
    "541 551 559 561 562 563 567 570 571 573 574 580 585 586 601 602 603 605 606 607 608 609 610 612 614 615 616 617 "
    "618 619 620 623 626 630 631 636 641 646 650 651 660 661 662 678 682 701 702 703 704 706 707 708 712 713 714 715 "
    "716 717 718 719 720 724 727 731 732 734 740 754 757 760 763 765 770 772 773 774 775 781 785 786 801 802 803 804 "
    "805 806 808 810 812 813 814 815 816 817 818 828 830 831 832 843 845 847 850 856 857 858 859 860 862 863 864 865 "
    "870 901 903 904 906 907 908 909 910 912 913 914 915 916 917 918 919 920 925 928 931 936 937 940 941 947 949 951 "
    "952 954 956 970 971 972 973 978 979 980 985 989"
)
_CANADIAN_AREAS: Final = (
    "204 226 250 289 306 403 416 418 438 450 506 514 519 604 613 647 705 709 778 780 807 819 902 905"
)
_BRITISH_BLOCKS: Final = (
    "1134960 1144960 1164960 1174960 1184960 1214960 1314960 1414960 1514960 1614960 1914980 2079460 2920180"
)
_NUMBERS_TRIED: Final = 3
_TEMPLATES: Final = 200


@dataclass(frozen=True)
class Country:
    """How a country's numbers are: its code, the prefix at home, blocks with how many digits follow, usual patterns."""

    code: str
    trunk: str
    blocks: tuple[tuple[str, int], ...]
    patterns: tuple[str, ...]
    lengthens: bool = False


_NANP_PATTERNS: Final = ("(###) ###-####", "###-###-####", "+# ### ### ####")
COUNTRIES: Final = {
    "FR": Country(
        "33",
        "0",
        tuple((block, 4) for block in ("19900", "26191", "35301", "46571", "53649")),
        ("## ## ## ## ##", "+## # ## ## ## ##"),
    ),
    "GB": Country(
        "44",
        "0",
        tuple((block, 3) for block in _BRITISH_BLOCKS.split()),
        ("#### ### ####", "+## ### ### ####"),
    ),
    "DE": Country(
        "49",
        "0",
        tuple((block, 3) for block in ("3023125", "6990009", "4066969", "2214710", "8999998")),
        ("### ########", "+## ## ########"),
        lengthens=True,
    ),
    "US": Country("1", "", tuple((f"{area}55501", 2) for area in _AMERICAN_AREAS.split()), _NANP_PATTERNS),
    "CA": Country("1", "", tuple((f"{area}55501", 2) for area in _CANADIAN_AREAS.split()), _NANP_PATTERNS),
    "ES": Country("34", "", tuple((f"8{digit}", 7) for digit in "1356"), ("### ### ###", "+## ### ## ## ##")),
    "IT": Country("39", "", tuple((f"020{digit}", 6) for digit in "3456789"), ("## ########", "+## ## ########")),
}


def phone_numbers(column: FakeColumn, draws: np.random.Generator) -> Write:
    """Makes numbers of the column's country, written as the column writes them."""
    land = COUNTRIES.get(country(column.locale))
    return _from_faker(column, draws) if land is None else _reserved(land, column, draws)


def _reserved(land: Country, column: FakeColumn, draws: np.random.Generator) -> Write:
    chances = np.array([10.0**following for _, following in land.blocks])
    chances /= chances.sum()

    def write(places: Places, attempt: int) -> list[str]:
        count = len(places)
        # An extension of more digits at every attempt, once the numbers themselves are found to be taken.
        extensions = digits(count, max(0, attempt - _NUMBERS_TRIED) * 2, draws)
        patterns = column.style.drawn(count, draws)
        chosen = draws.choice(len(land.blocks), size=count, p=chances)
        tails = digits(count, max(following for _, following in land.blocks), draws)
        written = []
        for pattern, block, tail, extension in zip(patterns, chosen.tolist(), tails, extensions, strict=True):
            prefix, following = land.blocks[block]
            number = _laid_out(land, prefix + tail[:following], pattern, draws)
            written.append(f"{number} x{extension}" if extension else number)
        return written

    return write


def _laid_out(land: Country, national: str, pattern: Pattern | None, draws: np.random.Generator) -> str:
    """A number in the column's pattern if it fits, else in one that is usual in the country."""
    if pattern is not None:
        main, _, extension = pattern.marks.replace("X", "x").partition("x")
        wanted = main.count(MARK)
        for prefix in _prefixes(land, main):
            number = prefix + national
            if pattern.head and not number.startswith(pattern.head):
                continue
            missing = wanted - len(number)
            if missing == 0 or (land.lengthens and 0 < missing <= 2):
                number += digits(1, missing, draws)[0]
                written = laid_out(main, number)
                return f"{written}x{digits(1, extension.count(MARK), draws)[0]}" if extension else written
    usual = land.patterns[0]
    return laid_out(usual, land.trunk + national) if usual.count(MARK) == len(land.trunk + national) else national


def _prefixes(land: Country, marks: str) -> tuple[str, ...]:
    """What may stand before the national number, the likeliest first."""
    if marks.startswith("+"):
        return land.code, land.code + land.trunk
    return land.trunk, "", land.code, f"00{land.code}", f"00{land.code}{land.trunk}"


def _from_faker(column: FakeColumn, draws: np.random.Generator) -> Write:
    """Numbers as Faker makes them for a country that this module doesn't know."""
    generator = seeded(column.locale, draws)
    templates = [str(generator.phone_number()) for _ in range(_TEMPLATES)]

    def write(places: Places, attempt: int) -> list[str]:
        count = len(places)
        extensions = digits(count, max(0, attempt - _NUMBERS_TRIED) * 2, draws)
        tails = digits(count, 6, draws)
        chosen = draws.integers(len(templates), size=count).tolist()
        return [
            _with_tail(templates[template], tail) + (f" x{extension}" if extension else "")
            for template, tail, extension in zip(chosen, tails, extensions, strict=True)
        ]

    return write


def _with_tail(number: str, tail: str) -> str:
    """A number whose last digits are others."""
    marks = list(number)
    places = [place for place, mark in enumerate(marks) if mark.isdigit()][-len(tail) :]
    for place, digit in zip(places, tail, strict=False):
        marks[place] = digit
    return "".join(marks)
