"""Names of people, by lists of first and last names of many languages and by the column's name."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import NamedTuple

from services.dataset.personal_data.column_names import AMBIGUOUS, Hint, folded
from services.dataset.personal_data.confidence import Test
from services.dataset.personal_data.evidence import KNOWN_VALUES, PATTERN, Evidence, Hints, weigh
from services.dataset.personal_data.kinds import Kind
from services.dataset.personal_data.sampling import Sample

# The lists are Faker's, which come from the countries' own statistics of names.
_LOCALES = (
    "en_US en_GB fr_FR de_DE es_ES it_IT pt_PT pt_BR nl_NL pl_PL sv_SE da_DK no_NO fi_FI cs_CZ hu_HU ro_RO hr_HR tr_TR"
    " ru_RU uk_UA bg_BG el_GR ja_JP zh_CN ko_KR en_IN"
).split()
# Towns, months, colours and brands are called like people: of a column of cities, up to a third of the values are.
_ONE_NAME = Test(strength=0.8, chance=0.3, enough=0.4)
# A first name beside a last name is hardly anything else.
_WHOLE_NAME = Test(strength=0.95, chance=0.1, enough=0.3)
_FEWEST = 8
"""With fewer different values than these, what they are tells only together with the column's name."""
_LONGEST = 80  # characters
_MOST_WORDS = 6
_SINGLE = re.compile(r"[^\W\d_]+(?:[ '’\-.]{1,2}[^\W\d_]+){0,3}\.?")
_WHOLE = re.compile(r"[^\W\d_]+\.?(?:[ '’\-,.]{1,3}[^\W\d_]+\.?){1,7}|[^\W\d_]{2,5}")
_WORDS = re.compile(r"[^\W\d_]+")
_TITLES = frozenset(
    "mr mrs ms miss dr prof sir m mme mlle monsieur madame herr frau hr fr dipl ing sr sra srta don dona sig sigra dott"
    " dottssa jr ii iii iv md phd dds dvm msc bsc mba".split()
)
_PARTICLES = frozenset("de da do dos das del della di du d la le l van von der den ter zu y e al el bin ben mac mc o st".split())


class _Lists(NamedTuple):
    """The locales that know a word, as a first and as a last name."""

    first: Mapping[str, tuple[str, ...]]
    last: Mapping[str, tuple[str, ...]]


class _Counts(NamedTuple):
    """Of a column's values, how many are what; and how many look like a name at all."""

    first: int
    last: int
    whole: int
    looking_single: int
    looking_whole: int


def examine(sample: Sample, hints: Hints) -> Iterator[Evidence]:
    """Values that are a first name, a last name or both."""
    if sample.whole_numbers:
        return
    firsts: Counter[str] = Counter()
    lasts: Counter[str] = Counter()
    wholes: Counter[str] = Counter()
    counts = _count(sample.values, firsts, lasts, wholes)
    few = len(sample.values) < _FEWEST
    for kind, test, matching, looking, votes in (
        (Kind.FIRST_NAME, _ONE_NAME, counts.first, counts.looking_single, firsts),
        (Kind.LAST_NAME, _ONE_NAME, counts.last, counts.looking_single, lasts),
        (Kind.FULL_NAME, _WHOLE_NAME, counts.whole, counts.looking_whole, wholes),
    ):
        hint = hints.get(kind)
        if hint is None and (few or _named_otherwise(kind, hints)):
            continue
        # Where the column's name leaves open what is named, nothing counts but names that are known.
        looking = matching if _is_open(hint) else looking
        yield from weigh(
            kind, sample, hint, test, matching=matching, looking=looking, by=(PATTERN, KNOWN_VALUES), votes=votes
        )


def _is_open(hint: Hint | None) -> bool:
    return hint is not None and hint.confidence <= AMBIGUOUS


def _named_otherwise(kind: Kind, hints: Hints) -> bool:
    """Whether the column's name speaks of something else that is called like people."""
    return kind is not Kind.FULL_NAME and bool(hints.keys() & {Kind.CITY, Kind.STREET_ADDRESS, Kind.FULL_NAME}) and (
        Kind.FIRST_NAME not in hints
    )


def _count(values: Iterable[str], firsts: Counter[str], lasts: Counter[str], wholes: Counter[str]) -> _Counts:
    lists = _lists()
    first = last = whole = looking_single = looking_whole = 0
    for value in values:
        if len(value) > _LONGEST:
            continue
        single = _SINGLE.fullmatch(value) is not None
        several = _WHOLE.fullmatch(value) is not None
        if not (single or several):
            continue
        words = [word for word in _WORDS.findall(folded(value)) if word not in _TITLES]
        core = [word for word in words if word not in _PARTICLES and len(word) > 1] or words
        if not 0 < len(core) <= _MOST_WORDS:
            continue
        looking_single += single and len(core) <= 3  # noqa: PLR2004 - double names, with a particle
        looking_whole += several and len(words) > 1
        if single and (knowing := _known(core, lists.first)):
            first += 1
            _vote(firsts, knowing)
        if single and (knowing := _known(core, lists.last)):
            last += 1
            _vote(lasts, knowing)
        if several and (knowing := _known_whole(core, lists)):
            whole += 1
            _vote(wholes, knowing)
    return _Counts(first, last, whole, looking_single, looking_whole)


def _known(words: list[str], names: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The locales of one name, or of a double one: every word of it is known."""
    if len(words) > 2 or not all(word in names for word in words):  # noqa: PLR2004 - double names have two
        return ()
    return tuple(locale for word in words for locale in names[word])


def _known_whole(words: list[str], lists: _Lists) -> tuple[str, ...]:
    """The locales of a first name and a last name, in either order; one of the two may be unknown beside initials."""
    if len(words) == 1 and not words[0].isascii():
        return _known_unspaced(words[0], lists)
    if len(words) < 2:  # noqa: PLR2004 - a first and a last name
        return ()
    for first, last in ((words[0], words[-1]), (words[-1], words[0])):
        if first in lists.first and last in lists.last:
            return tuple(set(lists.first[first]) & set(lists.last[last])) or lists.last[last]
    return ()


def _known_unspaced(word: str, lists: _Lists) -> tuple[str, ...]:
    """As _known_whole, of a name without a space: the last name comes first."""
    for cut in (1, 2, 3):
        if word[:cut] in lists.last and word[cut:] in lists.first:
            return lists.last[word[:cut]]
    return ()


def _vote(votes: Counter[str], knowing: tuple[str, ...]) -> None:
    for locale in knowing:
        votes[locale] += 1 / len(knowing)  # type: ignore[assignment] # a Counter counts in any number


@cache
def _lists() -> _Lists:
    first: dict[str, list[str]] = {}
    last: dict[str, list[str]] = {}
    for locale in _LOCALES:
        provider = import_module(f"faker.providers.person.{locale}").Provider
        for names, prefixes in ((first, "first"), (last, "last")):
            for attribute in dir(provider):
                if attribute.startswith(prefixes) and attribute.rstrip("s").endswith(("name", "female", "male")):
                    for name in _words_of(getattr(provider, attribute)):
                        locales = names.setdefault(name, [])
                        if locale not in locales:
                            locales.append(locale)
    return _Lists(
        {name: tuple(locales) for name, locales in first.items()},
        {name: tuple(locales) for name, locales in last.items()},
    )


def _words_of(names: object) -> Iterator[str]:
    """The words of a list of names; double names are taken apart, and particles and initials left out."""
    if isinstance(names, Mapping | tuple | list):
        for name in names:
            if isinstance(name, str):
                for word in _WORDS.findall(folded(name)):
                    if word not in _PARTICLES and (len(word) > 1 or not word.isascii()):
                        yield word
