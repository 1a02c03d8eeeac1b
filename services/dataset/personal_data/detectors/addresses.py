"""Postal addresses: whole ones, the street with its number, postcodes and cities."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from services.dataset.personal_data.confidence import Test
from services.dataset.personal_data.countries import BY_LANGUAGE, locale_of
from services.dataset.personal_data.evidence import Evidence, Hints, weigh
from services.dataset.personal_data.kinds import Kind
from services.dataset.personal_data.sampling import Sample
from services.dataset.personal_data.words import folded, words

_STREET = Test(strength=0.95, enough=0.5)
_UNMISTAKABLE_POSTCODE = Test(strength=0.6, enough=0.9)
_MOST_WORDS = 20
_LONGEST = 200  # characters
_WORD = re.compile(r"[^\W_]+(?:['’.][^\W_]+){0,3}", re.UNICODE)
_PART = re.compile(r"[,;\n]")
_DIGIT = re.compile("[0-9]")
_UNITS = frozenset(
    words("apt apartment suite ste unit flat floor fl room rm n s e w ne nw se sw north south east west")
)
_LONGEST_END = 7  # characters: a longer word of a street has a name in it
# 12, 12a, 12 bis, 12-14, 12/3
_HOUSE_NUMBER = re.compile(r"[0-9]{1,5}[a-z]?")

# Words of streets by language, folded: those that stand alone, and the ends of longer ones.
_STREET_WORDS: Mapping[str, str] = {
    "en": "street st avenue ave road rd lane ln drive dr court ct boulevard blvd way terrace square highway hwy parkway"
    " pkwy crescent close gardens grove mews circle cir trail plaza broadway row hill rise walk alley",
    "fr": "rue avenue av boulevard bd chemin allee allees impasse place quai route cours passage faubourg sentier"
    " chaussee ruelle esplanade square",
    "de": "strasse str weg platz allee gasse ring damm ufer chaussee stieg hof graben",
    "es": "calle c avenida avda av plaza paseo camino carretera ronda pasaje travesia callejon glorieta rambla cuesta",
    "it": "via viale piazza corso largo vicolo strada piazzale borgo contrada lungomare salita stradone",
    "pt": "rua avenida av travessa praca largo alameda estrada rodovia beco calcada",
    "nl": "straat weg laan plein gracht kade dijk singel",
}
_STREET_ENDS: Mapping[str, tuple[str, ...]] = {
    "de": ("strasse", "str", "weg", "platz", "allee", "gasse", "ring", "damm", "ufer"),
    "nl": ("straat", "weg", "laan", "plein", "gracht", "kade", "dijk"),
}
_SHORTEST_END_STEM = 3  # characters before such an end

_POSTCODES: Mapping[str, re.Pattern[str]] = {
    "GB": re.compile(r"[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-BD-HJLNP-UW-Z]{2}"),
    "CA": re.compile(r"[ABCEGHJ-NPRSTVXY][0-9][A-Z][ -]?[0-9][A-Z][0-9]"),
    "NL": re.compile(r"[1-9][0-9]{3} ?[A-Z]{2}"),
    "PT": re.compile(r"[1-9][0-9]{3}-[0-9]{3}"),
    "BR": re.compile(r"[0-9]{5}-[0-9]{3}"),
    "PL": re.compile(r"[0-9]{2}-[0-9]{3}"),
    "US": re.compile(r"[0-9]{5}-[0-9]{4}"),
}
_LETTERED = frozenset({"GB", "CA"})
_DIGITS_ONLY = re.compile(r"(?:[A-Z]{1,2}-)?[0-9]{4,6}")  # most countries; tells none
_WITHIN = re.compile(
    r"\b(?:[0-9]{5}(?:-[0-9]{3,4})?|[0-9]{4}-[0-9]{3}|[0-9]{4} [^\W\d_]{2,}|[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2})\b"
)
_CITY = re.compile(r"[^\W\d_]+(?:[ '’.\-/()]{1,2}[^\W\d_]+){0,6}\.?")


def examine(sample: Sample, hints: Hints) -> Iterator[Evidence]:
    """Addresses as a whole or in parts. Cities are told by their column's name alone."""
    yield from _postcodes(sample, hints)
    if sample.whole_numbers:
        return
    yield from _streets(sample, hints)
    if hint := hints.get(Kind.CITY):
        looking = sum(len(value) <= _LONGEST and _CITY.fullmatch(value) is not None for value in sample.values)
        yield from weigh(Kind.CITY, sample, hint, Test(0.0), matching=0, looking=looking)


def _postcodes(sample: Sample, hints: Hints) -> Iterator[Evidence]:
    hint = hints.get(Kind.POSTCODE)
    countries: Counter[str] = Counter()
    plain = 0
    for value in sample.values:
        if len(value) > 12:
            continue
        text = value.upper()
        country = next((code for code, form in _POSTCODES.items() if form.fullmatch(text)), None)
        if country:
            countries[country] += 1
        elif _DIGITS_ONLY.fullmatch(text):
            plain += 1
    if hint or countries:
        yield from weigh(
            Kind.POSTCODE,
            sample,
            hint,
            _UNMISTAKABLE_POSTCODE,
            matching=sum(count for country, count in countries.items() if country in _LETTERED),
            looking=plain + countries.total(),
            votes={locale_of(country): count for country, count in countries.items()},
            of_a_country=countries.total() > plain,
        )


class _Address(NamedTuple):
    """What a value shows of an address."""

    languages: frozenset[str]  # of the street's word
    numbered: bool
    whole: bool  # with a postcode, or in several lines


def _streets(sample: Sample, hints: Hints) -> Iterator[Evidence]:
    hinted = [hints[kind] for kind in (Kind.STREET_ADDRESS, Kind.POSTAL_ADDRESS) if kind in hints]
    candidates = sample.values if hinted else [value for value in sample.values if _DIGIT.search(value)]
    found = [address for value in candidates if (address := _address(value)) is not None]
    if not found:
        return
    numbered = [address for address in found if address.numbered]
    whole = sum(address.whole for address in numbered)
    kind = Kind.POSTAL_ADDRESS if whole * 2 >= len(numbered) > 0 else Kind.STREET_ADDRESS
    votes: Counter[str] = Counter()
    for address in found:
        for language in address.languages:
            votes[BY_LANGUAGE[language]] += 1
    hint = max(hinted, key=lambda each: each.confidence, default=None)
    yield from weigh(
        kind, sample, hint, _STREET, matching=len(numbered), looking=max(len(found), _lines(sample)), votes=votes
    )


def _lines(sample: Sample) -> int:
    """Values of several words with a number among them, as addresses without any word for a street are."""
    return sum(
        len(value) <= _LONGEST and any(map(str.isdigit, value)) and len(_WORD.findall(value)) > 1
        for value in sample.values
    )


def _address(value: str) -> _Address | None:
    if len(value) > _LONGEST:
        return None
    parts = [_WORD.findall(part) for part in _PART.split(folded(value))]
    spoken = [word for part in parts for word in part]
    if not 2 <= len(spoken) <= _MOST_WORDS:
        return None
    numbers = [place for place, word in enumerate(spoken) if _HOUSE_NUMBER.fullmatch(word)]
    languages = frozenset(language for word in spoken for language in _languages(word))
    if "en" in languages and numbers and not _english(parts):
        languages -= {"en"}
    if not languages:
        return None
    named = len(spoken) > len(numbers) + 1 or any(len(word) > _LONGEST_END for word in spoken)
    whole = len(numbers) > 1 and _WITHIN.search(value[value.find(" ") :]) is not None
    return _Address(languages, bool(numbers) and named, whole or (value.count("\n") > 1 and bool(numbers)))


def _english(parts: Sequence[Sequence[str]]) -> bool:
    """Whether a street is written as in English: its word, which may stand for much else, behind a number and a name.

    Nothing but a flat or a direction follows it up to the next comma or line.
    """
    numbered = False
    for part in parts:
        for place, word in enumerate(part):
            if "en" in _languages(word) and (place > 1 or (numbered and place)) and (numbered or _DIGIT.match(part[0])):
                rest = part[place + 1 :]
                if not rest or rest[0] in _UNITS:
                    return True
        numbered = numbered or any(map(_HOUSE_NUMBER.fullmatch, part))
    return False


@cache
def _alone() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for language, text in _STREET_WORDS.items():
        for word in words(text):
            found.setdefault(word, set()).add(language)
    from faker.providers.address.en_US import Provider  # the Postal Service's street suffixes

    for word in Provider.street_suffixes:
        found.setdefault(folded(word), set()).add("en")
    return {word: frozenset(languages) for word, languages in found.items()}


def _languages(word: str) -> frozenset[str]:
    word = word.rstrip(".")
    if word in (alone := _alone()):
        return alone[word]
    return frozenset(
        language
        for language, ends in _STREET_ENDS.items()
        for end in ends
        if word.endswith(end) and len(word) >= len(end) + _SHORTEST_END_STEM
    )
