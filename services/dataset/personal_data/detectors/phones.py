"""Phone numbers, read as libphonenumber reads them, in the countries that the values can be from."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import phonenumbers

from services.dataset.personal_data.confidence import Test
from services.dataset.personal_data.countries import votes_of
from services.dataset.personal_data.evidence import Evidence, Hints, weigh
from services.dataset.personal_data.kinds import Kind
from services.dataset.personal_data.sampling import Sample

# With a country's code; written as no other number is; as digits alone, which anything may be.
_INTERNATIONAL = Test(strength=0.97, enough=0.3)
_NATIONAL = Test(strength=0.85, chance=0.1, enough=0.7)
_REGIONS = ("US", "GB", "FR", "DE", "ES", "IT")
_MOST_VALUES = 150  # reading one in every region takes about a millisecond

_FORM = re.compile(
    r"\(?\+?[0-9(][0-9 ().\-/\u00a0\u2011]{5,26}[0-9](?: ?(?:x|ext\.?|poste|#) ?[0-9]{1,6})?", re.IGNORECASE
)
_EXTENSION = re.compile(r"[x#ep]", re.IGNORECASE)
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15
_INTERNATIONAL_FORM = re.compile(r"\+|00[1-9]|\(\+")
# Dates, times, addresses of networks and decimal numbers are made of the same characters.
_SOMETHING_ELSE = re.compile(
    r"(?:19|20)[0-9]{2}([-/.])[01]?[0-9]\1[0-3]?[0-9](?: .*)?|[0-3]?[0-9]([-/.])[0-3]?[0-9]\2(?:19|20)[0-9]{2}(?: .*)?"
    r"|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|-?[0-9]+\.[0-9]+|(?:97[89][- ]?)?[0-9]{1,5}[- ][0-9]{1,7}[- ][0-9]{1,7}[- ][0-9X]"
)
# How numbers without a country's code are written in print, by region: digits alone aren't enough.
_WRITTEN = {
    "US": re.compile(
        r"(?:1[-. ]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[-. ])[0-9]{3}[-. ][0-9]{4}(?: ?(?:x|ext\.?) ?[0-9]+)?"
    ),
    "GB": re.compile(r"\(?0[1-9][0-9() -]{8,13}"),
    "FR": re.compile(r"0[1-9](?:[ .-]?[0-9]{2}){4}"),
    "DE": re.compile(r"\(?0[1-9][0-9]{1,4}\)?[ /-]{1,3}[0-9][0-9 -]{3,10}"),
    "ES": re.compile(r"[6-9][0-9]{2}[ .-](?:[0-9]{3}[ .-][0-9]{3}|[0-9]{2}[ .-][0-9]{2}[ .-][0-9]{2})"),
    "IT": re.compile(r"0[1-9][0-9]{0,3}[ ./-][0-9][0-9 ]{4,9}|3[0-9]{2}[ ./-][0-9][0-9 ]{5,8}"),
}
_TRUNK_ZERO = "(0)"


def examine(sample: Sample, hints: Hints) -> Iterator[Evidence]:
    """Values that are one phone number. Digits alone count only with a name that says so."""
    hint = hints.get(Kind.PHONE_NUMBER)
    if sample.whole_numbers and hint is None:
        return
    candidates = [value for value in sample.values if _may_be_one(value)]
    if not candidates:
        return
    scale = len(candidates) / max(1, len(examined := _some(candidates)))
    international = [value for value in examined if _INTERNATIONAL_FORM.match(value)]
    national = [value for value in examined if not _INTERNATIONAL_FORM.match(value)]
    abroad, countries = _read(international)
    region, written, readable = _best_region(national)
    if region:
        countries[region] += max(written, readable)
    test = _INTERNATIONAL if abroad * 2 >= len(examined) else _NATIONAL
    yield from weigh(
        Kind.PHONE_NUMBER,
        sample,
        hint,
        test,
        matching=int(scale * (abroad + written)),
        looking=len(candidates),
        votes=votes_of(countries),
        of_a_country=True,
    )


def _may_be_one(value: str) -> bool:
    if not _FORM.fullmatch(value) or _SOMETHING_ELSE.fullmatch(value):
        return False
    number = _EXTENSION.split(value, maxsplit=1)[0]
    digits = sum(map(str.isdigit, number))
    return _FEWEST_DIGITS <= digits <= _MOST_DIGITS


def _some(values: Sequence[str]) -> Sequence[str]:
    step = max(1, len(values) // _MOST_VALUES)
    return values[::step][:_MOST_VALUES]


def _read(values: Sequence[str]) -> tuple[int, Counter[str]]:
    """How many are numbers with a country's code, and of which countries."""
    read = 0
    countries: Counter[str] = Counter()
    for value in values:
        number = _parsed(re.sub(r"^00", "+", value.lstrip("(")), None)
        if number is not None and number.country_code and phonenumbers.is_possible_number(number):
            read += 1
            countries[phonenumbers.region_code_for_country_code(number.country_code)] += 1
    return read, countries


def _best_region(values: Sequence[str]) -> tuple[str, int, int]:
    """The region in which most are numbers; how many are written as such there, how many can be read as such."""
    best = ("", 0, 0)
    if not values:
        return best
    for region in _REGIONS:
        written = readable = 0
        for value in values:
            number = _parsed(value, region)
            if number is not None and phonenumbers.is_valid_number(number):
                readable += 1
                written += _WRITTEN[region].fullmatch(value) is not None
        if (written, readable) > best[1:]:
            best = (region, written, readable)
    return best


def _parsed(value: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(value.replace(_TRUNK_ZERO, ""), region)
    except phonenumbers.NumberParseException:
        return None
